"""Reserving a value for a row that is about to be saved, without ever waiting for somebody else's transaction.

The unique digest of ``Reservation`` decides. Who saves outside of a transaction commits the reservation before the row
is stored, and it holds for as long as a save may take. Who is in a transaction writes it there: it is committed with
the row, which then speaks for itself, so it holds no longer than that.

On PostgreSQL an advisory lock tells which values are on their way in open transactions, so that nobody runs into their
reservations, where he would have to wait. One transaction takes a bounded number of them (``databases.postgresql``);
what an import reserves beyond that, others find by a short lock timeout.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from django.db import OperationalError, connections, transaction

from rules_engine.databases import database_of
from rules_engine.models.reservation import Reservation

#: How long a value is held for a save without a transaction: by then it is stored, or its save failed.
HOLD_SECONDS = 60
#: Tries of one save. Each is a few round trips, and values that open transactions have taken are passed over in one.
MOST_TRIES = 50


class Busy(Exception):
    """No value could be reserved without waiting for another transaction, or within a bounded number of tries."""


class _Taken(Exception):
    """Undoes a try."""


def can_reserve(using: str) -> bool:
    """Whether this database has what it takes: an INSERT that says what to do about a row that is there."""
    return database_of(using).can_reserve


def reserve_first(using: str, digests: Sequence[uuid.UUID], is_stored: Callable[[int], bool]) -> int | None:
    """The number of the first of these digests that can be had, reserved; None where others have them all.

    ``is_stored`` looks, once a digest is reserved, whether a row has that value by now. Each try is in a savepoint, or
    in a transaction of its own where the caller has none. Raises ``Busy``, or ``DatabaseError`` with the caller's
    transaction as it was.
    """
    database = database_of(using)
    seconds = HOLD_SECONDS if connections[using].get_autocommit() else 0
    start = tries = 0
    while start < len(digests):
        tries += 1
        if tries > MOST_TRIES:
            raise Busy
        try:
            with transaction.atomic(using=using):
                before, passed = database.pass_reserved(Reservation, digests[start:], using)
                if passed is None:
                    return None
                start += passed
                if not database.reserve(Reservation, digests[start].hex, seconds, using) or is_stored(start):
                    raise _Taken
                if before:
                    database.restore(before, using)
                return start
        except _Taken:
            start += 1
        except OperationalError as error:
            start += 1
            if database.is_lock_timeout(error):
                raise Busy from error
            if not database.is_lost_race(error):
                raise
    return None
