"""When a rule on time acts next, and on what: from the rows as they are now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import models

from rules_engine.models import Armed
from rules_engine.rules.schedules.kind import Schedule
from rules_engine.rules.schedules.times import next_times, times_between
from rules_engine.test.timed.asked import Asked, asked
from rules_engine.test.timed.clock import compiled_at
from rules_engine.types import RuleSpec
from rules_engine.work.schedules.dates import Dates, Due

MOST = 20
#: How far ahead dates are looked for, the nearest first: a day's are found soon where there are many.
HORIZONS = (timedelta(days=1), timedelta(days=8), timedelta(days=62), timedelta(days=366))
#: Dates that are read for each one that is shown: their order and that of what is due may differ a little.
MARGIN = 5


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
        due = list(islice(_of_dates(rule, after, after + horizon, rows, most), most))
        if len(due) >= most:
            break
    return [_with_answer(rule, coming) for coming in due]


def waited_for(rule: RuleSpec, most: int = MOST) -> list[Armed]:
    """Return what a rule of the kinds ``stays`` and ``silent`` waits for, what is due first before the others."""
    rows = Armed.objects.filter(rule_slug=rule.slug, state=Armed.State.WAITING, holds=True)
    return list(rows.order_by("due_at")[:most])


def firings_between(
    rule: RuleSpec, after: datetime, until: datetime, rows: models.QuerySet[Any] | None, most: int
) -> list[Coming]:
    """Return when it would have acted between two moments, by the rows as they are now, so many of the first at most.
    Raises as ``next_firings``."""
    schedule: Schedule = rule.schedule or {}
    if schedule.get("kind") == "every":
        return [Coming(at) for at in times_between(schedule, after, until, most)]
    if schedule.get("kind") != "date" or rows is None:
        return []
    return [_with_answer(rule, each) for each in islice(_of_dates(rule, after, until, rows, most), most)]


def _of_dates(
    rule: RuleSpec, after: datetime, until: datetime, rows: models.QuerySet[Any], most: int
) -> Iterator[Coming]:
    """Yield what is due by its dates between two moments, in order, without what its condition says."""
    dates = Dates(rule.slug, rule.model, rule.schedule or {}, rows.db)
    found = dates.windows(after, until)
    if not found:
        return
    shown = dates.within(found).filter(pk__in=rows.order_by().values("pk"))
    pairs = shown.values_list("pk", dates.column.lookup)[: most * MARGIN]
    due = [Due(pk, at, value) for pk, value in pairs if (at := dates.due_of(value)) is not None and after < at <= until]
    due = sorted(due, key=lambda each: each.due_at)[:most]
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


def selected_now(rule: RuleSpec, rows: models.QuerySet[Any], at: datetime, most: int) -> Sequence[models.Model]:
    """Return the first objects of these that the rule's condition selects as they are, were it that time."""
    compiled = compiled_at(rule, at)
    found = (row for row in rows.order_by("pk")[: most * 50] if asked(compiled, row, at).answer == "acts")
    return list(islice(found, most))
