"""A model instance as plain data: JSON-safe, bounded, without secrets. Reads only the paths it is asked for.

Decimals stay ``Decimal`` in the process, so that conditions see a number and texts its exact digits; ``plain`` turns
them to strings for storage and payloads and notes where they were, ``restore`` turns them back.
"""

from __future__ import annotations

import datetime
import decimal
import hashlib
import math
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.files import File
from django.db import DEFAULT_DB_ALIAS, models
from django.utils.functional import Promise

from rules_engine import conf
from rules_engine.context import aggregates
from rules_engine.context.paths import ModelClass, Step, aggregate_of, readable_fields, steps
from rules_engine.databases import database_of
from rules_engine.types import EVERY_FIELD, FieldChange, Path

#: Nested values (JSON fields, signal arguments) are kept to this depth.
MAX_DEPTH = 16
CUT = "…"
#: The least that TEXT_LIMIT can be: of texts up to it, the setting need not be looked up.
SHORT = 250

#: More rows of a relation than ROWS_LIMIT, where they are read to be acted on one by one.
_most_rows: ContextVar[int] = ContextVar("rules_engine_most_rows", default=0)

#: A tree of the names to read: ``{"doctor": {"email": {}}}``.
Tree = dict[str, Any]


@contextmanager
def up_to(rows: int) -> Iterator[None]:
    """Read that many rows of a relation inside, whatever ROWS_LIMIT says."""
    token = _most_rows.set(rows)
    try:
        yield
    finally:
        _most_rows.reset(token)


@lru_cache(maxsize=1024)
def tree_of(paths: frozenset[Path]) -> Tree:
    """Return the paths with common beginnings folded together. Whoever asks for the same gets the same: alter none.

    Kept, for a rule asks for the same at each save.
    """
    root: Tree = {}
    for path in paths:
        here = root
        for name in path:
            here = here.setdefault(name, {})
    return root


def clean_text(text: str, limit: int | None = None) -> str:
    """Return text that any database and any JSON parser takes: no NUL, no lone surrogates, cut and marked if too long.

    ``limit`` is in characters, without the mark. Without it TEXT_LIMIT holds, and the mark tells cut texts apart.
    """
    if limit is not None:
        text = text if len(text) <= limit else text[:limit] + CUT
    elif len(text) > SHORT and len(text) > (most := conf.text_limit()):
        text = text[:most] + CUT + _fingerprint(text)
    if text.isascii():
        return text.replace("\x00", "\ufffd")
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def _fingerprint(text: str) -> str:
    # Two long texts that differ beyond the cut are not the same text: a change there is a change.
    return hashlib.blake2s(text.encode("utf-8", "replace"), digest_size=4).hexdigest()


def safe(value: Any, depth: int = 0) -> Any:
    """Return any Python value as JSON-safe data (``Decimal`` excepted).

    Dates are ISO 8601, a UUID is a string, a file its name, NaN and infinities are null, model instances are
    ``{"model", "pk"}``; what is unknown becomes ``{"type", "text"}`` so that nobody takes it for the thing itself.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean_text(str.__str__(value))  # of an Enum, str() is the member's name
    if isinstance(value, int):
        # Beyond 64 bits JSON parsers and columns disagree on what a number is.
        return int(value) if -(2**63) <= value < 2**63 else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, decimal.Decimal):
        return value if value.is_finite() else None
    return _safe_other(value, depth)


def _safe_other(value: Any, depth: int) -> Any:
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        # One instant has one form, whichever time zone the caller thinks in; the database answers in UTC.
        return value.astimezone(datetime.UTC).isoformat()
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID | Promise):
        return clean_text(str(value))
    if isinstance(value, File):
        return clean_text(value.name or "")
    if isinstance(value, models.Model):
        return {"model": value._meta.label_lower, "pk": safe(value.pk, depth + 1)}
    if depth >= MAX_DEPTH:
        return {"type": "truncated", "text": CUT}
    if isinstance(value, Mapping):
        return {clean_text(str(key), 200): safe(item, depth + 1) for key, item in _first(value.items())}
    if isinstance(value, list | tuple | set | frozenset):
        return [safe(item, depth + 1) for item in _first(value)]
    return _marked(value)


def _first(values: Iterable[Any]) -> Iterator[Any]:
    most = conf.rows_limit()
    for count, value in enumerate(values):
        if count >= most:
            return
        yield value


def _marked(value: Any) -> dict[str, str]:
    try:
        text = str(value)
    except Exception as error:  # noqa: BLE001 - a foreign __str__ may raise anything; the mark records it
        text = f"<{type(error).__name__} in str()>"
    return {"type": type(value).__qualname__, "text": clean_text(text)}


def is_unsettled(instance: models.Model, field: models.Field[Any, Any]) -> bool:
    """Say whether the instance does not hold the field's value: it is deferred, or an expression such as ``F()``."""
    if field.attname not in instance.__dict__:
        return True
    return hasattr(instance.__dict__[field.attname], "resolve_expression")


def unsettled(instance: models.Model, fields: Iterable[models.Field[Any, Any]]) -> set[str]:
    """Return the column names of those of the fields whose value the instance does not hold."""
    return {field.attname for field in fields if is_unsettled(instance, field)}


def values_on(instance: models.Model, fields: Iterable[models.Field[Any, Any]]) -> dict[str, Any]:
    """Return the JSON-safe values of those of the fields that the instance holds, by column name."""
    return {field.attname: field_value(instance, field) for field in fields if not is_unsettled(instance, field)}


def field_value(instance: models.Model, field: models.Field[Any, Any]) -> Any:
    """Return a field's value as JSON-safe data, as the database would give it back: ``"12"`` is ``Decimal("12")``."""
    return column_value(field, instance.__dict__.get(field.attname))


def column_value(field: models.Field[Any, Any], value: Any) -> Any:
    """Return a value of that column as JSON-safe data."""
    if isinstance(field, models.FileField):
        return clean_text(str(getattr(value, "name", value) or ""))
    if value is not None and not isinstance(field, models.JSONField | models.BinaryField):
        value = _as_python(field, value)
    return safe(value)


def _as_python(field: models.Field[Any, Any], value: Any) -> Any:
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    try:
        python = target.to_python(value)
    except (ValidationError, TypeError, ValueError, ArithmeticError, AttributeError):
        return value
    return _quantized(target, python) if isinstance(target, models.DecimalField) else python


def _quantized(field: models.DecimalField[Any, Any], value: Any) -> Any:
    """Return the digits that are stored: an instance may hold ``5.0`` for a column of two places."""
    exponent = decimal.Decimal(1).scaleb(-(field.decimal_places or 0))
    # A database that is handed all digits rounds half up; for the others Django rounds, to the even digit.
    rounds = database_of(DEFAULT_DB_ALIAS).rounds_decimals
    try:
        return decimal.Decimal(str(value)).quantize(exponent, decimal.ROUND_HALF_UP if rounds else None)
    except (decimal.InvalidOperation, ValueError):
        return value


def read(instance: models.Model, tree: Tree) -> dict[str, Any]:
    """Return the asked-for part of an instance: ``{field: value, relation: {…}, to-many relation: [ {…}, … ]}``.

    What the rows of a to-many relation come to stands under its own name, ``items__count``. Follows relations, so it
    may query. Raises ``UnknownPath`` for a name that the model has not, or that is hidden.
    """
    model = type(instance)
    known = steps(model)
    values: dict[str, Any] = {}
    for name, below in tree.items():
        if name == EVERY_FIELD:
            values.update({f.attname: _settled(instance, f) for f in readable_fields(model)})
            values.setdefault("pk", safe(instance.pk))
        elif name == "pk":
            values["pk"] = safe(instance.pk)
        elif name in known:
            values[name] = _read_step(instance, known[name], below)
    if others := [name for name in tree if name not in known and name != EVERY_FIELD]:
        aggregated = aggregates.read(instance, [aggregate_of(model, name) for name in others])
        values.update((name, safe(value)) for name, value in aggregated.items())
    return values


def _settled(instance: models.Model, field: models.Field[Any, Any]) -> Any:
    # A deferred field would be a query of its own here; capture settles what its rules read in one query beforehand.
    return None if is_unsettled(instance, field) else field_value(instance, field)


def _read_step(instance: models.Model, step: Step, below: Tree) -> Any:
    if step.kind == "value":
        return _settled(instance, step.field)
    if step.kind == "to_many":
        return _rows(instance, step.name, below)
    try:
        related = getattr(instance, step.name)
    except ObjectDoesNotExist:
        return None
    return None if related is None else _object(related, below)


def _object(related: models.Model, below: Tree) -> dict[str, Any]:
    return {"pk": safe(related.pk), **read(related, below)}


def _rows(instance: models.Model, name: str, below: Tree) -> list[dict[str, Any]]:
    return [] if instance.pk is None else rows_of(getattr(instance, name).all(), below)


def rows_of(rows: models.QuerySet[Any], below: Tree) -> list[dict[str, Any]]:
    """Return the asked-for part of each row, of as many as may be read."""
    # An index (``items.0.name``) or a bare mention asks for whole rows.
    below = {key: value for key, value in below.items() if not key.isdigit()} or {EVERY_FIELD: {}}
    if not rows.query.is_sliced:
        if one_to_one := list(_to_one(rows.model, below)):
            rows = rows.select_related(*one_to_one)  # or each row would be a query more
        rows = rows[: _most_rows.get() or conf.rows_limit()]
    return [_object(row, below) for row in rows]


def _to_one(model: ModelClass, below: Tree) -> Iterator[str]:
    """Return the relations to one that the tree follows, as ``select_related`` has them: ``patient__user``."""
    known = steps(model)
    for name, further in below.items():
        step = known.get(name)
        if step is not None and step.kind == "to_one" and step.model is not None:
            yield step.field.name
            yield from (f"{step.field.name}__{step_below}" for step_below in _to_one(step.model, further))


def diff(
    fields: Iterable[models.Field[Any, Any]], old: Mapping[str, Any] | None, new: Mapping[str, Any]
) -> Iterator[FieldChange]:
    """Yield the fields whose value differs. ``old`` and ``new`` map column names to JSON-safe values.

    ``old`` is None for a new object: then every field that is not empty counts as changed, from null.
    """
    for field in fields:
        name = field.attname
        if name not in new:
            continue
        if old is None:
            if new[name] not in (None, ""):
                yield FieldChange(field.name, None, new[name])
        elif name in old and old[name] != new[name]:
            yield FieldChange(field.name, old[name], new[name])


def plain(value: Any, pointer: str = "", found: list[str] | None = None) -> Any:
    """Copy data with each ``Decimal`` as its exact string; the pointers of those strings are added to ``found``."""
    if isinstance(value, decimal.Decimal):
        if found is not None:
            found.append(pointer)
        return str(value)
    if isinstance(value, Mapping):
        return {key: plain(item, f"{pointer}/{_escape(key)}", found) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{pointer}/{index}", found) for index, item in enumerate(value)]
    return value


def _escape(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def restore(value: Any, pointers: Iterable[str]) -> Any:
    """Undo ``plain``, in place: each string at one of the pointers becomes a ``Decimal`` again."""
    for pointer in pointers:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        here = value
        for part in parents:
            here = here[int(part)] if isinstance(here, list) else here[part]
        key: Any = int(last) if isinstance(here, list) else last
        here[key] = decimal.Decimal(here[key])
    return value
