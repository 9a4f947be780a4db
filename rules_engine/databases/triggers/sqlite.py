"""SQLite: a trigger for each row. It has no session of which a trigger could know anything. So triggers call a function
which in every SQLite answers nothing, and a process of Django's has it answer who writes, on its own connections.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from rules_engine.databases.triggers.protocol import Execute, Saying
from rules_engine.databases.triggers.rows import NEW, OLD, WRITTEN, RowTriggers
from rules_engine.databases.triggers.running import rows_of
from rules_engine.databases.triggers.tables import CAPTURED_TABLE, PREFIX, TableCapture, literal

#: A function of older releases takes 127 arguments, and a column is two.
MOST_BUILT = 60
#: ``printf`` without a format is NULL. A connection may have a function of its own for a name and a number of
#: arguments: then a row is written once, by whoever, and no program misses a function.
ASKED = "printf"
#: Who writes what is being executed; None where nobody says so.
_writer: ContextVar[str | None] = ContextVar("rules_engine_writer", default=None)
#: Where a connection keeps which of the driver's connections answers so, and whether its triggers may ask that.
ANSWERING = "_rules_engine_answering"
#: Triggers of earlier releases ask nobody, and none may where the site trusts no schema: then a temporary trigger asks
#: a function that only such a trigger calls. An object without anything in it is nobody: of an empty text it would be
#: asked again where a site has triggers fire themselves (``PRAGMA recursive_triggers``).
ASKING = f"{PREFIX}asking"
FUNCTION = f"{PREFIX}origin"
_ANSWERED = ", ".join(f"coalesce({FUNCTION}(), '{{}}')" if name == "origin" else f"NEW.{name}" for name in WRITTEN)
ASK = (
    f"CREATE TEMP TRIGGER IF NOT EXISTS {ASKING} BEFORE INSERT ON main.{CAPTURED_TABLE} WHEN NEW.origin = '' "  # noqa: S608
    f"BEGIN INSERT INTO {CAPTURED_TABLE} ({', '.join(WRITTEN)}) VALUES ({_ANSWERED}); SELECT RAISE(IGNORE); END"
)
INFINITE = {"9.0e+999": math.inf, "-9.0e+999": -math.inf, "9e999": math.inf, "-9e999": -math.inf}


class SQLiteTriggers(RowTriggers):
    """Row triggers of SQLite."""

    origin = f"coalesce({ASKED}(), '')"
    now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"

    def trouble(self, table: str, using: str) -> str | None:
        """See that it is a table that is there. See ``Triggers``."""
        statement = "SELECT type FROM sqlite_master WHERE lower(name) = lower(%s) AND type IN ('table', 'view')"
        kinds = [kind for [kind] in rows_of(statement, [table], using)]
        if not kinds:
            return "there is no such table"
        return None if kinds == ["table"] else "it is a view"

    def file(self, statements: Sequence[str]) -> str:
        """Make it one transaction. See ``Triggers``."""
        return "\n".join(["BEGIN IMMEDIATE;", *(f"{statement};" for statement in statements), "COMMIT;"])

    def quoted(self, name: str) -> str:
        """Return it between double quotes."""
        return '"' + name.replace('"', '""') + '"'

    def text(self, value: str) -> str:
        """Cast it."""
        return f"CAST({value} AS TEXT)"

    def json(self, row: str, columns: Sequence[str]) -> str:
        """Return each value as SQL has it as a literal, which loses nothing."""
        parts = []
        for start in range(0, max(1, len(columns)), MOST_BUILT):
            some = columns[start : start + MOST_BUILT]
            pairs = ", ".join(f"{literal(column)}, quote({row}.{self.quoted(column)})" for column in some)
            parts.append(f"json_object({pairs})")
        return parts[0] if len(parts) == 1 else _patched(parts)

    def differs(self, column: str) -> str:
        """Compare them byte by byte, whatever the column's collation."""
        return f"{OLD}.{self.quoted(column)} IS NOT {NEW}.{self.quoted(column)} COLLATE BINARY"

    def trigger(self, name: str, event: str, table: str, condition: str, insert: str) -> str:
        """Return the statement."""
        when = f" WHEN {condition}" if condition else ""
        return f"CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW{when} BEGIN {insert}; END"

    def columns(self, table: str, using: str) -> frozenset[str]:
        """Look into the catalogue. See ``Triggers``."""
        return frozenset(name for [name] in rows_of("SELECT name FROM pragma_table_xinfo(%s)", [table], using))

    def installed(self, table: str, using: str) -> frozenset[str]:
        """Look into the catalogue. See ``Triggers``."""
        statement = (
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(%s) AND name LIKE %s"
        )
        return frozenset(name for [name] in rows_of(statement, [table, f"{PREFIX}%"], using))

    def reader(self, field: Field[Any, Any], using: str) -> Callable[[Any], Any]:
        """Read a literal. See ``RowTriggers``."""
        return value_of

    def ask_otherwise(
        self, made: Iterable[tuple[TableCapture, Sequence[str]]], captured: type[Model], using: str
    ) -> bool:
        """Look whether they have the names that they get now. See ``Triggers``."""
        return any(set(names) != set(self.definition(capture, captured, using).names) for capture, names in made)

    def saying(self, origin: str, using: str, execute: Execute, arguments: Sequence[Any], said: Saying) -> Any:
        """Have the process answer this when it is asked. See ``Triggers``."""
        connection = connections[using]
        if not said.is_known and (not _answers(connection) or said.is_asked_otherwise):
            # Undone with the transaction that it is made in, so it is made sure of in each.
            connection.connection.execute(ASK)
        token = _writer.set(origin)
        try:
            return execute(*arguments)
        finally:
            _writer.reset(token)


def _answers(connection: BaseDatabaseWrapper) -> bool:
    """Have the driver's connection answer who writes, once. Says whether triggers of the database may ask it."""
    raw = connection.connection
    answering, is_asked = connection.__dict__.get(ANSWERING, (None, False))
    if answering is not raw:
        [is_asked] = raw.execute("PRAGMA trusted_schema").fetchone()
        raw.create_function(FUNCTION, 0, _writer.get)
        if is_asked:
            raw.create_function(ASKED, 0, _writer.get)
            # What was compiled before would call SQLite's own. Whatever a pragma is set to, all is compiled anew then.
            raw.execute("PRAGMA trusted_schema = 1")
        connection.__dict__[ANSWERING] = (raw, bool(is_asked))
    return bool(is_asked)


def value_of(text: str | None) -> Any:
    """Return the value of a literal as ``quote`` writes it: null, a number, a text or bytes."""
    if text is None or text == "NULL":
        return None
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    if text.startswith(("X'", "x'")):
        return bytes.fromhex(text[2:-1])
    if text in INFINITE:
        return INFINITE[text]
    try:
        return int(text)
    except ValueError:
        return float(text)


def _patched(parts: Sequence[str]) -> str:
    whole = parts[0]
    for part in parts[1:]:
        whole = f"json_patch({whole}, {part})"
    return whole
