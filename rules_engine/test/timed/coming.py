"""When a rule on time acts next, and on what: from the rows as they are now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import models

from rules_engine.capture.one_rule.telling import as_told
from rules_engine.models import Armed
from rules_engine.rules.schedules.kind import Schedule
from rules_engine.rules.schedules.times import next_times, times_between
from rules_engine.surroundings.listed import place_here
from rules_engine.surroundings.state import seen_from_here
from rules_engine.test.timed.asked import Asked, asked
from rules_engine.test.timed.clock import compiled_at
from rules_engine.types import RuleSpec
from rules_engine.work.runs import selecting
from rules_engine.work.schedules.dates import Dates, Due

MOST = 20
#: How far ahead dates are looked for, the nearest first: a day's are found soon where there are many.
HORIZONS = (timedelta(days=1), timedelta(days=8), timedelta(days=62), timedelta(days=366))
#: Dates that are read for each one that is shown: their order and that of what is due may differ a little.
MARGIN = 5
#: Times of a schedule that are walked through for the last of them: those of 14 days, if each minute is one.
MOST_TIMES = 20_000
#: Seconds in which objects are looked for that a rule selects, and how many are read by one statement.
SECONDS, CHUNK = 3.0, 200


@dataclass(frozen=True, slots=True)
class Coming:
    """A time at which the rule acts, and on what; ``instance`` is None where it acts on no object, or on many.

    ``asked`` is what its condition says of the object as it is now, and not as it will be.
    """

    due_at: datetime
    instance: models.Model | None = None
    asked: Asked | None = None
    #: Whether that is done with: nothing is done twice.
    is_fired: bool = False
    #: What its event says of the time: ``due``.
    due: Mapping[str, Any] | None = None


def next_firings(
    rule: RuleSpec, after: datetime, rows: models.QuerySet[Any] | None = None, most: int = MOST
) -> list[Coming]:
    """Return when a rule of the kinds ``date`` and ``every`` acts next after that moment, so many times at most.

    ``rows`` are the objects of its model that are shown. Raises ``UnknownPath`` and ``LookupError`` where its dates
    cannot be looked for.
    """
    schedule: Schedule = rule.schedule or {}
    if schedule.get("kind") == "every":
        return [Coming(at) for at in next_times(schedule, after, most)]
    if schedule.get("kind") != "date" or rows is None:
        return []
    due: list[Coming] = []
    for horizon in HORIZONS:
        due = list(islice(of_dates(rule, after, after + horizon, rows, most), most))
        if len(due) >= most:
            break
    return [_with_answer(rule, coming) for coming in due]


def waited_for(rule: RuleSpec, most: int = MOST) -> list[Armed]:
    """Return what a rule of the kinds ``stays`` and ``silent`` waits for, what is due first before the others: at home
    in all surroundings."""
    rows = Armed.objects.filter(rule_slug=rule.slug, state=Armed.State.WAITING, holds=True, **seen_from_here())
    return list(rows.order_by("due_at")[:most])


def last_firings(
    rule: RuleSpec, after: datetime, until: datetime, rows: models.QuerySet[Any] | None, most: int
) -> list[Coming]:
    """Return when it would have acted between two moments, so many of the last at most, in order. Raises as
    ``next_firings``."""
    schedule: Schedule = rule.schedule or {}
    if schedule.get("kind") == "every":
        for horizon in (*HORIZONS, until - after):
            begin = max(after, until - horizon)
            found = times_between(schedule, begin, until, MOST_TIMES)
            if len(found) >= most or begin == after:
                return [Coming(at) for at in found[-most:]]
    if schedule.get("kind") != "date" or rows is None:
        return []
    due = list(of_dates(rule, after, until, rows, most, is_last=True))
    return [_with_answer(rule, each) for each in due]


def of_dates(
    rule: RuleSpec, after: datetime, until: datetime, rows: models.QuerySet[Any], most: int, *, is_last: bool = False
) -> Iterator[Coming]:
    """Yield what is due by its dates between two moments, in order, without what its condition says: so many of the
    first, or of the last."""
    dates = Dates(rule.slug, rule.model, rule.schedule or {}, rows.db, place=place_here(rule.surroundings))
    found = dates.windows(after, until)
    if not found:
        return
    shown = dates.within(found).filter(pk__in=rows.order_by().values("pk"))
    if is_last:
        shown = shown.reverse()
    pairs = shown.values_list("pk", dates.column.lookup)[: most * MARGIN]
    due = [Due(pk, at, value) for pk, value in pairs if (at := dates.due_of(value)) is not None and after < at <= until]
    due = sorted(due, key=lambda each: each.due_at)
    due = due[-most:] if is_last else due[:most]
    fired = dates.fired(due) if due else {}
    objects = dates.rows().in_bulk([each.pk for each in due])
    for each in due:
        if each.pk in objects:
            is_fired = (dates.key(each.pk), each.due_at) in fired
            yield Coming(each.due_at, objects[each.pk], is_fired=is_fired, due=dates.told(each))


def _with_answer(rule: RuleSpec, coming: Coming) -> Coming:
    if coming.instance is None or rule.condition is None:
        return coming
    return replace(coming, asked=asked(compiled_at(rule, coming.due_at), coming.instance, coming.due_at, coming.due))


@dataclass(frozen=True, slots=True)
class Selected:
    """The first objects that a rule selects. ``is_whole``: there was time to look at as many as that takes; else there
    may be more, and none says nothing."""

    rows: Sequence[models.Model]
    is_whole: bool = True


def selected_now(
    rule: RuleSpec,
    rows: models.QuerySet[Any],
    at: datetime,
    most: int,
    may_see: Callable[[Any], bool] | None = None,
) -> Selected:
    """Return the first objects of these that the rule's condition selects as they are, were it that time, as far as
    ``SECONDS`` reach. ``may_see`` leaves out objects."""
    end = time.monotonic() + SECONDS
    compiled = compiled_at(rule, at)
    found: list[models.Model] = []
    for part in selecting.in_parts(selecting.narrowed(rows, as_told(compiled)).order_by("pk"), CHUNK):
        for row in part:
            if (may_see is None or may_see(row)) and asked(compiled, row, at).answer == "acts":
                found.append(row)
                if len(found) == most:
                    return Selected(found)
            if time.monotonic() > end:
                return Selected(found, is_whole=False)
    return Selected(found)
