"""Forgets what is old: by age, in batches that never hold up a writer."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import models, router
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from rules_engine import conf
from rules_engine.audit import sealing
from rules_engine.audit.hashing import keys_of
from rules_engine.databases import database_of
from rules_engine.databases.removing.removed import Parts
from rules_engine.models import (
    Attempt,
    AuditEntry,
    AuditSeal,
    CapturedChange,
    Event,
    Execution,
    Firing,
    Heartbeat,
    HeldMatch,
    LargeChange,
    MailHour,
    Pause,
    Reservation,
    Rule,
    RuleError,
    RuleFailures,
    Run,
    Tally,
)
from rules_engine.models.execution import LIVE
from rules_engine.outbox import partitions
from rules_engine.rules.schedules.kind import LONGEST_LATENESS
from rules_engine.work.repeating import against_rivals

SECONDS_A_DAY = 24 * 3600
#: Rows removed together, at most and at least, and the seconds that this is to take: fewer of them after a batch that
#: took longer. A pause as long as the batch, up to ``LONGEST_PAUSE`` seconds, leaves the server to who saves meanwhile.
BATCH, SMALLEST_BATCH = 1_000, 50
BATCH_SECONDS, LONGEST_PAUSE = 0.05, 0.25

#: Days that a reservation is kept after it ended, for transactions that began before. Not a record of anything.
RESERVATION_DAYS = 1

#: Days that something is late at most which still acts, and two for clocks that are set back.
LATEST_DAYS = LONGEST_LATENESS // SECONDS_A_DAY + 2

#: Days that a host is remembered that is no longer at work.
HEARTBEAT_DAYS = 7

#: Days that a number is kept which nothing is added to any more, such as those of a rule that was deleted.
TALLY_DAYS = 90

#: Days that the failures of a rule are kept at least.
FAILURE_DAYS = 2

#: Days that it is remembered how many mails were sent in an hour.
MAIL_HOUR_DAYS = 7


def _older_than(days: float, column: str = "created_at") -> dict[str, Any]:
    return {f"{column}__lt": Now() - timedelta(days=days)}


@dataclass(frozen=True, slots=True)
class Old:
    """Rows that are to be forgotten. ``parts`` are rows that hang on each by that foreign key, and go with it."""

    rows: QuerySet[Any]
    #: The column whose index brings the old ones first.
    along: str = "created_at"
    parts: Parts | None = None

    def tables(self) -> Sequence[type[models.Model]]:
        """Return the tables."""
        return [*(() if self.parts is None else (self.parts.model,)), self.rows.model]

    def counts(self) -> Iterator[tuple[type[models.Model], int]]:
        """Yield how many rows there are of each table."""
        if self.parts is not None:
            model, key = self.parts
            yield model, model._default_manager.filter(**{f"{key}__in": self.rows.values("pk")}).count()
        yield self.rows.model, self.rows.count()


def prune(*, dry_run: bool = False) -> dict[str, int]:
    """Remove what is older than RETENTION_DAYS and AUDIT_RETENTION_DAYS. Returns the rows by table name.

    What has not ended is kept however old it is, and so is its event. Reservations that ended go after a day, whatever
    the settings. Nobody waits for it: a row that another transaction has locked is left to the next time. With
    ``dry_run`` the rows are only counted. Where tables are partitioned, old partitions go as a whole, and new ones are
    made ahead.
    """
    counts: dict[str, int] = {}
    if not dry_run:
        partitions.extend()
        counts = {_name(model): rows for model, rows in partitions.drop_old().items()}
    for old in _prunable():
        for model in old.tables():
            counts.setdefault(_name(model), 0)
        for model, number in old.counts() if dry_run else _forgotten(old):
            counts[_name(model)] += number
    return counts


def _name(model: type[models.Model]) -> str:
    return str(model._meta.verbose_name_plural)


def _prunable() -> Iterator[Old]:
    days = conf.retention_days()
    if days is not None:
        ended = Execution.objects.filter(**_older_than(days)).exclude(state__in=LIVE)
        yield Old(ended, parts=Parts(Attempt, "execution"))
        yield Old(_left_behind(days), along="pk")
        decided = HeldMatch.objects.filter(**_older_than(max(days, _longest_throttle())))
        # What a rule said "once" of is kept: it would say it again.
        acted_once = Q(state=HeldMatch.State.RELEASED) & ~Q(once_key="")
        yield Old(decided.exclude(state=HeldMatch.State.WAITING).exclude(acted_once))
        waiting = HeldMatch.objects.filter(event=OuterRef("pk"), state=HeldMatch.State.WAITING)
        acted_on = Execution.objects.filter(event=OuterRef("pk"))
        yield Old(Event.objects.filter(~Exists(acted_on), ~Exists(waiting), **_older_than(days)))
        # A firing keeps what is due from acting again for as long as that may be late, of whichever rule.
        yield Old(Firing.objects.filter(due_at__lt=Now() - timedelta(days=max(days, LATEST_DAYS))), along="due_at")
        yield Old(RuleError.objects.filter(**_older_than(days)), along="pk")
        # What is told of each day is not forgotten meanwhile, nor is what the breaker still counts.
        failed = _older_than(max(days, FAILURE_DAYS, conf.breaker().seconds / SECONDS_A_DAY), "last_failed_at")
        yield Old(RuleFailures.objects.filter(**failed), along="last_failed_at")
        yield Old(LargeChange.objects.filter(**_older_than(days)))
        yield Old(CapturedChange.objects.filter(**_older_than(days, "captured_at")), along="pk")
        yield Old(Run.objects.filter(**_older_than(days)).exclude(state__in=Run.LIVE), along="pk")
        yield Old(Pause.objects.filter(**_older_than(days, "until")), along="until")
    audit_days = conf.audit_retention_days()
    if audit_days is not None:
        yield Old(AuditEntry.objects.filter(**_older_than(audit_days, "at")), along="at")
    yield Old(Heartbeat.objects.filter(**_older_than(HEARTBEAT_DAYS, "seen_at")), along="seen_at")
    yield Old(Tally.objects.filter(**_older_than(TALLY_DAYS, "counted_at")), along="pk")
    yield Old(MailHour.objects.filter(**_older_than(MAIL_HOUR_DAYS, "hour")), along="hour")
    yield Old(Reservation.objects.filter(**_older_than(RESERVATION_DAYS, "held_until")), along="held_until")


def _left_behind(days: float) -> QuerySet[Attempt]:
    """Give old attempts whose execution is gone: earlier releases could forget the one without the other.

    They are looked for as far as attempts are old, by their keys, which are given out in order; there is no index of
    their times.
    """
    execution = Execution.objects.filter(pk=OuterRef("execution"))
    attempts = Attempt.objects.filter(~Exists(execution), **_older_than(days, "started_at"))
    young = Attempt.objects.filter(started_at__gte=Now() - timedelta(days=days)).order_by("pk")
    first = young.values_list("pk", flat=True).first()
    return attempts if first is None else attempts.filter(pk__lt=first)


def _forgotten(old: Old) -> Iterator[tuple[type[models.Model], int]]:
    """Remove them, a batch after another; yields how many of each table."""
    if old.rows.model is AuditEntry:
        yield AuditEntry, _forget(old.rows, AuditSeal.Reason.RETENTION)
        return
    using = router.db_for_write(old.rows.model)
    rows = old.rows.using(using)
    start: Any = None
    passed: list[Any] = []
    size = BATCH
    while True:
        began = time.monotonic()
        # From where the last batch ended: what was removed stays in the index for a while, to be passed over.
        left = rows if start is None else rows.filter(**{f"{old.along}__gte": start}).exclude(pk__in=passed)
        removed = against_rivals(partial(database_of(using).remove, left, size, old.along, old.parts))
        if removed.last is None:
            return
        if old.parts is not None:
            yield old.parts.model, removed.parts
        yield old.rows.model, removed.rows
        passed = [*(passed if start == removed.last else ()), *removed.left]
        start, took = removed.last, time.monotonic() - began
        size = next_size(size, took)
        time.sleep(min(took, LONGEST_PAUSE))


def next_size(size: int, seconds: float) -> int:
    """Return how many rows are removed together after so many that took so long."""
    if seconds > BATCH_SECONDS:
        return max(size // 2, min(size, SMALLEST_BATCH))
    return min(2 * size, BATCH) if 2 * seconds < BATCH_SECONDS else size


def _longest_throttle() -> float:
    """Give the days that a throttle looks back, at most: what it counts is not forgotten before."""
    longest = Rule.objects.aggregate(seconds=Max("throttle_seconds"))["seconds"] or 0
    return float(longest) / SECONDS_A_DAY


def remove(rows: QuerySet[Any], reason: AuditSeal.Reason = AuditSeal.Reason.RETENTION) -> int:
    """Remove rows in batches; audit entries leave a seal that says why. Returns their number."""
    if rows.model is AuditEntry:
        return _forget(rows, reason)
    total = 0
    model: type[models.Model] = rows.model
    while True:
        batch = list(rows.order_by().values_list("pk", flat=True)[:BATCH])
        if not batch:
            return total
        # Without Django's collector: none of these tables has rows that hang on it by a constraint.
        total += model._default_manager.filter(pk__in=batch)._raw_delete(rows.db)


def _forget(entries: QuerySet[AuditEntry], reason: AuditSeal.Reason) -> int:
    """Remove audit entries by their one door, which seals that they were removed and why."""
    total = 0
    while True:
        keys = keys_of(entries.order_by(), sealing.BATCH)
        forgotten = against_rivals(partial(sealing.forget, keys, reason)) if keys else 0
        if not forgotten:
            return total
        total += forgotten
