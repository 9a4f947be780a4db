"""What SQLite, MariaDB and MySQL have in common: a trigger for each row, and no statement that reads what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

from django.db import connections, transaction
from django.db.models import Field, Model

from rules_engine.databases.triggers.converting import converters_of
from rules_engine.databases.triggers.protocol import Definition, Written
from rules_engine.databases.triggers.running import OneByOne
from rules_engine.databases.triggers.tables import TableCapture, literal

OLD, NEW = "OLD", "NEW"
#: The columns of a captured change that a trigger writes.
WRITTEN = ("model", "operation", "object_pk", "old", "new", "origin", "captured_at")


class RowTriggers(OneByOne):
    """Triggers for each row. A database says how it quotes, compares and writes down."""

    #: What the columns of a captured change are given beside what the row says.
    origin: ClassVar[str]
    now: ClassVar[str]

    def quoted(self, name: str) -> str:
        """Return a name between the database's quotes."""
        raise NotImplementedError

    def text(self, value: str) -> str:
        """Return SQL that makes a text of a value which is not null."""
        raise NotImplementedError

    def json(self, row: str, columns: Sequence[str]) -> str:
        """Return SQL that makes JSON of these columns of a row: each value as a text that ``value_of`` reads."""
        raise NotImplementedError

    def differs(self, column: str) -> str:
        """Return SQL that says whether an update changes the column, in any way at all."""
        raise NotImplementedError

    def trigger(self, name: str, event: str, table: str, condition: str, insert: str) -> str:
        """Return the statement that makes a trigger."""
        raise NotImplementedError

    def definition(self, capture: TableCapture, captured: type[Model], using: str) -> Definition:
        """Return a trigger for each operation that is captured. See ``Triggers``."""
        table = connections[using].ops.quote_name(capture.table)
        target = connections[using].ops.quote_name(captured._meta.db_table)
        made = [
            (letter, event, condition, self._insert(capture, target, operation, row, old, new))
            for letter, event, operation, row, condition, old, new in self._events(capture)
        ]
        base = capture.name(f"{table} {made}")
        names = [f"{base}_{letter}" for letter, *_ in made]
        statements = [
            self.trigger(self.quoted(name), event, table, condition, insert)
            for name, (_, event, condition, insert) in zip(names, made, strict=True)
        ]
        return Definition(statements, names)

    def _events(self, capture: TableCapture) -> Iterator[tuple[str, str, str, str, str, str, str]]:
        if capture.inserts:
            yield "i", "INSERT", "create", NEW, "", "''", self.json(NEW, capture.new)
        if capture.updates:
            both = self.json(OLD, capture.old), self.json(NEW, capture.new)
            yield "u", "UPDATE", "update", NEW, self._changed(capture), *both
        if capture.deletes:
            yield "d", "DELETE", "delete", OLD, "", self.json(OLD, capture.gone), "''"

    def _changed(self, capture: TableCapture) -> str:
        if any(not columns for columns in capture.updates):
            return ""
        ways = [" AND ".join(self.differs(column) for column in columns) for columns in capture.updates]
        return " OR ".join(f"({way})" for way in ways)

    def _insert(self, capture: TableCapture, target: str, operation: str, row: str, old: str, new: str) -> str:
        columns = ", ".join(self.quoted(name) for name in WRITTEN)
        keys = [self.text(f"{row}.{self.quoted(column)}") for column in capture.keys]
        values = (literal(capture.label), literal(operation), self.joined(keys), old, new, self.origin, self.now)
        return f"INSERT INTO {target} ({columns}) VALUES ({', '.join(values)})"  # noqa: S608

    def joined(self, texts: Sequence[str]) -> str:
        """Return SQL that joins texts by commas; never null, for that would fail the write of a row without a key."""
        joined = " || ',' || ".join(texts)
        return f"coalesce({joined}, '')"

    def removal(self, table: str, names: Sequence[str], using: str) -> Sequence[str]:
        """Drop the triggers. See ``Triggers``."""
        return [f"DROP TRIGGER IF EXISTS {self.quoted(name)}" for name in names]

    @contextmanager
    def patient(self, seconds: float, using: str) -> Iterator[None]:
        """Have it in a transaction. See ``Triggers``."""
        with transaction.atomic(using=using):
            yield

    def values(
        self, model: type[Model], fields: Sequence[Field[Any, Any]], rows: Sequence[Written], using: str
    ) -> Iterator[Sequence[Any]]:
        """Make of the texts what the driver gives. See ``Triggers``."""
        readers = [self.reader(field, using) for field in fields]
        convert = converters_of(model, fields, connections[using])
        for row in rows:
            told = json.loads(row)
            yield convert([reader(told.get(field.column)) for reader, field in zip(readers, fields, strict=True)])

    def reader(self, field: Field[Any, Any], using: str) -> Callable[[Any], Any]:
        """Return what makes of a text in the JSON of ``json`` the value that the driver gives of such a column."""
        raise NotImplementedError
