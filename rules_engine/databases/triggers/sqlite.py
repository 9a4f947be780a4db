"""SQLite: a trigger for each row. It has no session of which a trigger could know anything, so a process of Django has
a temporary trigger of its own on what is captured, which asks that process; other programs have none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections
from django.db.models import Field

from rules_engine.databases.triggers.protocol import Execute
from rules_engine.databases.triggers.rows import NEW, OLD, WRITTEN, RowTriggers
from rules_engine.databases.triggers.running import rows_of
from rules_engine.databases.triggers.tables import CAPTURED_TABLE, PREFIX, literal

#: A function of older releases takes 127 arguments, and a column is two.
MOST_BUILT = 60
#: The temporary trigger, the function that it asks, and where a connection keeps what that answers, and which of the
#: driver's connections has it.
ASKING = f"{PREFIX}asking"
FUNCTION = f"{PREFIX}origin"
ANSWER = "_rules_engine_origin"
ANSWERING = "_rules_engine_answering"
#: What the process answers where it was not told who writes: an object without anything in it, for an empty text would
#: be asked about again where a site has triggers fire themselves (``PRAGMA recursive_triggers``).
NOBODY = "{}"
_ANSWERED = ", ".join(f"{FUNCTION}()" if column == "origin" else f"NEW.{column}" for column in WRITTEN)
#: The row is written once, with the answer: to write it and change it then takes half as long again (P14).
ASK = (
    f"CREATE TEMP TRIGGER IF NOT EXISTS {ASKING} BEFORE INSERT ON main.{CAPTURED_TABLE} WHEN NEW.origin = '' "  # noqa: S608
    f"BEGIN INSERT INTO {CAPTURED_TABLE} ({', '.join(WRITTEN)}) VALUES ({_ANSWERED}); SELECT RAISE(IGNORE); END"
)
INFINITE = {"9.0e+999": math.inf, "-9.0e+999": -math.inf, "9e999": math.inf, "-9e999": -math.inf}


class SQLiteTriggers(RowTriggers):
    """Row triggers of SQLite."""

    origin = "''"
    now = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"

    def trouble(self, table: str, using: str) -> str | None:
        """See that it is a table that is there. See ``Triggers``."""
        statement = "SELECT type FROM sqlite_master WHERE name = %s AND type IN ('table', 'view')"
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
        statement = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = %s AND name LIKE %s"
        return frozenset(name for [name] in rows_of(statement, [table, f"{PREFIX}%"], using))

    def reader(self, field: Field[Any, Any], using: str) -> Callable[[Any], Any]:
        """Read a literal. See ``RowTriggers``."""
        return value_of

    def saying(self, origin: str, using: str, execute: Execute, arguments: Sequence[Any], *, is_known: bool) -> Any:
        """Have the process answer this when it is asked. See ``Triggers``."""
        connection = connections[using]
        sql, params, many, context = arguments
        connection.__dict__[ANSWER] = origin
        if not is_known:
            raw: Any = connection.connection
            if connection.__dict__.get(ANSWERING) is not raw:
                # Once: none is put in its place while a statement is being stepped through, as by iterator().
                raw.create_function(FUNCTION, 0, lambda: connection.__dict__.get(ANSWER) or NOBODY)
                connection.__dict__[ANSWERING] = raw
            # Undone with the transaction that it is made in, so it is made sure of in each.
            raw.execute(ASK)
        try:
            return execute(sql, params, many, context)
        finally:
            connection.__dict__[ANSWER] = ""


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
