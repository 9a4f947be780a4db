"""What the triggers of one table capture, as plain data."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass, replace
from typing import Any

#: Every trigger and function of ours begins so.
PREFIX = "rules_engine_"
#: Where they write what they capture.
CAPTURED_TABLE = "rules_engine_capturedchange"
#: Characters of a model's label in a name: with what stands around it, it stays below the 63 of PostgreSQL.
LABEL_LENGTH = 30
DIGEST_LENGTH = 12


@dataclass(frozen=True, slots=True)
class TableCapture:
    """What is captured of a table. Columns are named as the database names them."""

    #: The label of the model.
    label: str
    #: As ``Meta.db_table`` says it, which may name a schema: ``sales"."order``.
    table: str
    #: The columns of its primary key.
    keys: tuple[str, ...]
    #: Of a row that is inserted or updated: the columns that are told as they are, and as they were.
    new: tuple[str, ...] = ()
    old: tuple[str, ...] = ()
    #: Of a row that is deleted.
    gone: tuple[str, ...] = ()
    inserts: bool = False
    deletes: bool = False
    #: Columns that have to change for an update to be captured, all of one of these; an empty one is every update.
    updates: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> TableCapture:
        """Make it of ``stored()``; what a newer release has added is passed over."""
        tuples = {name: tuple(stored.get(name, ())) for name in ("keys", "new", "old", "gone")}
        return cls(
            label=stored["label"],
            table=stored["table"],
            inserts=bool(stored.get("inserts")),
            deletes=bool(stored.get("deletes")),
            updates=tuple(tuple(columns) for columns in stored.get("updates", ())),
            **tuples,
        )

    def stored(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    def covers(self, other: TableCapture) -> bool:
        """Say whether it captures all that the other one does."""
        return (
            self.table == other.table
            and self.keys == other.keys
            and set(other.new) <= set(self.new)
            and set(other.old) <= set(self.old)
            and set(other.gone) <= set(self.gone)
            and (self.inserts or not other.inserts)
            and (self.deletes or not other.deletes)
            and all(self._captures_update(columns) for columns in other.updates)
        )

    def _captures_update(self, columns: Sequence[str]) -> bool:
        return any(set(own) <= set(columns) for own in self.updates)

    def missing_from(self, other: TableCapture) -> tuple[str, ...]:
        """Return the columns that this one tells, or looks at, and the other one does not, by name."""
        return tuple(sorted(self.columns() - other.columns()))

    def columns(self) -> set[str]:
        """Return the columns that it tells, or looks at."""
        return {*self.new, *self.old, *self.gone, *(column for columns in self.updates for column in columns)}

    def without(self, columns: Set[str]) -> TableCapture:
        """Return what is left of it where these columns are gone."""
        return replace(
            self,
            new=tuple(name for name in self.new if name not in columns),
            old=tuple(name for name in self.old if name not in columns),
            gone=tuple(name for name in self.gone if name not in columns),
            updates=tuple(way for way in self.updates if not columns & {*way}),
        )

    @property
    def is_empty(self) -> bool:
        """Whether nothing is captured at all."""
        return not (self.inserts or self.deletes or self.updates)

    def name(self, text: str) -> str:
        """Return a name for what has this text: it says the model, and is another one where the text is."""
        digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]
        return f"{PREFIX}{re.sub(r'[^a-z0-9]', '_', self.label.lower())[:LABEL_LENGTH]}_{digest}"


def unqualified(table: str) -> str:
    """Return the name of a table without a schema: others may write that in other ways."""
    return table.replace('"', "").rpartition(".")[2]


def literal(text: str) -> str:
    """Return a text as SQL has it. Raises ``ValueError`` for what databases read in different ways."""
    if "\\" in text or "\x00" in text:
        raise ValueError(f"{text!r} cannot be written as a literal that every database reads alike.")
    return "'" + text.replace("'", "''") + "'"
