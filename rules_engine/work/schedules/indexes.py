"""Which index a rule on a date lacks: without it each look reads the whole table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connections, models
from django.db.models.fields.reverse_related import ForeignObjectRel

from rules_engine.databases import database_of
from rules_engine.rules.validation import rule_problems
from rules_engine.types import RuleSpec
from rules_engine.work.schedules.dates import column_of

#: Characters of a name that every database takes.
LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class MissingIndex:
    """A column that no index begins with, in the table of that model, and the SQL that makes one."""

    model: type[models.Model]
    field: models.Field[Any, Any]
    sql: str

    def __str__(self) -> str:
        return f"{self.field.model._meta.db_table}.{self.field.column}"


def lacking(rules: Iterable[RuleSpec], using: str) -> list[tuple[str, str]]:
    """Return what is to be said of the indexes that rules on dates lack, with what to do; each index once."""
    said: dict[str, tuple[str, str]] = {}
    for rule in rules:
        if rule.schedule is None or rule.schedule.get("kind") != "date" or rule_problems(rule):
            continue
        try:
            missing = missing_indexes(rule.model, rule.schedule, using)
        except DatabaseError:  # its table is not there yet
            continue
        for index in missing:
            message = f"Rule {rule.slug}: {index} has no index, and each look for what is due reads the whole table."
            name = f"{index.model._meta.label}.{index.field.name}"
            said.setdefault(str(index), (message, f"Set db_index=True on {name} and migrate, or: {index.sql}"))
    return list(said.values())


def missing_indexes(label: str, schedule: Mapping[str, Any], using: str) -> list[MissingIndex]:
    """Return the indexes that looking for these dates lacks: of the date, and of relations on the way to it.

    Some queries about the tables. Raises ``UnknownPath``, ``LookupError`` and ``DatabaseError``.
    """
    found: dict[str, MissingIndex] = {}
    for field in _columns(label, schedule):
        missing = MissingIndex(field.model, field, _sql(field, using))
        if str(missing) not in found and not _is_first_of_any(field, using):
            found[str(missing)] = missing
    return list(found.values())


def _columns(label: str, schedule: Mapping[str, Any]) -> Iterator[models.Field[Any, Any]]:
    """Yield the columns by which the objects of a date are found: its own, then those that point to where it is."""
    *way, own = column_of(label, schedule).way
    yield own
    for step in way:
        # Of a relation that is seen from its other end the column is unique.
        if not isinstance(step, ForeignObjectRel):
            yield step


def _is_first_of_any(field: models.Field[Any, Any], using: str) -> bool:
    connection = connections[using]
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, field.model._meta.db_table)
    indexes = (each for each in constraints.values() if each["index"] or each["unique"] or each["primary_key"])
    return any(each["columns"] and each["columns"][0] == field.column for each in indexes)


def _sql(field: models.Field[Any, Any], using: str) -> str:
    connection = connections[using]
    quote = connection.ops.quote_name
    table, column = field.model._meta.db_table, str(field.column)
    name = f"{table}_{column}_due"[-LONGEST_NAME:]
    return f"{database_of(using).create_index} {quote(name)} ON {quote(table)} ({quote(column)});"
