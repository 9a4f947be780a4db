"""When a rule on dates that holds in all of a site's surroundings acts next in others than these: by the keys of
objects alone, for whoever looks from home sees none of them."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rules_engine.context.stored_form import key_value
from rules_engine.models import Schedule
from rules_engine.surroundings.listed import HOME, are_listed, place_here
from rules_engine.surroundings.state import is_home, within
from rules_engine.test.timed.coming import HORIZONS, MOST, SECONDS, of_dates
from rules_engine.types import RuleSpec, Unread, ask
from rules_engine.work.schedules.dates import Dates


@dataclass(frozen=True, slots=True)
class ComingThere:
    """A time at which the rule acts in other surroundings, and the key of the object on which it does."""

    due_at: datetime
    place: str
    key: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What comes next in other surroundings. ``is_whole``: there was time to look into all of them."""

    coming: Sequence[ComingThere] = ()
    is_whole: bool = True


def next_elsewhere(rule: RuleSpec, places: Collection[str], after: datetime, using: str, most: int = MOST) -> Elsewhere:
    """Return what comes next at these places, as far as ``SECONDS`` reach; one that cannot be looked into is left out,
    as its schedule says why."""
    others = sorted(place for place in places if place != HOME)
    if not others or not is_home() or (rule.schedule or {}).get("kind") != "date":
        return Elsewhere()
    end = time.monotonic() + SECONDS
    known: dict[str, list[ComingThere]] = {}
    for horizon in HORIZONS:
        for place in others:
            if time.monotonic() > end:
                return Elsewhere(_first(known, most), is_whole=False)
            told = ask(_there, rule, place, after, after + horizon, using, most)
            known[place] = [] if isinstance(told, Unread) else told
        if sum(map(len, known.values())) >= most:
            break
    return Elsewhere(_first(known, most))


def _first(known: dict[str, list[ComingThere]], most: int) -> list[ComingThere]:
    return sorted((each for there in known.values() for each in there), key=lambda each: each.due_at)[:most]


def _there(rule: RuleSpec, place: str, after: datetime, until: datetime, using: str, most: int) -> list[ComingThere]:
    with within(place):
        rows: Any = Dates(rule.slug, rule.model, rule.schedule or {}, using).rows()
        coming = of_dates(rule, after, until, rows, most)
        return [
            ComingThere(each.due_at, place, str(key_value(each.instance)))
            for each in coming
            if each.instance is not None and not each.is_fired
        ]


def troubles(slug: str, most: int = MOST) -> Iterator[tuple[str, str]]:
    """Yield where a rule on time cannot be looked after, and why: at home all such places, elsewhere this one."""
    if not are_listed():
        return
    rows = Schedule.objects.filter(rule_slug=slug).exclude(error="").order_by("surroundings")
    here = rows if is_home() else rows.filter(surroundings=place_here())
    yield from here.values_list("surroundings", "error")[:most]
