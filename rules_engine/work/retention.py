"""Forgets what is old: by age, in batches that never hold up a writer, or at once for one object."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import models
from django.db.models import Exists, Max, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from rules_engine import conf
from rules_engine.audit import sealing
from rules_engine.audit.hashing import keys_of
from rules_engine.models import (
    Attempt,
    AuditEntry,
    AuditSeal,
    Event,
    Execution,
    Heartbeat,
    HeldMatch,
    LargeChange,
    MailHour,
    Pause,
    Reservation,
    Rule,
    RuleError,
)
from rules_engine.models.execution import LIVE
from rules_engine.models.inheritance import names_of, of_names
from rules_engine.work.repeating import against_rivals

#: Rows removed by one statement: a few milliseconds of locks.
BATCH = 1_000

#: Days that a reservation is kept after it ended, for transactions that began before. Not a record of anything.
RESERVATION_DAYS = 1

#: Days that a host is remembered that is no longer at work.
HEARTBEAT_DAYS = 7

#: Days that it is remembered how many mails were sent in an hour.
MAIL_HOUR_DAYS = 7
SECONDS_A_DAY = 24 * 3600


def _older_than(days: float, column: str = "created_at") -> dict[str, Any]:
    return {f"{column}__lt": Now() - timedelta(days=days)}


def prune(*, dry_run: bool = False) -> dict[str, int]:
    """Remove what is older than RETENTION_DAYS and AUDIT_RETENTION_DAYS. Returns the rows by table name.

    What has not ended is kept however old it is, and so is its event. Reservations that ended go after a day, whatever
    the settings. With ``dry_run`` the rows are only counted.
    """
    counts: dict[str, int] = {}
    for rows in _prunable():
        name = rows.model._meta.verbose_name_plural or rows.model.__name__
        counts[str(name)] = rows.count() if dry_run else _remove(rows)
    return counts


def _prunable() -> Iterator[QuerySet[Any]]:
    days = conf.retention_days()
    if days is not None:
        ended = Execution.objects.filter(**_older_than(days)).exclude(state__in=LIVE)
        yield Attempt.objects.filter(execution__in=ended.values("pk"))
        yield ended
        decided = HeldMatch.objects.filter(**_older_than(max(days, _longest_throttle())))
        # What a rule said "once" of is kept: it would say it again.
        acted_once = Q(state=HeldMatch.State.RELEASED) & ~Q(once_key="")
        yield decided.exclude(state=HeldMatch.State.WAITING).exclude(acted_once)
        waiting = HeldMatch.objects.filter(event=OuterRef("pk"), state=HeldMatch.State.WAITING)
        acted_on = Execution.objects.filter(event=OuterRef("pk"))
        yield Event.objects.filter(~Exists(acted_on), ~Exists(waiting), **_older_than(days))
        yield RuleError.objects.filter(**_older_than(days))
        yield LargeChange.objects.filter(**_older_than(days))
        yield Pause.objects.filter(**_older_than(days, "until"))
    audit_days = conf.audit_retention_days()
    if audit_days is not None:
        yield AuditEntry.objects.filter(**_older_than(audit_days, "at"))
    yield Heartbeat.objects.filter(**_older_than(HEARTBEAT_DAYS, "seen_at"))
    yield MailHour.objects.filter(**_older_than(MAIL_HOUR_DAYS, "hour"))
    yield Reservation.objects.filter(**_older_than(RESERVATION_DAYS, "held_until"))


def _longest_throttle() -> float:
    """Give the days that a throttle looks back, at most: what it counts is not forgotten before."""
    longest = Rule.objects.aggregate(seconds=Max("throttle_seconds"))["seconds"] or 0
    return float(longest) / SECONDS_A_DAY


def _remove(rows: QuerySet[Any], reason: AuditSeal.Reason = AuditSeal.Reason.RETENTION) -> int:
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


def erase(model: str, pk: str, *, dry_run: bool = False) -> dict[str, int]:
    """Remove all that is recorded of one object, audit entries included: for a person's right to be forgotten.

    As whichever of its models it was recorded: itself, what it inherits from, what inherits from it.
    """
    names = names_of(model, pk)
    events = Event.objects.filter(of_names(names))
    once_keys = [f"{name.label}:{name.pk}" for name in names]
    executions = Execution.objects.filter(event__in=events.values("pk"))
    tables: tuple[QuerySet[Any], ...] = (
        Attempt.objects.filter(execution__in=executions.values("pk")),
        executions,
        HeldMatch.objects.filter(Q(event__in=events.values("pk")) | Q(once_key__in=once_keys)),
        RuleError.objects.filter(event_id__in=events.values("pk")),
        events,
        AuditEntry.objects.filter(of_names(names)),
    )
    return {
        str(rows.model._meta.verbose_name_plural): rows.count() if dry_run else _remove(rows, AuditSeal.Reason.ERASURE)
        for rows in tables
    }
