"""What is due every so often: one event, or one with the objects in a list, or a run over each of them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import models

from rules_engine import conf
from rules_engine.capture.one_rule.telling import Occasion, ask_of, subject_of
from rules_engine.capture.one_rule.without_object import tell_of_none, tell_of_rows
from rules_engine.context import actor, snapshot
from rules_engine.context.paths import find_model, label_of
from rules_engine.databases.uncached import UncachedQuerySet, reading_current
from rules_engine.errors import ConditionError
from rules_engine.live import cache
from rules_engine.models import Firing, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.rules.schedules.times import last_time, next_times, times_between
from rules_engine.rules.schedules.zones import local, zone_of
from rules_engine.work.runs import selecting
from rules_engine.work.runs.starting import start_run
from rules_engine.work.schedules.lateness import earliest

KIND = "every"
#: Times of one rule that are told in one transaction.
BATCH = 50
#: Of a rule that is told of all objects in a list: each time is a walk through them.
BATCH_OF_ROWS = 1
#: Times that are counted when they are left out; of more it is said that they are so many at least.
MOST_COUNTED = 10_000
#: When it is looked again whether a schedule comes that has no time any more.
FAR = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Walked:
    """What the condition selects of all objects for the list of one time: the first keys, and how many there are."""

    at: datetime
    keys: Sequence[Any]
    count: int


def walks(rule: CompiledRule) -> bool:
    """Say whether the rule is told of all objects in one list: each time is a walk through them."""
    return (rule.schedule or {}).get("of") == "rows"


def walk(row: Schedule, rule: CompiledRule, now: datetime, using: str) -> Walked | None:
    """Select the objects for the list of the time that has come, if one has; to be called in no transaction, for that
    may take long where there are very many. Raises as ``selected``."""
    times = _times(rule.schedule or {}, _begin(row, rule, now), now, BATCH_OF_ROWS)
    if not times:
        return None
    return Walked(times[0], *selected(rule, _occasion(rule, times[0], now), using, conf.rows_limit()))


def look(
    row: Schedule, rule: CompiledRule, now: datetime, using: str, walked: Walked | None = None
) -> tuple[int, dict[str, Any]]:
    """Tell the rule of each time that has come, in order. Returns how many, and what the schedule is to say then.

    ``walked`` is what is in the list of a rule that ``walks``.
    """
    schedule: Mapping[str, Any] = rule.schedule or {}
    since, begin = _since(row), _begin(row, rule, now)
    most = BATCH_OF_ROWS if walks(rule) else BATCH
    times = _times(schedule, begin, now, most)
    for at in times:
        _tell(row, rule, at, now, using, walked)
    is_whole = len(times) < most
    until = now if is_whole else times[-1]
    following = next_times(schedule, until, 1)
    columns = {
        "looked_until": until,
        "skipped": row.skipped + _left_out(schedule, since, begin, times),
        "next_look_at": following[0] if following else now + FAR,
    }
    return len(times), columns


def _since(row: Schedule) -> datetime:
    return max(row.looked_until or row.since, row.since)


def _begin(row: Schedule, rule: CompiledRule, now: datetime) -> datetime:
    return max(_since(row), earliest(row, rule, now))


def _times(schedule: Mapping[str, Any], begin: datetime, now: datetime, most: int) -> list[datetime]:
    if schedule.get("late") != "last":
        return times_between(schedule, begin, now, most)
    last = last_time(schedule, begin, now)
    return [] if last is None else [last]


def _left_out(schedule: Mapping[str, Any], since: datetime, begin: datetime, told: Sequence[datetime]) -> int:
    """Count the times since the last look that are not told."""
    until = told[0] if schedule.get("late") == "last" and told else begin
    count = len(times_between(schedule, since, until, MOST_COUNTED)) if since < until else 0
    return count - 1 if until in told and count else count


def _tell(row: Schedule, rule: CompiledRule, at: datetime, now: datetime, using: str, walked: Walked | None) -> None:
    firing = {"rule_slug": rule.slug, "object_key": "", "due_at": at, "surroundings": row.surroundings}
    rows = Firing.objects.using(using)
    if not rows.filter(**firing).exists():
        rows.create(**firing, event_id=_told(rule, at, now, using, walked))


def _occasion(rule: CompiledRule, at: datetime, now: datetime) -> Occasion:
    day = local(at, zone_of(rule.schedule or {})).date()
    return Occasion(DUE, now, actor.NOWHERE, {"at": at.astimezone(UTC).isoformat(), "date": day.isoformat()})


def _told(rule: CompiledRule, at: datetime, now: datetime, using: str, walked: Walked | None) -> uuid.UUID | None:
    """Tell it, and return the event, or the run, that it led to."""
    occasion = _occasion(rule, at, now)
    if (rule.schedule or {}).get("of") == "each":
        return start_run(rule.slug, signal=DUE, due=occasion.due).pk
    if walks(rule):
        return None if walked is None or walked.at != at else _tell_rows(rule, walked, occasion, using)
    return tell_of_none(rule, occasion, using=using, rule_set=cache.current().number)


def _tell_rows(rule: CompiledRule, walked: Walked, occasion: Occasion, using: str) -> uuid.UUID | None:
    """Tell the rule of the objects that its condition has selected, all at once; not where there are none."""
    model = find_model(rule.model)
    if model is None or not walked.count:
        return None
    tree = snapshot.tree_of(rule.action_reads).get("rows", {})
    stored: models.QuerySet[Any] = UncachedQuerySet(model, using=using)
    with snapshot.within_event({}):
        rows = snapshot.rows_of(stored.filter(pk__in=walked.keys).order_by("pk"), tree)
    due = {**(occasion.due or {}), "count": walked.count}
    counted = Occasion(occasion.signal, occasion.occurred_at, occasion.origin, due)
    return tell_of_rows(rule, label_of(model), rows, counted, using=using, rule_set=cache.current().number)


def selected(rule: CompiledRule, occasion: Occasion, using: str, most: int) -> tuple[list[Any], int]:
    """Return the keys of the first so many objects that the condition selects, and how many it selects.

    Raises what reading raises, as ``ConditionError`` where the condition cannot be asked of one.
    """
    model = find_model(rule.model)
    if model is None:
        return [], 0
    rows = selecting.rows_of(model, rule, using)
    if rule.condition is None:
        return list(rows.values_list("pk", flat=True)[:most]), rows.order_by().count()
    keys: list[Any] = []
    count = 0
    with actor.again(occasion.origin), reading_current(using):
        for part in selecting.in_parts(rows):
            for instance in part:
                said = ask_of(rule, subject_of(instance, occasion))
                if said is not None and said.outcome == "error":
                    raise ConditionError(said.detail)
                if said is not None and said.outcome == "matched":
                    count += 1
                    keys += [instance.pk] if len(keys) < most else []
    return keys, count
