"""Looks for what is due: one look a rule and place, of one worker.

Nearly always nothing is. Then a look is a query for the rules whose turn it is, and of each rule on a date one by the
index and one UPDATE, in no transaction and without a lock. What is due is told in transactions of some hundred objects.

Where a site lists its surroundings, each of them is looked after by itself: those that have waited longest first, and
what is wrong in one stops no other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from django.db import connections, models, transaction
from django.db.models import DateTimeField, F, Subquery, Value
from django.db.models.functions import Now

from rules_engine.databases import database_of
from rules_engine.databases.generic import passing_locked
from rules_engine.databases.prepared.queries import Mark, Prepared, PreparedUpdate, prepare, prepare_update
from rules_engine.live import cache
from rules_engine.models import RuleSetVersion, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.surroundings.state import shown, within
from rules_engine.types import Unread, ask
from rules_engine.work.runs.starting import why_not_told
from rules_engine.work.schedules import dates_looked_at, every
from rules_engine.work.schedules.arming import arm_anew, digest_of_rule, keep_armed
from rules_engine.work.schedules.dates_looked_at import LOOK_SECONDS, Found, tell_found
from rules_engine.work.schedules.first_look import begin_to_wait
from rules_engine.work.schedules.told_errors import is_news, tell_error

logger = logging.getLogger("rules_engine")

#: Rules whose turn it is that are read at once.
TURNS = 200
#: Seconds until a rule is looked after again that could not be.
TROUBLE_SECONDS = 60
#: Seconds for which other workers leave a rule alone while one walks through its objects.
WALK_SECONDS = 120
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
    elsewhere: set[int] = set()
    keep_armed()
    rows = _turns(now, elsewhere)
    # What is due may be said by newer rules than this process has: it goes by those, and by what they arm.
    if rows and cache.is_behind(rows[0].rule_set):
        cache.refresh()
        keep_armed()
        rows = _turns(now, elsewhere)
    while rows and time.monotonic() < end:
        is_more = len(rows) == TURNS
        for place, there in _by_place(rows).items():
            if time.monotonic() < end:
                told = _look_in(place, there, now, end, elsewhere)
                total += told
                is_more = is_more or told > 0
        rows = _turns(now, elsewhere) if is_more else []
    return total


def _by_place(rows: Sequence[Any]) -> dict[str, list[Any]]:
    """Return the schedules by the surroundings in which their rules are looked after, in the order in which those come
    first: so each is entered once."""
    found: dict[str, list[Any]] = {}
    for row in rows:
        rule = cache.current().find(row.rule_slug)
        found.setdefault(row.surroundings if rule is None else rule.surroundings or row.surroundings, []).append(row)
    return found


def _look_in(place: str, rows: Sequence[Any], now: datetime | None, end: float, elsewhere: set[int]) -> int:
    """Look after these rules in one place, as far as the time reaches. Returns how much was told; ``elsewhere`` gets
    those that are not to be looked after again in this call."""
    looked = ask(_look_within, place, rows, now, end, elsewhere)
    if not isinstance(looked, Unread):
        return looked
    for row in rows:  # it could not be entered
        elsewhere.add(row.pk)
        _put_back(row, looked.error, now)
    return 0


def _look_within(place: str, rows: Sequence[Any], now: datetime | None, end: float, elsewhere: set[int]) -> int:
    told = 0
    with within(place):
        for row in rows:
            told += _look_at(row, now, elsewhere)
            if time.monotonic() >= end:
                break
    return told


def _look_at(row: Any, now: datetime | None, elsewhere: set[int]) -> int:
    looked = ask(_look, row, cache.current().find(row.rule_slug), row.now if now is None else now)
    if isinstance(looked, Unread):
        elsewhere.add(row.pk)
        if not database_of(cache.alias()).is_rivalry(looked.error):
            _put_back(row, looked.error, now)
    elif looked is None:
        elsewhere.add(row.pk)  # another worker is at it
    return looked.told if isinstance(looked, Looked) else 0


def _turns(now: datetime | None, elsewhere: Collection[int]) -> list[Any]:
    """Return the schedules whose turn it is, with the database's time, and the number of the rule set."""
    if elsewhere:
        return list(_in_turn(due(now).exclude(pk__in=elsewhere)))
    return _usual_turns(cache.alias(), now is None).ask(*([] if now is None else [now]))


def _in_turn(rows: models.QuerySet[Schedule]) -> models.QuerySet[Schedule]:
    number = RuleSetVersion.objects.filter(pk=1).values("number")
    told = rows.annotate(now=Now(), rule_set=Subquery(number))
    return told.order_by("next_look_at", "surroundings", "pk")[:TURNS]


@lru_cache(maxsize=8)
def _usual_turns(using: str, is_by_database: bool) -> Prepared[Any]:
    """The question with which each look begins; whether it is by the database's clock, or by a moment that is given."""
    if is_by_database:
        return prepare(_in_turn(due()))
    now = Mark.of(Schedule, "next_look_at")
    return prepare(_in_turn(due(now.value)), now)


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a look: the columns of the schedule that it sets, and how much was told."""

    told: int
    columns: dict[str, Any]


def _look(row: Schedule, rule: CompiledRule | None, now: datetime) -> Looked | None:
    """Look once; None where another worker has it, or has looked since the row was read."""
    using = cache.alias()
    looked = _stopped(row, rule, now)
    found: Found | None = None
    if looked is None and rule is not None and (rule.schedule or {}).get("kind") == dates_looked_at.KIND:
        found = dates_looked_at.find(row, rule, now, using)
        looked = Looked(0, found.columns) if found.is_nothing else None
    if looked is not None:
        return looked if _note(row, looked) else None
    walked: every.Walked | None = None
    if rule is not None and every.walks(rule):
        if not _keep_others_off(row, now):
            return None
        walked = every.walk(row, rule, now, using)
    with transaction.atomic(using=using):
        if rule is None or not _has_turn(row, using):
            return None
        looked = _told(row, rule, now, using, walked) if found is None else Looked(tell_found(found), found.columns)
        # The row is this worker's until the end.
        _note(row, looked, is_own=True)
    return looked


def _keep_others_off(row: Schedule, now: datetime) -> bool:
    """Have other workers leave the rule alone while this one walks through its objects; should it die, for so long."""
    row.step += 1
    rows = _rows().filter(pk=row.pk, step=row.step - 1)
    return bool(rows.update(step=row.step, next_look_at=now + timedelta(seconds=WALK_SECONDS)))


def _has_turn(row: Schedule, using: str) -> bool:
    """Say whether this worker has the rule until its transaction ends, and no other has looked since the row was read.
    Where no row is locked, the second waits here, and finds that the first has been there."""
    same = _rows().filter(pk=row.pk, step=row.step)
    if connections[using].features.has_select_for_update:
        return passing_locked(same).first() is not None
    return bool(same.update(step=row.step))


def _note(row: Schedule, looked: Looked, *, is_own: bool = False) -> bool:
    """Keep how far it was looked; say whether no other worker has done so since the row was read."""
    columns = {"error": "", **looked.columns}
    update = _noting(cache.alias(), tuple(columns), is_own)
    is_first = bool(update.make(*columns.values(), row.pk, *([] if is_own else [row.step])))
    if is_first and columns["error"]:
        tell_error(row, columns["error"])
    return is_first


@lru_cache(maxsize=64)
def _noting(using: str, columns: tuple[str, ...], is_own: bool) -> PreparedUpdate:
    """The UPDATE that keeps how far it was looked, made once for the same columns."""
    key, step = Mark.of(Schedule, "pk"), Mark.of(Schedule, "step", 1)
    marks = {name: Mark.of(Schedule, name, number) for number, name in enumerate(columns, 2)}
    rows = Schedule.objects.using(using).filter(pk=key.value)
    where = [key] if is_own else [key, step]
    values = {name: mark.value for name, mark in marks.items()}
    set_columns = {**values, "step": F("step") + 1}
    return prepare_update(rows if is_own else rows.filter(step=step.value), set_columns, *marks.values(), *where)


def _stopped(row: Schedule, rule: CompiledRule | None, now: datetime) -> Looked | None:
    """Say why nothing is told of the rule, by when it is to be looked after again; None where it may be told."""
    rule_set = cache.current()
    later = {"next_look_at": now + timedelta(seconds=LOOK_SECONDS)}
    if row.rule_slug in rule_set.paused and rule_set.paused[row.rule_slug][1] is None:
        # What happens meanwhile is not looked at.
        return Looked(0, {"since": now, "looked_until": now, **later})
    if rule is None:
        # It was switched on since this process read the rules, or off.
        return Looked(0, later)
    if rule.fault:
        return _troubled(rule.fault, now)
    if digest_of_rule(rule) != row.digest:
        # It was edited since this process read the rules; the next call reads them anew, and arms by them.
        arm_anew()
        return Looked(0, {"next_look_at": now + AT_ONCE})
    if rule.model and (trouble := why_not_told(rule)):
        return _troubled(trouble, now)
    if rule.arms is None and row.looked_until is not None and now < row.looked_until:
        # The clock was set back: what is due is done with until then.
        return Looked(0, {"next_look_at": min(row.looked_until, now + timedelta(seconds=TROUBLE_SECONDS))})
    return None


def _told(row: Schedule, rule: CompiledRule, now: datetime, using: str, walked: every.Walked | None) -> Looked:
    if rule.arms is not None:
        return Looked(0, begin_to_wait(row, rule, rule.arms, now, using))
    told, columns = every.look(row, rule, now, using, walked)
    return Looked(told, columns)


def _troubled(error: str, now: datetime) -> Looked:
    return Looked(0, {"error": error, "next_look_at": now + timedelta(seconds=TROUBLE_SECONDS)})


def _put_back(row: Schedule, error: Exception, now: datetime | None) -> None:
    message = Unread(error).message
    if is_news(row, message):
        place = f" in {shown(row.surroundings)}" if row.surroundings else ""
        logger.error("What is due by %s%s could not be told; it is tried again.", row.rule_slug, place, exc_info=error)
    stored = _rows().annotate(now=Now()).filter(pk=row.pk).first()
    if stored is None:
        return
    at: datetime = now or stored.now
    _rows().filter(pk=row.pk).update(error=message, next_look_at=at + timedelta(seconds=TROUBLE_SECONDS))
    tell_error(stored, message)
