"""What every database of Django's can do: by the ORM, row by row where a statement for many is not to be had."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import DatabaseError, connections, transaction
from django.db.models import DateTimeField, Exists, ExpressionWrapper, F, Model, OuterRef, QuerySet, Value
from django.db.models.functions import Now

from rules_engine.databases.announcing import Listener, Silence
from rules_engine.databases.due import in_lanes, in_no_lane, walk
from rules_engine.databases.protocol import RUNNING, STARTED, WAITING, AttemptEnd, Reading, Rows, SetupTrouble
from rules_engine.databases.removing.removed import Parts, Removed


def seconds_from_now(seconds: float) -> ExpressionWrapper[Any]:
    """The database's clock plus ``seconds``: workers' clocks may be wrong by an hour."""
    # Of no seconds it is the clock itself: SQLite writes a sum with six digits and the clock with three, and as a text
    # what is due at .040000 comes after a look at .040, so that the look in the same millisecond would not find it.
    later = Now() + Value(timedelta(seconds=seconds)) if seconds else Now()
    return ExpressionWrapper(later, output_field=DateTimeField())


def passing_locked(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Return the rows locked, and without those that others have locked, as far as the database locks rows."""
    features = connections[rows.db].features
    if not features.has_select_for_update_skip_locked:
        return rows
    return rows.select_for_update(skip_locked=True, of=("self",) if features.has_select_for_update_of else ())


class GenericDatabase:
    """A database of which nothing is known but what Django tells: the careful way of everything."""

    spoils_transaction = True
    takes_rows_as_json = False
    rounds_decimals = False
    can_reserve = False
    can_partition = False
    create_index = "CREATE INDEX"
    can_announce = False

    def setup_trouble(self, using: str) -> SetupTrouble | None:
        """Say that nobody has tried it. See ``Database``."""
        kind = connections[using].display_name
        return SetupTrouble(
            f'"{using}" is {kind}, and the engine is tested on PostgreSQL, MariaDB, MySQL and SQLite: what rules match '
            "may be stored and never carried out.",
            "Keep the tables of rules_engine, and the models that rules watch, in one of those.",
            is_error=True,
        )

    def sends_several(self, using: str) -> bool:
        """Say no. See ``Database``."""
        return False

    def is_spoilt(self, using: str) -> bool:
        """Say yes, where something failed. See ``Database``."""
        return True

    def begin_as_writer(self, table: type[Model], using: str) -> None:
        """Do nothing: rows are locked as they are read. See ``Database``."""

    def keys_of_last_insert(self, count: int, using: str) -> Sequence[int]:
        """Return none. See ``Database``."""
        return ()

    def is_shared(self, using: str) -> bool:
        """Say yes. See ``Database``."""
        return True

    def announce(self, queue: str, using: str) -> None:
        """Tell nobody. See ``Database``."""

    def listen(self, using: str) -> Listener:
        """Hear nothing. See ``Database``."""
        return Silence()

    def wait_for_turn(self, numbers: Sequence[int], using: str) -> None:
        """Wait for nobody: only a unique constraint keeps two workers apart then. See ``Database``."""

    def has_turn(self, number: int, using: str) -> bool:
        """Say yes. See ``Database``."""
        return True

    def pass_reserved(self, table: type[Model], digests: Sequence[UUID], using: str) -> tuple[str, int | None]:
        """Pass none. See ``Database``."""
        return "", 0

    def restore(self, before: str, using: str) -> None:
        """Undo nothing. See ``Database``."""

    def reserve(self, table: type[Model], key: str, seconds: int, using: str) -> bool:
        """Refuse. See ``Database``."""
        return False

    def is_lost_race(self, error: Exception) -> bool:
        """Say no. See ``Database``."""
        return False

    def is_lock_timeout(self, error: Exception) -> bool:
        """Say no. See ``Database``."""
        return False

    def is_rivalry(self, error: Exception) -> bool:
        """Say no. See ``Database``."""
        return False

    def ends_transaction(self, error: Exception, using: str) -> bool:
        """Say no. See ``Database``."""
        return False

    def refuses_value(self, error: DatabaseError) -> bool:
        """Say no: elsewhere that is a ``DataError``. See ``Database``."""
        return False

    def shows_older_rows(self, using: str) -> bool:
        """Say no. See ``Database``."""
        return False

    def to_update(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Return them as they are. See ``Database``."""
        return rows.order_by()

    def first_keys(self, rows: QuerySet[Any], limit: int) -> Any:
        """Return a subquery with a limit. See ``Database``."""
        return rows.values("pk")[:limit]

    def due_queues(self, due: QuerySet[Any]) -> list[str]:
        """Walk from queue to queue. See ``Database``."""
        # In the order of its index: for one row of any, PostgreSQL reads the table until it comes to one, and all that
        # has ended stands before what waits.
        return walk("queue", due, "TRUE", (), order=("next_attempt_at",))

    def in_order(self, due: Rows) -> Rows:
        """Return them as they are. See ``Database``."""
        return due

    def due_lanes(self, due: QuerySet[Any], queue: str) -> list[str]:
        """Walk from lane to lane. See ``Database``."""
        return walk("lane", in_lanes(due), "e.queue = %s AND NOT (e.lane = '')", (queue,))

    def due_rules(self, due: QuerySet[Any], queue: str) -> list[str]:
        """Walk from rule to rule. See ``Database``."""
        among = "e.queue = %s AND e.lane = ''"
        # In an order that one index has, and no other: that of a rule's whole history begins alike.
        return walk("rule_slug", in_no_lane(due), among, (queue,), order=("next_attempt_at",))

    def lease_lanes(
        self, due: QuerySet[Any], rooms: Mapping[str, int], *, worker: str, seconds: float
    ) -> Collection[Any]:
        """Find lane by lane, and lease all at once. See ``Database``."""
        each = [(due.filter(lane=lane), room) for lane, room in rooms.items()]
        leased = self._lease_each(due, each, worker=worker, seconds=seconds)
        return list(due.model._default_manager.using(due.db).filter(pk__in=leased, leased_by=worker)) if leased else ()

    def lease_rules(
        self, due: QuerySet[Any], rooms: Mapping[str, int], reading: Reading, *, worker: str, seconds: float
    ) -> list[Any]:
        """Find rule by rule, lease all at once, and read what was leased. See ``Database``."""
        each = [(due.filter(lane="", rule_slug=slug), room) for slug, room in rooms.items()]
        return reading.of_keys(self._lease_each(due, each, worker=worker, seconds=seconds), worker)

    def lease(self, due: QuerySet[Any], limit: int, reading: Reading, *, worker: str, seconds: float) -> list[Any]:
        """Find and lock, then lease, then read. See ``Database``."""
        return reading.of_keys(self._lease_each(due, [(due, limit)], worker=worker, seconds=seconds), worker)

    def _lease_each(
        self, due: QuerySet[Any], each: Sequence[tuple[QuerySet[Any], int]], *, worker: str, seconds: float
    ) -> list[Any]:
        """Lease up to so many of each part of the rows that are due; returns their keys."""
        with transaction.atomic(using=due.db):
            keys = [key for rows, room in each for key in passing_locked(rows).values_list("pk", flat=True)[:room]]
            if keys:
                # SQLite has no row locks: the conditions stand in the UPDATE again, and the fence tells who won.
                rows = due.order_by().filter(pk__in=keys)
                rows.update(leased_by=worker, lease_until=seconds_from_now(seconds))
        return keys

    def remove(self, rows: QuerySet[Any], limit: int, along: str, parts: Parts | None) -> Removed:
        """Find, lock, and remove by keys. See ``Database``."""
        found = list(rows.order_by(along).values_list("pk", along)[:limit])
        if not found:
            return Removed(0, 0, None)
        model, last, gone_with = rows.model, found[-1][1], 0
        with transaction.atomic(using=rows.db):
            named = rows.order_by().filter(pk__in=[pk for pk, _ in found])
            keys = list(passing_locked(named).values_list("pk", flat=True))
            # Without Django's collector: none of these tables has rows that hang on it by a constraint.
            removed = rows.order_by().filter(pk__in=keys)._raw_delete(rows.db)
            if parts is not None:
                whole = model._default_manager.using(rows.db).filter(pk=OuterRef(parts.key))
                of_these = parts.model._default_manager.filter(~Exists(whole), **{f"{parts.key}__in": keys})
                gone_with = of_these._raw_delete(rows.db)
        return Removed(removed, gone_with, last, [pk for pk, at in found if at == last and removed < len(found)])

    def charge(
        self, waiting: QuerySet[Any], attempts: type[Model], numbers: Mapping[Any, int], *, worker: str
    ) -> Collection[Any]:
        """Charge all in one UPDATE, and put them on record by another statement. See ``Database``."""
        connection = connections[waiting.db]
        quote, key = connection.ops.quote_name, waiting.model._meta.pk
        keys = [key.get_db_prep_value(each, connection) for each in numbers]
        own = f"id IN ({', '.join(['%s'] * len(keys))}) AND leased_by = %s AND state"
        table = quote(waiting.model._meta.db_table)
        with transaction.atomic(using=waiting.db), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {table} SET state = %s, attempts = attempts + 1 WHERE {own} IN (%s, %s)",  # noqa: S608
                [RUNNING, *keys, worker, *WAITING],
            )
            charged: Collection[Any] = numbers.keys()
            if cursor.rowcount != len(numbers):
                held = waiting.model._default_manager.using(waiting.db).filter(pk__in=charged, leased_by=worker)
                charged = list(held.filter(state=RUNNING).values_list("pk", flat=True))
            # From the rows that are there: the ORM took longer to put fifty together than to do all else.
            cursor.execute(
                f"INSERT INTO {quote(attempts._meta.db_table)} "  # noqa: S608 - names of ours
                "(execution_id, number, worker, outcome, error_type, error, detail) "
                f"SELECT id, attempts, %s, %s, '', '', '{{}}' FROM {table} WHERE {own} = %s",
                [worker, STARTED, *keys, worker, RUNNING],
            )
        return charged

    def end(self, running: QuerySet[Any], attempts: type[Model], ends: Sequence[AttemptEnd]) -> set[tuple[Any, str]]:
        """Write one after another. See ``Database``."""
        with transaction.atomic(using=running.db):
            return self._end_each(running, attempts, ends)

    def charge_and_end(
        self, waiting: QuerySet[Any], attempts: type[Model], numbers: Mapping[Any, int], ends: Sequence[AttemptEnd]
    ) -> set[tuple[Any, str]]:
        """Charge, then end. See ``Database``."""
        with transaction.atomic(using=waiting.db):
            charged = set(self.charge(waiting, attempts, numbers, worker=ends[0].worker))
            running = waiting.model._default_manager.using(waiting.db).filter(state=RUNNING)
            return self.end(running, attempts, [end for end in ends if end.execution_id in charged])

    def _end_each(
        self, running: QuerySet[Any], attempts: type[Model], ends: Sequence[AttemptEnd]
    ) -> set[tuple[Any, str]]:
        ended = set()
        for end in ends:
            values: dict[str, Any] = {
                "state": end.state,
                "error": end.error,
                "leased_by": "",
                "lease_until": None,
                "finished_at": Now() if end.wait is None else None,
            }
            if end.summary is None:
                values["failures"] = F("failures") + 1
            else:
                values["summary"] = end.summary
            if end.wait is not None:
                values["next_attempt_at"] = seconds_from_now(end.wait)
            if not running.filter(pk=end.execution_id, leased_by=end.worker).update(**values):
                continue
            ended.add((end.execution_id, end.worker))
            attempts._default_manager.using(running.db).filter(
                execution_id=end.execution_id, finished_at__isnull=True
            ).update(
                outcome=end.outcome,
                finished_at=Now(),
                error=end.error,
                error_type=end.error_type,
                detail=end.detail,
            )
        return ended


class Clock(NamedTuple):
    """How a database says the time: now, and so many seconds later, for which ``{}`` stands."""

    now: str
    later: str


class _Each:
    """Expressions that tell, by a key's column, what each row gets; and their parameters, in order.

    A column in which all rows get the same value, as in most, takes one parameter, and else two a row.
    """

    def __init__(self, column: str, keys: Sequence[Any]) -> None:
        self.column, self.keys = column, keys
        self.parameters: list[Any] = []

    def gets(self, values: Sequence[Any]) -> str:
        """Return the expression of these values, each the one of the row whose key stands in its place."""
        if all(value == values[0] for value in values):
            self.parameters.append(values[0])
            return "%s"
        self.parameters += [part for pair in zip(self.keys, values, strict=True) for part in pair]
        return f"CASE {self.column} {'WHEN %s THEN %s ' * len(values)}END"

    def are_named(self) -> str:
        """Return the condition that a row is one of them."""
        self.parameters += self.keys
        return f"{self.column} IN ({', '.join(['%s'] * len(self.keys))})"


def write_ends(running: QuerySet[Any], attempts: type[Model], ends: Sequence[AttemptEnd], clock: Clock) -> None:
    """Write the ends into the rows of their executions, which nobody else may write now, and of their open attempts, by
    two statements. Each execution is named once. Raises ``DatabaseError``."""
    connection = connections[running.db]
    quote, key = connection.ops.quote_name, running.model._meta.pk
    keys = [key.get_db_prep_value(end.execution_id, connection) for end in ends]
    with connection.cursor() as cursor:
        each = _Each("id", keys)
        waits = [end.wait for end in ends]
        sql = (
            f"UPDATE {quote(running.model._meta.db_table)} SET "  # noqa: S608 - names of ours
            f"state = {each.gets([end.state for end in ends])}, error = {each.gets([end.error for end in ends])}, "
            f"leased_by = '', lease_until = NULL, "
            f"summary = COALESCE({each.gets([end.summary for end in ends])}, summary), "
            f"failures = failures + {each.gets([int(end.summary is None) for end in ends])}, "
            f"finished_at = CASE WHEN {each.gets(waits)} IS NULL THEN {clock.now} END, "
            f"next_attempt_at = COALESCE({clock.later.format(each.gets(waits))}, next_attempt_at) "
            f"WHERE {each.are_named()}"
        )
        cursor.execute(sql, each.parameters)
        each = _Each("execution_id", keys)
        details = [json.dumps(end.detail, cls=DjangoJSONEncoder) for end in ends]
        sql = (
            f"UPDATE {quote(attempts._meta.db_table)} SET "  # noqa: S608
            f"outcome = {each.gets([end.outcome for end in ends])}, finished_at = {clock.now}, "
            f"error = {each.gets([end.error for end in ends])}, "
            f"error_type = {each.gets([end.error_type for end in ends])}, detail = {each.gets(details)} "
            f"WHERE {each.are_named()} AND finished_at IS NULL"
        )
        cursor.execute(sql, each.parameters)
