"""Tables that grow with every match, partitioned by time on PostgreSQL: which, and what becomes of a partition.

Optional, for sites with millions of rows: a whole partition is dropped in milliseconds where its rows would be deleted
one by one, and leave room that autovacuum has to find.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import OperationalError, models, router
from django.utils import timezone

from rules_engine import conf
from rules_engine.databases import database_of, partitions
from rules_engine.databases.partitions import Partition, first_key, moment
from rules_engine.models import Attempt, Event, Execution, HeldMatch
from rules_engine.models.execution import LIVE

logger = logging.getLogger("rules_engine")

#: Which tables, each with the column that says when its rows are from, in the order in which they are dropped: nothing
#: is left that hangs on what is gone.
TABLES: tuple[tuple[type[models.Model], str], ...] = ((Execution, "id"), (Attempt, "execution_id"), (Event, "id"))
#: The order in which saves and workers come to them.
LOCKED: tuple[type[models.Model], ...] = (Event, Execution, Attempt)
#: Days of a partition, and how many are made ahead, unless somebody says otherwise: a month ahead, so that a site whose
#: pruning stood still for weeks has them all the same.
DAYS, AHEAD = 7, 4
#: Each costs a look of whoever asks for all of a rule or an object.
MOST_DAYS, MOST_AHEAD = 366, 100
#: Days at least until the first boundary: what a clock that is ahead has written already must lie before it.
MARGIN = timedelta(days=1)
#: Seconds that a statement waits for a lock. Saves wait behind it meanwhile.
LOCK_SECONDS = 0.5
CONVERT_LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Told:
    """One table as it is: its name, and its partitions, none where it is not partitioned."""

    table: str
    partitions: list[Partition]


def database() -> str:
    """Return the alias of the database that the tables are in."""
    return router.db_for_write(Execution)


def is_possible() -> bool:
    """Say whether the database can do it."""
    return database_of(database()).can_partition


def state() -> list[Told]:
    """Tell each table with its partitions."""
    using = database()
    names = [model._meta.db_table for model, _key in TABLES]
    return [Told(name, partitions.partitions(name, using)) for name in names]


def convert(days: int = DAYS, *, now: datetime | None = None) -> list[str]:
    """Partition the tables that are not, and make partitions ahead; returns which those were.

    All that is there becomes the first partition of each. Raises ``NotPartitioned`` and, where somebody is in the way
    for longer than CONVERT_LOCK_SECONDS, ``OperationalError``; then nothing is changed.
    """
    using, now = database(), now or timezone.now()
    boundary = _boundary(now + MARGIN, days)
    wanted = [(model, key) for model, key in TABLES if not partitions.is_partitioned(model._meta.db_table, using)]
    for model, key in wanted:
        partitions.prepare(model._meta.db_table, key, using)
    with partitions.waiting(CONVERT_LOCK_SECONDS, using):
        # All of them first: a save that has written its event goes on to its execution, and ends.
        partitions.lock_all([model._meta.db_table for model in LOCKED], CONVERT_LOCK_SECONDS, using)
        for model, key in wanted:
            partitions.convert(model._meta.db_table, key, first_key(boundary), using)
    extend(days=days, now=now)
    return [model._meta.db_table for model, _key in wanted]


def _boundary(after: datetime, days: int) -> datetime:
    """Return when the first whole span of so many days begins that begins after that: those of a week, on Mondays."""
    # 2024-01-01 was a Monday.
    epoch, span = datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=days)
    return epoch + ((after - epoch) // span + 1) * span


def extend(ahead: int = AHEAD, *, days: int = DAYS, now: datetime | None = None) -> int:
    """Make partitions until there are so many ahead, as long as the last one; returns how many it made.

    ``days`` is for a table that has none yet but the first.
    """
    using, made = database(), 0
    for told in state() if is_possible() else ():
        ranges = list(_missing(told.partitions, ahead, timedelta(days=days), now or timezone.now()))
        with partitions.waiting(LOCK_SECONDS, using):
            for low, high in ranges:
                partitions.add(told.table, low, high, using)
        made += len(ranges)
    return made


def _missing(known: list[Partition], ahead: int, span: timedelta, now: datetime) -> Iterator[tuple[UUID, UUID]]:
    whole = [partition for partition in known if partition.high is not None]
    if not whole:
        return
    last = whole[-1]
    high = last.high
    if high is None:
        return
    if last.low is not None:
        span = moment(high) - moment(last.low)
    while moment(high) < now + ahead * span:
        low, high = high, first_key(moment(high) + span)
        yield low, high


def drop_old(now: datetime | None = None) -> dict[type[models.Model], int]:
    """Drop the partitions that are wholly older than RETENTION_DAYS and of which nothing is to be kept.

    Returns how many rows they had, by model.

    A partition with something that has not ended stays until it has, and is pruned row by row meanwhile. Nobody waits
    for it longer than LOCK_SECONDS: one that somebody is in the way of is left to the next time.
    """
    days, using = conf.retention_days(), database()
    if days is None or not is_possible():
        return {}
    end = first_key((now or timezone.now()) - timedelta(days=days))
    dropped: dict[type[models.Model], int] = {}
    for model, key in TABLES:
        old = [each for each in partitions.partitions(model._meta.db_table, using) if each.high and each.high <= end]
        for partition in old:
            if _is_needed(model, partition):
                continue
            rows = _within(model._default_manager.all(), "pk" if key == "id" else key, partition).count()
            if _dropped(model, partition, using):
                dropped[model] = dropped.get(model, 0) + rows
    return dropped


def _dropped(model: type[models.Model], partition: Partition, using: str) -> bool:
    try:
        with partitions.waiting(LOCK_SECONDS, using):
            partitions.lock(model._meta.db_table, using)
            # Somebody may have had a failed one tried again since.
            if _is_needed(model, partition):
                return False
            partitions.drop(partition, using)
    except OperationalError as error:
        logger.warning("The old partition %s is left to the next time: %s", partition.name, error)
        return False
    return True


def _is_needed(model: type[models.Model], partition: Partition) -> bool:
    """Say whether something in it has to be kept: by indexes alone, however large it is."""
    if model is Execution:
        return _within(Execution.objects.filter(state__in=LIVE), "pk", partition).exists()
    if model is Attempt:
        return _within(Execution.objects.all(), "pk", partition).exists()
    waiting = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    return any(_within(rows, "event", partition).exists() for rows in (Execution.objects.all(), waiting))


def _within(rows: models.QuerySet[models.Model], key: str, partition: Partition) -> models.QuerySet[models.Model]:
    rows = rows.using(database()).order_by()
    if partition.low is not None:
        rows = rows.filter(**{f"{key}__gte": partition.low})
    return rows.filter(**{f"{key}__lt": partition.high})
