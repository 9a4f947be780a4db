"""Sealing entries, and forgetting them in a way that the chain tells from tampering."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from rules_engine.audit.hashing import entry_hash, keys_of, rows_of, seal_hash
from rules_engine.databases import database_of
from rules_engine.models import AuditEntry, AuditSeal

#: Entries of one seal: a transaction of some milliseconds.
BATCH = 500
#: The lock of whoever adds to the chain, until the commit.
LOCK = 0x52_75_6C_65_73_5E_A1

#: Keys of entries and their hashes.
Hashes = list[list[str]]


def seal_due(seconds: float) -> int:
    """Seal what is not sealed until all is, or the time is up. Returns the entries sealed."""
    end, total = time.monotonic() + seconds, 0
    while True:
        sealed = seal_next()
        total += sealed
        if sealed < BATCH or time.monotonic() >= end:
            return total


def seal_next() -> int:
    """Seal one batch; returns how many entries. None where another worker is at it.

    By what each row says of itself and not by the order of keys or times: an entry whose transaction took long has its
    turn when it is committed.
    """
    using = router.db_for_write(AuditSeal)
    if not AuditEntry.objects.using(using).unsealed().exists():
        return 0
    try:
        with transaction.atomic(using=using):
            if not database_of(using).has_turn(LOCK, using):
                return 0
            rows = rows_of(keys_of(AuditEntry.objects.using(using).unsealed(), BATCH), using)
            if not rows:
                return 0
            entries = [[key, entry_hash(row)] for key, row in rows.items()]
            newest = max((row["created_at"] for row in rows.values() if row.get("created_at")), default=None)
            seal = _append(using, entries=entries, newest=newest)
            return AuditEntry.objects.using(using).mark_sealed([UUID(key) for key in rows], seal.number)
    except IntegrityError:
        return 0  # without locks, on a database that has none for us, another worker was quicker


def forget(keys: Collection[Any], reason: AuditSeal.Reason) -> int:
    """Remove entries, and seal that this was done, why, and what they were. Returns how many were removed."""
    using = router.db_for_write(AuditSeal)
    with transaction.atomic(using=using):
        database_of(using).wait_for_turn([LOCK], using)
        rows = rows_of(keys, using)
        removed = [[key, entry_hash(row)] for key, row in rows.items() if row["seal"] is not None]
        if removed:
            _append(using, removed=removed, reason=reason)
        return AuditEntry.objects.using(using).forget([UUID(key) for key in rows])


def _append(
    using: str, *, entries: Hashes | None = None, removed: Hashes | None = None, reason: str = "", newest: Any = None
) -> AuditSeal:
    last = AuditSeal.objects.using(using).defer("entries", "removed").order_by("-number").first()
    times: list[datetime] = [moment for moment in (newest, last and last.until) if moment]
    seal = AuditSeal(
        number=last.number + 1 if last else 1,
        sealed_at=timezone.now(),
        entries=entries or [],
        removed=removed or [],
        reason=str(reason),
        until=max(times, default=None),
        total=(last.total if last else 0) + len(entries or ()),
        previous=last.hash if last else "",
    )
    seal.hash = seal_hash(seal)
    seal.save(using=using)
    return seal
