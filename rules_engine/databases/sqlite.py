"""SQLite: one writer at a time, so that nobody waits in line, and no row is locked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import OperationalError, connections, transaction
from django.db.models import Model, QuerySet

from rules_engine.databases.due import of_marked_lane, select_of, with_lane
from rules_engine.databases.generic import Clock, GenericDatabase, write_ends
from rules_engine.databases.protocol import AttemptEnd, SetupTrouble
from rules_engine.databases.reserving import reserve

NOW = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"
LATER = "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', %s || ' seconds')"
CLOCK = Clock(NOW, LATER.replace("%s", "{}"))
#: Ends in one statement: SQLite before 3.32 takes 999 values, and an end is thirteen at most.
ENDS_AT_ONCE = 60
#: Lanes in one statement, which has a dozen values for each: SQLite takes 500 SELECTs in one, too.
LANES_AT_ONCE = 40


class SQLite(GenericDatabase):
    """SQLite 3.31 and later, as Django asks for."""

    spoils_transaction = False
    can_reserve = True

    def setup_trouble(self, using: str) -> SetupTrouble | None:
        """Look whether transactions begin as writers. See ``Database``."""
        if str(connections[using].settings_dict["OPTIONS"].get("transaction_mode")).upper() in (
            "IMMEDIATE",
            "EXCLUSIVE",
        ):
            return None
        return SetupTrouble(
            f'Transactions of "{using}" begin as readers: one that reads, and writes later, fails at once with '
            '"database is locked" where another has written meanwhile, however long its timeout.',
            f'Set DATABASES["{using}"]["OPTIONS"] = {{"transaction_mode": "IMMEDIATE"}} in your settings.',
            is_error=False,
        )

    def is_shared(self, using: str) -> bool:
        """Say no for a database in memory: another connection to it is another database. See ``Database``."""
        return not connections[using].is_in_memory_db()  # type: ignore[attr-defined]

    def begin_as_writer(self, table: type[Model], using: str) -> None:
        """Write no row: a transaction that reads first and writes later fails at once where another has written
        meanwhile, and one that begins as a writer waits for its turn. See ``Database``."""
        quote = connections[using].ops.quote_name
        with connections[using].cursor() as cursor:
            cursor.execute(f"DELETE FROM {quote(table._meta.db_table)} WHERE 0")  # noqa: S608 - a name from its Meta

    def is_rivalry(self, error: Exception) -> bool:
        """Look at the text: Python 3.11 has a code for it, and Django's error has not. See ``Database``."""
        return isinstance(error, OperationalError) and "is locked" in str(error)

    def ends_transaction(self, error: Exception, using: str) -> bool:
        """Ask the driver: where the disk is full or cannot be read, SQLite goes back to the beginning by itself. See
        ``Database``."""
        connection = connections[using]
        return connection.in_atomic_block and not connection.connection.in_transaction

    def lease_lanes(
        self, due: QuerySet[Any], rooms: Mapping[str, int], *, worker: str, seconds: float
    ) -> Collection[Any]:
        """Find all as the one who writes, by a text that is made once, then lease and read them. See ``Database``."""
        try:
            select, parameters = select_of(of_marked_lane(due))
        except EmptyResultSet:  # everything is paused
            return ()
        quote = connections[due.db].ops.quote_name
        table = quote(due.model._meta.db_table)
        columns = ", ".join(quote(field.column) for field in due.model._meta.concrete_fields)
        with transaction.atomic(using=due.db), connections[due.db].cursor() as cursor:
            self.begin_as_writer(due.model, due.db)
            keys, lanes = list[Any](), list(rooms)
            for first in range(0, len(lanes), LANES_AT_ONCE):
                some = lanes[first : first + LANES_AT_ONCE]
                # A level down: SQLite takes no order and no limit in a union.
                cursor.execute(
                    " UNION ALL ".join([f"SELECT * FROM ({select} LIMIT %s)"] * len(some)),  # noqa: S608
                    [value for lane in some for value in (*with_lane(parameters, lane), rooms[lane])],
                )
                keys += [key for (key,) in cursor.fetchall()]
            if not keys:
                return ()
            own = f"WHERE id IN ({', '.join(['%s'] * len(keys))})"
            leased = f"leased_by = %s, lease_until = {LATER}"
            cursor.execute(f"UPDATE {table} SET {leased} {own}", [worker, seconds, *keys])  # noqa: S608 - names of ours
            return list(due.model._default_manager.raw(f"SELECT {columns} FROM {table} {own}", keys, using=due.db))  # noqa: S608

    def end(self, running: QuerySet[Any], attempts: type[Model], ends: Sequence[AttemptEnd]) -> set[tuple[Any, str]]:
        """Look which are still held, as the one who writes, and write those by two statements for sixty. See
        ``Database``."""
        with transaction.atomic(using=running.db):
            self.begin_as_writer(running.model, running.db)
            rows = running.filter(pk__in={end.execution_id for end in ends})
            held = dict(rows.order_by().values_list("pk", "leased_by"))
            ended = [end for end in ends if held.get(end.execution_id) == end.worker]
            keys = {(end.execution_id, end.worker) for end in ended}
            for first in range(0, len(ended), ENDS_AT_ONCE):
                write_ends(running, attempts, ended[first : first + ENDS_AT_ONCE], CLOCK)
        return keys

    def reserve(self, table: type[Model], key: str, seconds: int, using: str) -> bool:
        """Write it, or take it over. See ``Database``."""
        return reserve(table, key, seconds, using, now=NOW, later=LATER)
