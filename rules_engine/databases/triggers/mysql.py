"""MariaDB and MySQL: a trigger for each row, and a variable of the session that says where its changes come from.

What the database's own foreign keys do fires no triggers there.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model
from django.utils.dateparse import parse_time

from rules_engine.databases.triggers.protocol import Definition, Execute, Saying
from rules_engine.databases.triggers.rows import NEW, OLD, RowTriggers
from rules_engine.databases.triggers.running import rows_of
from rules_engine.databases.triggers.tables import PREFIX, TableCapture, literal

ORIGIN = "@rules_engine_origin"
#: Where a connection keeps what it has said, and to which session.
SAID = "_rules_engine_said_to"
BINARY = frozenset(("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"))
#: They have no text, and their bytes are no standard's.
GEOMETRIES = frozenset(
    ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon")
).union(("geometrycollection", "geomcollection"))
#: Characters of a captured row's key.
LONGEST_KEY = 255
#: Their collation may take different texts for the same.
TEXTS = frozenset(("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"))
WAITS = ("lock_wait_timeout", "innodb_lock_wait_timeout")
_COLUMNS = """
    SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s
"""
_INSTALLED = """
    SELECT trigger_name FROM information_schema.triggers
    WHERE trigger_schema = DATABASE() AND event_object_table = %s AND trigger_name LIKE %s
"""
_TABLE = """
    SELECT table_type, engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = %s
"""


class MySQLTriggers(RowTriggers):
    """Row triggers of MariaDB 10.6, MySQL 8.0, and later."""

    origin = (
        f"COALESCE(NULLIF({ORIGIN}, ''), JSON_OBJECT('database_user', CONVERT(SUBSTRING_INDEX(USER(), '@', 1) "
        "USING utf8mb4)))"
    )
    now = "UTC_TIMESTAMP(6)"

    def __init__(self, types: dict[str, str] | None = None) -> None:
        #: The types of the columns of the table that a definition is made of, by name.
        self.types = types or {}

    def trouble(self, table: str, using: str) -> str | None:
        """See that it is a table with transactions. See ``Triggers``."""
        found = rows_of(_TABLE, [table], using)
        if not found:
            return "there is no such table"
        [(kind, engine)] = found
        if kind != "BASE TABLE":
            return "it is a view"
        return None if engine == "InnoDB" else f"its engine, {engine}, has no transactions"

    def definition(self, capture: TableCapture, captured: type[Model], using: str) -> Definition:
        """Look at the types of the columns first. See ``Triggers``."""
        types = {str(name): str(kind).lower() for name, kind in rows_of(_COLUMNS, [capture.table], using)}
        return super(MySQLTriggers, MySQLTriggers(types)).definition(capture, captured, using)

    def file(self, statements: Sequence[str]) -> str:
        """Have semicolons inside of a statement end none. See ``Triggers``."""
        return "\n".join(["DELIMITER //", *(f"{statement} //" for statement in statements), "DELIMITER ;"])

    def quoted(self, name: str) -> str:
        """Return it between backticks."""
        return "`" + name.replace("`", "``") + "`"

    def text(self, value: str) -> str:
        """Cast it; the characters of whoever makes the trigger may be fewer, and writes would fail."""
        return f"CAST({value} AS CHAR CHARACTER SET utf8mb4)"

    def joined(self, texts: Sequence[str]) -> str:
        """Concatenate them, without nulls, as far as the column takes it; || may be another operator."""
        return f"LEFT(CONCAT_WS(',', {', '.join(texts)}), {LONGEST_KEY})"

    def json(self, row: str, columns: Sequence[str]) -> str:
        """Return each value as a text, bytes as their digits."""
        pairs = (f"{literal(column)}, {self._told(row, column)}" for column in columns)
        return f"JSON_OBJECT({', '.join(pairs)})"

    def _told(self, row: str, column: str) -> str:
        value = f"{row}.{self.quoted(column)}"
        kind = self.types.get(column)
        if kind in GEOMETRIES:
            value = f"ST_AsBinary({value})"
        if kind in BINARY or kind in GEOMETRIES:
            return f"HEX({value})"
        return self.text(f"{value} + 0" if kind == "bit" else value)

    def differs(self, column: str) -> str:
        """Compare texts byte by byte, whatever the column's collation."""
        old, new = (f"{row}.{self.quoted(column)}" for row in (OLD, NEW))
        if self.types.get(column) in GEOMETRIES:
            old, new = f"ST_AsBinary({old})", f"ST_AsBinary({new})"
        if self.types.get(column) in TEXTS:
            old, new = f"CAST({old} AS BINARY)", f"CAST({new} AS BINARY)"
        return f"NOT ({old} <=> {new})"

    def trigger(self, name: str, event: str, table: str, condition: str, insert: str) -> str:
        """Return the statement."""
        body = f"IF {condition} THEN {insert}; END IF" if condition else insert
        return f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW {body}"

    def columns(self, table: str, using: str) -> frozenset[str]:
        """Look into the catalogue. See ``Triggers``."""
        return frozenset(str(name) for name, _ in rows_of(_COLUMNS, [table], using))

    def installed(self, table: str, using: str) -> frozenset[str]:
        """Look into the catalogue. See ``Triggers``."""
        return frozenset(str(name) for [name] in rows_of(_INSTALLED, [table, f"{PREFIX.replace('_', '%')}%"], using))

    @contextmanager
    def patient(self, seconds: float, using: str) -> Iterator[None]:
        """Bound what the session waits for; a statement that changes tables is a transaction by itself."""
        [before] = rows_of(f"SELECT {', '.join(f'@@SESSION.{name}' for name in WAITS)}", [], using)
        wanted = [max(1, int(seconds))] * len(WAITS)
        _set_waits(wanted, using)
        try:
            yield
        finally:
            _set_waits(before, using)

    def run(self, statements: Sequence[str], using: str, table: str = "") -> None:
        """Execute them while nobody else writes into the table, so that no write is told twice, or never."""
        connection = connections[using]
        with connection.cursor() as cursor:
            if table:
                cursor.execute(f"LOCK TABLES {connection.ops.quote_name(table)} WRITE")
            try:
                for statement in statements:
                    cursor.execute(statement)
            finally:
                if table:
                    cursor.execute("UNLOCK TABLES")

    def reader(self, field: Field[Any, Any], using: str) -> Callable[[Any], Any]:
        """Read what CAST and HEX have written. See ``RowTriggers``."""
        kind = (field.db_type(connections[using]) or "").lower()
        read = next((read for begins, read in _READERS if kind.startswith(begins)), str)
        return lambda text: None if text is None else read(text)

    def saying(self, origin: str, using: str, execute: Execute, arguments: Sequence[Any], said: Saying) -> Any:
        """Set the variable, where the session has another one. See ``Triggers``."""
        connection = connections[using]
        if not said.is_known and _said_to(connection) != origin:
            with connection.cursor() as cursor:
                cursor.execute(f"SET {ORIGIN} = %s", [origin])
            connection.__dict__[SAID] = (connection.connection, origin)
        return execute(*arguments)


def _said_to(connection: BaseDatabaseWrapper) -> str | None:
    session, origin = connection.__dict__.get(SAID, (None, None))
    return origin if session is connection.connection else None


def _set_waits(seconds: Sequence[int], using: str) -> None:
    settings = ", ".join(f"SESSION {name} = {int(value)}" for name, value in zip(WAITS, seconds, strict=True))
    with connections[using].cursor() as cursor:
        cursor.execute(f"SET {settings}")


def _moment(text: str) -> datetime.datetime | None:
    return None if text.startswith("0000") else datetime.datetime.fromisoformat(text)


#: How the types of columns begin, each with what the driver makes of its values.
_READERS: Sequence[tuple[tuple[str, ...], Callable[[str], Any]]] = (
    (("int", "integer", "bigint", "smallint", "tinyint", "mediumint", "bool"), int),
    (("numeric", "decimal"), Decimal),
    (("double", "float", "real"), float),
    (("datetime", "timestamp"), _moment),
    (("date",), datetime.date.fromisoformat),
    (("time",), parse_time),
    (("longblob", "blob", "mediumblob", "tinyblob", "varbinary", "binary"), bytes.fromhex),
    (tuple(sorted(GEOMETRIES)), bytes.fromhex),
)
