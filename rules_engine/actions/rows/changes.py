"""What ``update_objects`` does to a row: set, increment or append, worked out and held to the field's validators."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Value
from django.db.models.functions import Coalesce, Concat
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.actions.rows import field_rows
from rules_engine.actions.rows.conversion import validate, value_for
from rules_engine.actions.rows.writing import invalid, writable_field
from rules_engine.context import snapshot
from rules_engine.context.paths import ModelClass
from rules_engine.context.plain_data import ALL_DIGITS, same
from rules_engine.context.subject import Field
from rules_engine.errors import PermanentError, Problem, Refused, UnknownPath, did_you_mean
from rules_engine.types import CutRows, Path

HOWS = ("set", "increment", "append")
NUMBERS = (models.IntegerField, models.DecimalField, models.FloatField)
TEXTS = (models.CharField, models.TextField)


@dataclass(frozen=True, slots=True)
class Change:
    """One field's change as written; ``value`` is worked out for each row."""

    field: Field
    how: str
    value: Any

    def wanted(self, data: Mapping[str, Any]) -> Any:
        """Return the value, the amount or the text for this context. Raises ``ValidationError`` or
        ``PermanentError``."""
        return value_for(models.TextField() if self.how == "append" else self.field, self.value, data)

    def new(self, old: Any, wanted: Any) -> Any:
        """Say what the field will hold: for its validators, and to see whether anything changes."""
        if self.how == "set" or not wanted:
            return wanted if self.how == "set" else old
        if isinstance(wanted, Decimal):
            return ALL_DIGITS.add(old or Decimal(), wanted)
        return (old or "") + wanted if self.how == "append" else (old or 0) + wanted

    def expression(self, wanted: Any) -> Any:
        """Let the database work it out, so that no concurrent change is lost."""
        if self.how == "increment":
            return Coalesce(F(self.field.attname), Value(0), output_field=self.field) + Value(wanted, self.field)
        if self.how == "append":
            return Concat(F(self.field.attname), Value(wanted or ""), output_field=models.TextField())
        return wanted


def problems(config: Mapping[str, Any], model: ModelClass) -> Iterator[Problem]:
    """Say what is wrong with how the fields are to change."""
    yield from field_rows.field_problems(config, model, creating=False)
    for index, row in field_rows.rows(config, "values"):
        how = row.get("how") or "set"
        if how not in HOWS:
            hint = did_you_mean(how, HOWS)
            yield Problem(
                f"/values/{index}/how",
                gettext("Expected one of %(hows)s, and got %(how)s.%(hint)s")
                % {"hows": ", ".join(HOWS), "how": repr(how), "hint": hint},
            )
        elif trouble := _how_problem(model, str(row.get("field")), how):
            yield Problem(f"/values/{index}/how", trouble)


def _how_problem(model: ModelClass, name: str, how: str) -> str | None:
    try:
        field = writable_field(model, name, creating=False)
    except (UnknownPath, Refused):
        return None  # said at the field
    if how == "increment" and not isinstance(field, NUMBERS):
        return gettext('"%(name)s" is no number, and cannot be incremented.') % {"name": name}
    if how == "append" and not isinstance(field, TEXTS):
        return gettext('"%(name)s" is no text, and cannot be appended to.') % {"name": name}
    return None


def changes_of(config: Mapping[str, Any], model: ModelClass) -> list[Change]:
    """Return the changes as written. Raises ``UnknownPath``, ``Refused`` or ``PermanentError``."""
    changes = []
    for _, row in field_rows.rows(config, "values"):
        name, how = str(row.get("field")), str(row.get("how") or "set")
        field = writable_field(model, name, creating=False)
        if how not in HOWS or _how_problem(model, name, how):
            raise PermanentError(gettext('"%(name)s" cannot be changed by "%(how)s".') % {"name": name, "how": how})
        changes.append(Change(field, how, row.get("value")))
    return changes


def own_tree(changes: Sequence[Change]) -> snapshot.Tree:
    """Say what the changes read of the row itself."""
    paths: set[Path] = {path for change in changes for path in field_rows.own_reads(change.value)}
    return snapshot.tree_of(frozenset(paths))


def with_row(data: Mapping[str, Any], row: models.Model, tree: snapshot.Tree) -> Mapping[str, Any]:
    """Return the context with ``row`` as it is now, related rows included.

    Raises ``PermanentError`` where the row has more related rows than are read: a sum of them would be wrong.
    """
    if not tree:
        return data
    value = snapshot.read(row, tree)
    if _is_cut(value):
        raise PermanentError(
            gettext(
                "%(model)s %(pk)s has more than %(limit)s related rows, which is how many are read (ROWS_LIMIT in "
                "RULES_ENGINE)."
            )
            % {"model": str(row._meta.verbose_name).capitalize(), "pk": row.pk, "limit": f"{conf.rows_limit():,}"}
        )
    return {**data, field_rows.ROW: value}


def _is_cut(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_cut(part) for part in value.values())
    return isinstance(value, CutRows) or (isinstance(value, list) and any(_is_cut(part) for part in value))


def apply(changes: Sequence[Change], row: models.Model, data: Mapping[str, Any]) -> list[str]:
    """Change a locked row, unsaved. Returns the names of the fields that really change, in order.

    Raises ``PermanentError`` for a value that the field cannot take, naming the field.
    """
    pending: list[tuple[Change, Any, Any]] = []
    for change in changes:
        with _naming(type(row), change.field):
            wanted = change.wanted(data)
            old = getattr(row, change.field.attname)
            new = change.new(old, wanted)
            if not same(new, old):
                validate(change.field, new, row)
                pending.append((change, wanted, new))
    for change, _, new in pending:
        setattr(row, change.field.attname, new)
    names = [change.field.name for change, _, _ in pending]
    _hold_to_constraints(row, names)
    for change, wanted, _ in pending:
        if change.how == "increment":
            setattr(row, change.field.attname, change.expression(wanted))
    return names


def shown(changes: Sequence[Change], row: models.Model, data: Mapping[str, Any]) -> dict[str, Any]:
    """Say what each field would come to, as ``{field: {"old", "new"}}``; the row is left as it is. Raises as
    ``apply``."""
    columns = {}
    for change in changes:
        with _naming(type(row), change.field):
            old = getattr(row, change.field.attname)
            new = change.new(old, change.wanted(data))
            validate(change.field, new, row)
        values = {"old": old, "new": new}.items()
        columns[change.field.name] = {
            k: snapshot.plain(snapshot.column_value(change.field, entry)) for k, entry in values
        }
    return columns


@contextmanager
def _naming(model: ModelClass, field: Field) -> Iterator[None]:
    try:
        yield
    except ValidationError as error:
        raise invalid(model, ValidationError({field.name: error.error_list})) from None


def _hold_to_constraints(row: models.Model, names: Sequence[str]) -> None:
    others = {field.name for field in row._meta.fields} - set(names)
    try:
        row.validate_unique(exclude=others)
        row.validate_constraints(exclude=others)
    except ValidationError as error:
        raise invalid(type(row), error) from None


def columns(changes: Sequence[Change], model: ModelClass, data: Mapping[str, Any]) -> dict[str, Any]:
    """Work them out for one statement over all rows: what ``QuerySet.update`` takes. Raises ``PermanentError``."""
    expressions = {}
    for change in changes:
        with _naming(model, change.field):
            wanted = change.wanted(data)
            if change.how == "set":
                validate(change.field, wanted, None)
            expressions[change.field.name] = change.expression(wanted)
    return expressions
