"""Looks for what is due, and has it told: one look a rule, in transactions of some hundred objects, of one worker."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connections, models, transaction
from django.db.models import DateTimeField, F, Value
from django.db.models.functions import Now

from rules_engine.capture.one_rule.telling import Occasion, tell
from rules_engine.context import actor
from rules_engine.databases import database_of
from rules_engine.databases.generic import passing_locked
from rules_engine.databases.insertion import insert
from rules_engine.live import cache
from rules_engine.models import Firing, RuleError, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.types import Unread, ask
from rules_engine.work.runs.starting import why_not_told
from rules_engine.work.schedules import every
from rules_engine.work.schedules.arming import arm_anew, digest_of_rule, keep_armed
from rules_engine.work.schedules.dates import DISORDER, Dates, Due
from rules_engine.work.schedules.first_look import begin_to_wait
from rules_engine.work.schedules.lateness import earliest

logger = logging.getLogger("rules_engine")

#: Objects that are told, and recorded, in one transaction.
BATCH = 500
#: Seconds between two looks for dates: four of these pass at most before what is due is begun.
LOOK_SECONDS = 15
#: How far an ordinary look goes back, for dates that a transaction brought in which was begun before the last one.
OVERLAP = timedelta(minutes=10)
#: Seconds between two looks that go back as far as anything may be late; more, where one takes long.
WIDE_SECONDS = 60
#: A wide look is made so seldom that looks take no more than this part of a worker's time.
WIDE_SHARE = 0.02
#: Seconds until a rule is looked after again that could not be.
TROUBLE_SECONDS = 60
#: Until a rule is looked after that is another one than this process knows.
AT_ONCE = timedelta(seconds=1)


def _rows() -> models.QuerySet[Schedule]:
    return Schedule.objects.using(cache.alias())


def due(now: datetime | None = None) -> models.QuerySet[Schedule]:
    """Return the rules on time that are to be looked after."""
    at = Now() if now is None else Value(now, output_field=DateTimeField())
    return _rows().filter(next_look_at__lte=at)


def is_any_due(now: datetime | None = None) -> bool:
    """Say whether some rule on time is to be looked after."""
    keep_armed()
    return due(now).exists()


def look_due(*, seconds: float = float("inf"), now: datetime | None = None) -> int:
    """Look after each rule on time whose turn it is, or until the time is up. Returns how much was told.

    ``now`` is the time to go by, for tests; None is the database's.
    """
    end, total = time.monotonic() + seconds, 0
    elsewhere: set[str] = set()
    keep_armed()
    slug = _next(now, elsewhere)
    if slug is None:
        return 0
    # The rules as they are now: what is due may be said by newer ones than this process has.
    cache.refresh()
    keep_armed()
    while slug is not None and time.monotonic() < end:
        looked = ask(_look, slug, now)
        if isinstance(looked, Unread):
            elsewhere.add(slug)
            if not database_of(cache.alias()).is_rivalry(looked.error):
                _put_back(slug, looked.error, now)
        elif looked is None:
            elsewhere.add(slug)  # another worker is at it
        else:
            total += looked
        slug = _next(now, elsewhere)
    return total


def _next(now: datetime | None, elsewhere: Collection[str]) -> str | None:
    rows = due(now).exclude(rule_slug__in=elsewhere)
    return rows.order_by("next_look_at", "rule_slug").values_list("rule_slug", flat=True).first()


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look: the columns of the schedule that it sets, and how much was told."""

    told: int
    columns: dict[str, Any]


def _look(slug: str, at: datetime | None) -> int | None:
    """Look once; None where another worker has it."""
    using = cache.alias()
    with transaction.atomic(using=using):
        row: Any = passing_locked(due(at).filter(pk=slug)).annotate(now=Now()).first()
        if row is None or not _is_first(row, using):
            return None
        now: datetime = row.now if at is None else at
        looked = _looked(row, now, using)
        _rows().filter(pk=slug).update(**{"error": "", "step": F("step") + 1, **looked.columns})
        if error := looked.columns.get("error"):
            _tell_error(row, error)
        return looked.told


def _is_first(row: Schedule, using: str) -> bool:
    """Say whether no other worker looks: where no row is locked, the second waits here, and finds that the first has
    been there."""
    if connections[using].features.has_select_for_update:
        return True
    return bool(_rows().filter(pk=row.pk, step=row.step).update(step=F("step") + 1))


def _looked(row: Schedule, now: datetime, using: str) -> Looked:
    rule_set = cache.current()
    if row.rule_slug in rule_set.paused and rule_set.paused[row.rule_slug][1] is None:
        # What happens meanwhile is not looked at.
        return Looked(0, {"since": now, "looked_until": now, "next_look_at": now + timedelta(seconds=LOOK_SECONDS)})
    rule = rule_set.find(row.rule_slug)
    if rule is None:
        # It was switched on since this process read the rules, or off.
        return Looked(0, {"next_look_at": now + timedelta(seconds=LOOK_SECONDS)})
    if rule.fault:
        return _troubled(rule.fault, now)
    if digest_of_rule(rule) != row.digest:
        # It was edited since this process read the rules; the next call reads them anew, and arms by them.
        arm_anew()
        return Looked(0, {"next_look_at": now + AT_ONCE})
    if rule.model and (trouble := why_not_told(rule)):
        return _troubled(trouble, now)
    schedule = rule.schedule or {}
    if rule.arms is not None:
        return Looked(0, begin_to_wait(row, rule, rule.arms, now, using))
    if row.looked_until is not None and now < row.looked_until:
        # The clock was set back: what is due is done with until then.
        return Looked(0, {"next_look_at": min(row.looked_until, now + timedelta(seconds=TROUBLE_SECONDS))})
    if schedule["kind"] == every.KIND:
        told, columns = every.look(row, rule, now, using)
        return Looked(told, columns)
    return _look_at_dates(row, rule, now, using)


def _troubled(error: str, now: datetime) -> Looked:
    return Looked(0, {"error": error, "next_look_at": now + timedelta(seconds=TROUBLE_SECONDS)})


def _look_at_dates(row: Schedule, rule: CompiledRule, now: datetime, using: str) -> Looked:
    started = time.monotonic()
    dates = Dates(rule.slug, rule.model, rule.schedule or {}, using, since=row.since)
    begin, is_wide = earliest(row, rule, now), row.looked_until is None or row.next_wide_at <= now
    skipped = _skipped(row, dates, begin)
    if not is_wide and row.looked_until is not None:
        begin = max(begin, row.looked_until - OVERLAP)
    found = dates.find(begin, now, BATCH + 1)
    told = _tell(dates, rule, found[:BATCH], begin, now)
    columns: dict[str, Any] = {"skipped": row.skipped + skipped}
    if is_wide:
        wait = max(WIDE_SECONDS, (time.monotonic() - started) / WIDE_SHARE)
        columns["next_wide_at"] = now + timedelta(seconds=wait)
    if len(found) > BATCH:
        # The next batch goes on from here, in order.
        last = found[BATCH - 1].due_at
        columns |= {"looked_until": last if dates.is_in_order else last - DISORDER, "next_look_at": now}
    else:
        columns |= {"looked_until": now, "next_look_at": now + timedelta(seconds=LOOK_SECONDS)}
    return Looked(told, columns)


def _skipped(row: Schedule, dates: Dates, begin: datetime) -> int:
    """Count what was due since the last look and is too late by now. One query, after a stop alone."""
    if row.looked_until is None or begin <= max(row.looked_until, row.since):
        return 0
    since = max(row.looked_until, row.since)
    found = dates.windows(since, begin)
    count = dates.unfired(found, since).count() if found else 0
    if count:
        logger.warning("%s left out %s objects that were due too long ago.", row.rule_slug, count)
    return count


def _tell(dates: Dates, rule: CompiledRule, found: Collection[Due], begin: datetime, now: datetime) -> int:
    due = dates.read(found, begin, now) if found else []
    if not due:
        return 0
    objects = [each.instance for each in due if each.instance is not None]
    answers = tell(
        rule,
        objects,
        Occasion(DUE, now, actor.NOWHERE),
        using=dates.using,
        rule_set=cache.current().number,
        dues=[dates.told(each) for each in due],
    )
    firings = [dates.firing(each, answer.event_id) for each, answer in zip(due, answers, strict=True)]
    insert(Firing, firings, dates.using)
    return len(due)


def _put_back(slug: str, error: Exception, now: datetime | None) -> None:
    logger.error("What is due by %s could not be told; it is tried again.", slug, exc_info=error)
    row = _rows().annotate(now=Now()).filter(pk=slug).first()
    if row is None:
        return
    at: datetime = now or row.now
    message = Unread(error).message
    _rows().filter(pk=slug).update(error=message, next_look_at=at + timedelta(seconds=TROUBLE_SECONDS))
    _tell_error(row, message)


def _tell_error(row: Schedule, error: str) -> None:
    """Put it on record for the rule, once."""
    if row.error != error:
        rule = cache.current().find(row.rule_slug)
        version = 0 if rule is None else rule.version
        RuleError.objects.using(cache.alias()).create(rule_slug=row.rule_slug, rule_version=version, message=error)
