"""MySQL 8.0 and MariaDB 10.6, and later: locked rows are passed over, and a statement that fails spoils nothing.

Locks that are held until the commit are those of rows here: this database's named locks belong to the session, and
Django tells nobody of a rollback that would have to give them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, OperationalError, ProgrammingError, connections, transaction
from django.db.models import Model, QuerySet
from django.db.models.expressions import RawSQL

from rules_engine.databases.generic import Clock, GenericDatabase, write_ends
from rules_engine.databases.protocol import AttemptEnd, SetupTrouble

#: The table whose rows stand for locks: that of reservations, each known by a key of 16 bytes.
LOCKS = "rules_engine_reservation"
NOW, LATER = "NOW(6)", "NOW(6) + INTERVAL %s SECOND"
CLOCK = Clock(NOW, LATER.replace("%s", "{}"))
#: What an INSERT says of a row that is there and holds still.
REFUSED = 7
#: The levels of isolation in which what is read is what is there.
CURRENT = ("read committed", "read uncommitted", "serializable")
DEADLOCK, LOCK_TIMEOUT, LOCKED_NOW, CHANGED_SINCE = 1213, 1205, 3572, 1020


class MySQL(GenericDatabase):
    """MySQL and MariaDB, which Django takes for one."""

    spoils_transaction = False
    rounds_decimals = True
    can_reserve = True

    def keys_of_last_insert(self, count: int, using: str) -> Sequence[int]:
        """Count from the first: an INSERT of known length is given keys in a row, whatever others insert at that time.
        See ``Database``."""
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT LAST_INSERT_ID(), @@SESSION.auto_increment_increment")
            first, step = cursor.fetchone()
        return [first + step * number for number in range(count)] if first else ()

    def setup_trouble(self, using: str) -> SetupTrouble | None:
        """Look for locked rows that can be passed over; compare the session's clock with UTC, which Django stores. See
        ``Database``."""
        if not connections[using].features.has_select_for_update_skip_locked:
            return SetupTrouble(
                f'The server of "{using}" cannot pass over rows that others have locked: workers would wait for each '
                "other, and a deadlock would undo what one of them did.",
                "Use MariaDB 10.6 or MySQL 8.0, or a later version of either.",
                is_error=True,
            )
        if not settings.USE_TZ:
            return None
        with connections[using].cursor() as cursor:
            cursor.execute("SELECT TIMESTAMPDIFF(MINUTE, UTC_TIMESTAMP(), NOW())")
            [minutes] = cursor.fetchone()
        if not minutes:
            return None
        return SetupTrouble(
            f'Sessions of "{using}" are {minutes} minutes from UTC, in which Django stores times: a time that the '
            "database tells is taken for another one, and actions begin too late or too early.",
            f'Set DATABASES["{using}"]["OPTIONS"]["init_command"] to "SET time_zone = \'+00:00\'".',
            is_error=True,
        )

    def wait_for_turn(self, numbers: Sequence[int], using: str) -> None:
        """Lock a row for each, one after another in one statement. See ``Database``."""
        if numbers:
            _lock([_key(number) for number in numbers], using)

    def has_turn(self, number: int, using: str) -> bool:
        """Lock a row if nobody has. See ``Database``."""
        return self._takes(_key(number), using)

    def pass_reserved(self, table: type[Model], digests: Sequence[UUID], using: str) -> tuple[str, int | None]:
        """Lock the first row that nobody has. See ``Database``."""
        free = (place for place, digest in enumerate(digests) if self._takes(digest, using))
        return "", next(free, None)

    def reserve(self, table: type[Model], key: str, seconds: int, using: str) -> bool:
        """Write it, or take it over. See ``Database``.

        In one statement, which locks a row that is there for writing at once: INSERT IGNORE locks it for reading first,
        and of twenty who then want to write all but one are undone as a deadlock, with what their callers did before.
        Django counts rows found and not changed, so which it did is told by what stands for an inserted number. Under
        REPEATABLE READ a row that was written since the transaction began is refused: who reserved it then has stored
        the value where this transaction cannot see it.
        """
        name = connections[using].ops.quote_name(table._meta.db_table)
        with connections[using].cursor() as cursor:
            digest = _stored(UUID(key), using)
            cursor.execute(f"SELECT held_until FROM {name} WHERE digest = %s", [digest])  # noqa: S608 - a name of ours
            [seen] = cursor.fetchone() or [None]
            cursor.execute(
                f"INSERT INTO {name} (digest, held_until) VALUES (%s, {LATER}) "  # noqa: S608
                f"ON DUPLICATE KEY UPDATE held_until = IF(held_until <= {NOW} AND held_until <=> %s, "
                f"VALUES(held_until), IF(LAST_INSERT_ID({REFUSED}), held_until, held_until))",
                [digest, seconds, seen],
            )
            return bool(cursor.lastrowid != REFUSED)

    def is_lost_race(self, error: Exception) -> bool:
        """Look at the code. See ``Database``."""
        return _code(error) == CHANGED_SINCE

    def is_lock_timeout(self, error: Exception) -> bool:
        """Look at the code. See ``Database``."""
        return _code(error) in (LOCK_TIMEOUT, LOCKED_NOW)

    def is_rivalry(self, error: Exception) -> bool:
        """Look at the code. See ``Database``."""
        return _code(error) in (DEADLOCK, LOCK_TIMEOUT, CHANGED_SINCE)

    def ends_transaction(self, error: Exception, using: str) -> bool:
        """Say yes for a deadlock. See ``Database``."""
        return _code(error) in (DEADLOCK, CHANGED_SINCE)

    def refuses_value(self, error: DatabaseError) -> bool:
        """Tell it by a text alone, for what the server says has a number: of infinity, say. See ``Database``."""
        return isinstance(error, ProgrammingError) and bool(error.args) and isinstance(error.args[0], str)

    def shows_older_rows(self, using: str) -> bool:
        """Say yes under REPEATABLE READ, which the server takes by itself and Django does not. See ``Database``."""
        return getattr(connections[using], "isolation_level", None) not in CURRENT

    def to_update(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Lock them, and name them by their keys: an UPDATE may not ask the table that it changes. See ``Database``."""
        keys = list(rows.select_for_update().values_list("pk", flat=True))
        named: QuerySet[Any] = rows.model._base_manager.using(rows.db).filter(pk__in=keys)
        return named

    def first_keys(self, rows: QuerySet[Any], limit: int) -> Any:
        """Return a subquery of a subquery, where alone a limit may stand. See ``Database``."""
        try:
            select, params = rows.values("pk")[:limit].query.sql_with_params()
        except EmptyResultSet:
            return []
        return RawSQL(f"SELECT * FROM ({select}) AS first_keys", params)  # noqa: S608, S611 - what the ORM has compiled

    def end(self, running: QuerySet[Any], attempts: type[Model], ends: Sequence[AttemptEnd]) -> set[tuple[Any, str]]:
        """Lock all in one statement, and write them in two. See ``Database``."""
        with transaction.atomic(using=running.db):
            rows = running.filter(pk__in={end.execution_id for end in ends}).order_by("pk").select_for_update()
            held = dict(rows.values_list("pk", "leased_by"))
            ended = [end for end in ends if held.get(end.execution_id) == end.worker]
            if ended:
                write_ends(running, attempts, ended, CLOCK)
        return {(end.execution_id, end.worker) for end in ended}

    def _takes(self, key: UUID, using: str) -> bool:
        """Lock the row of a key, or say that somebody has. Nobody is waited for; on MySQL a second, for who was quicker
        by less than a round trip."""
        try:
            if connections[using].mysql_is_mariadb:  # type: ignore[attr-defined]
                _lock([key], using, before="SET STATEMENT innodb_lock_wait_timeout = 0 FOR ")
                return True
            return self._takes_on_mysql(key, using)
        except OperationalError as error:
            if self.is_lock_timeout(error):
                return False
            raise

    def _takes_on_mysql(self, key: UUID, using: str) -> bool:
        with connections[using].cursor() as cursor:
            cursor.execute(
                f"SELECT 1 FROM {LOCKS} WHERE digest = %s FOR UPDATE NOWAIT",  # noqa: S608 - a name of ours
                [_stored(key, using)],
            )
            cursor.execute("SET @rules_engine_wait = @@innodb_lock_wait_timeout, SESSION innodb_lock_wait_timeout = 1")
            try:
                _lock([key], using)
            finally:
                cursor.execute("SET SESSION innodb_lock_wait_timeout = @rules_engine_wait")
        return True


def _code(error: Exception) -> int | None:
    return error.args[0] if isinstance(error, DatabaseError) and error.args else None


def _key(number: int) -> UUID:
    """Return the key of a lock's row: its number, where digests of values have eight random bytes more."""
    return UUID(int=number % 2**64)


def _stored(key: UUID, using: str) -> str:
    # MariaDB 10.7 and later have a type of their own for these, which Django uses, and which takes no version above 7.
    key = UUID(bytes=key.bytes, version=5)
    return str(key) if connections[using].features.has_native_uuid_field else key.hex


def _lock(keys: Sequence[UUID], using: str, before: str = "") -> None:
    rows = ", ".join([f"(%s, {NOW})"] * len(keys))
    with connections[using].cursor() as cursor:
        cursor.execute(
            f"{before}INSERT INTO {LOCKS} (digest, held_until) VALUES {rows} "  # noqa: S608 - a name of ours
            "ON DUPLICATE KEY UPDATE digest = digest",
            [_stored(key, using) for key in keys],
        )
