"""The stored form of a field's value: what its column will hold, as plain data.

An instance may hold the same value in many guises: a text for a date, a moment without a zone, a library's own type.
Told is what the database would give back of it. How that is found out is prepared once a field (``form_of``).
"""

from __future__ import annotations

import base64
import datetime
import decimal
import inspect
import json
import uuid
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeAlias

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import DEFAULT_DB_ALIAS, connections, models
from django.utils import timezone

from rules_engine.context import ranges
from rules_engine.context.plain_data import ALL_DIGITS, MAX_DEPTH, MOST_TENS, NO_VALUE, SHORT, clean_text, safe
from rules_engine.databases import database_of
from rules_engine.hidden.fields import is_hidden
from rules_engine.hidden.secret_names import without_secrets
from rules_engine.hidden.values import hidden

if TYPE_CHECKING:
    Field: TypeAlias = models.Field[Any, Any]
else:  # only the stubs know that a field is generic
    Field: TypeAlias = models.Field

Form = Callable[[Any], Any]

#: Where a field says what it stores, and what it makes of it.
CONVERSIONS = ("to_python", "get_prep_value", "get_db_prep_value", "from_db_value")
PLAIN = (str, int, float, decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, uuid.UUID, type(None))
BINARY = (bytes, bytearray, memoryview)


def column_value(field: Field, value: Any) -> Any:
    """Return a value of that field's column in its stored form, as JSON-safe data."""
    return form_of(field)(value)


def field_value(instance: models.Model, field: Field) -> Any:
    """Return a field's value as JSON-safe data, as the database would give it back: ``"12"`` is ``Decimal("12")``."""
    return reader_of(type(instance), field)(instance)


def key_value(instance: models.Model) -> Any:
    """Return an object's primary key in its stored form: a list for many columns, None where it was not told."""
    key = instance.pk
    if type(key) is int or key is None:
        return safe(key)
    return None if hasattr(type(key), "resolve_expression") else form_of(instance._meta.pk)(key)


def key_of(model: type[models.Model], told: Any) -> Any:
    """Return a primary key as the model has it, of the form in which it was told. Raises ``ValidationError``."""
    key: Any = model._meta.pk
    try:
        return key.to_python(told)
    except NO_VALUE:
        if not hasattr(key, "from_db_value"):
            raise
    return key.from_db_value(told, key.cached_col, connections[DEFAULT_DB_ALIAS])


@lru_cache(maxsize=4096)
def reader_of(model: type[models.Model], field: Field) -> Callable[[models.Model], Any]:
    """Return what reads the field of the model's objects, in its stored form."""
    form, name = form_of(field), field.attname
    if is_held_plainly(model, name):
        return lambda instance: form(instance.__dict__.get(name))
    # What is saved is what the attribute gives, not what lies beneath: in which language, in which currency.
    return lambda instance: form(field.value_from_object(instance))


@lru_cache(maxsize=4096)
def is_held_plainly(model: type[models.Model], name: str) -> bool:
    """Say whether an object's attribute is no more than what the object holds: no code of its own is run for it."""
    attribute = inspect.getattr_static(model, name, None)
    return attribute is None or type(attribute).__module__.startswith("django.db.")


@lru_cache(maxsize=4096)
def form_of(field: Field) -> Form:
    """Return what makes the stored form of the field's values."""
    field = _stored_as(field)
    if is_hidden(field):
        return _hidden_form(field)
    if isinstance(field, models.FileField):
        return _file_name
    form = _form_of(field)
    return form if _is_one_value(field) else _without_secrets(form)


@lru_cache(maxsize=4096)
def is_told_plainly(field: Field) -> bool:
    """Say whether a field tells one value, by nothing but Django's own conversions: whatever it holds, that raises
    nothing."""
    field = _stored_as(field)
    is_own = not is_hidden(field) and not isinstance(field, models.FileField) and _is_one_value(field)
    return is_own and all(_is_djangos(field, name) for name in CONVERSIONS)


def _hidden_form(field: Field) -> Form:
    form, name = _file_name if isinstance(field, models.FileField) else _form_of(field), str(field)
    return lambda value: hidden(name, form(value))


def _is_one_value(field: Field) -> bool:
    """Say whether the field holds no data with keys of its own: one of Django's own, but for JSON."""
    return type(field).__module__.startswith("django.db.models.fields") and not holds_json(field)


def _without_secrets(form: Form) -> Form:
    return lambda value: without_secrets(form(value))


def _form_of(field: Field) -> Form:
    if isinstance(field, models.CompositePrimaryKey):
        return _parts_form(field)
    if holds_json(field):
        return _json_form(field)
    if hasattr(field, "range_type"):
        return ranges.form(field, form_of(field.base_field))  # type: ignore[attr-defined]
    if hasattr(field, "base_field"):
        return _array_form(field)
    if not all(_is_djangos(field, name) for name in CONVERSIONS):
        return _own_form(field)
    return _binary if isinstance(field, models.BinaryField) else _djangos_form(field)


def _stored_as(field: Field) -> Field:
    """Return the field that says how the column is stored: of a relation the key it holds, of a generated one its
    output."""
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    if getattr(field, "generated", False):
        field = getattr(field, "output_field", field)
    return field


def holds_json(field: Field) -> bool:
    """Say whether the column holds JSON, whatever Python makes of it."""
    return getattr(field, "get_internal_type", str)() == "JSONField"


def may_hold_many(field: Field) -> bool:
    """Say whether a value of the field may be a list or an object: JSON, arrays, and what a library makes of others."""
    field = _stored_as(field)
    return holds_json(field) or not all(_is_djangos(field, name) for name in CONVERSIONS)


def _is_djangos(field: Field, name: str) -> bool:
    """Say whether a method of the field is Django's own, or there is none."""
    if name in vars(field):
        return False
    owner = next((kind for kind in type(field).__mro__ if name in vars(kind)), None)
    return owner is None or owner.__module__.startswith("django.db.")


def _file_name(value: Any) -> str:
    return clean_text(str(getattr(value, "name", value) or ""))


def _binary(value: Any) -> Any:
    """Return bytes as Django's serializers write them."""
    return clean_text(base64.b64encode(bytes(value)).decode()) if isinstance(value, BINARY) else safe(value)


def _parts_form(key: Any) -> Form:
    forms = [form_of(field) for field in key.fields]

    def form(value: Any) -> Any:
        if not isinstance(value, tuple | list) or len(value) != len(forms):
            return safe(value)
        return [of_part(part) for of_part, part in zip(forms, value, strict=True)]

    return form


def _djangos_form(field: Field) -> Form:
    to_python, settled = field.to_python, _settling(field)
    is_text, is_number = isinstance(field, models.CharField | models.TextField), isinstance(field, models.IntegerField)
    places = field.decimal_places if isinstance(field, models.DecimalField) else None
    digits = None if places is None else decimal.Decimal(1).scaleb(-places)

    def form(value: Any) -> Any:
        # What nearly every value is, is told without a call.
        kind = type(value)
        if value is None or (is_number and kind is int and -(2**63) <= value < 2**63):
            return value
        if is_text and issubclass(kind, str):
            text = str.__str__(value)  # of an Enum, str() is the member's name
            if len(text) <= SHORT and text.isascii() and "\x00" not in text:
                return text
        # A decimal of as many places as are stored, and no greater than is told as a number.
        if kind is decimal.Decimal and digits and value.same_quantum(digits) and abs(value.adjusted()) <= MOST_TENS:
            return value
        try:
            python = to_python(value)
        except NO_VALUE:
            return safe(value)
        return safe(python if settled is None else settled(python))

    return form


def _settling(field: Field) -> Form | None:
    """Return what a column does to a value of the right type; None where that is nothing."""
    if isinstance(field, models.DecimalField) and field.decimal_places is not None:
        return lambda value: _quantized(field, value)
    return _in_its_zone if isinstance(field, models.DateTimeField) else None


def _in_its_zone(value: Any) -> Any:
    """Return a moment without a zone in that in which it will be saved; where the site has none, one without."""
    if not isinstance(value, datetime.datetime):
        return value
    if settings.USE_TZ and value.tzinfo is None:
        return value.replace(tzinfo=timezone.get_default_timezone())
    if not settings.USE_TZ and value.tzinfo is not None:
        return timezone.make_naive(value, timezone.get_default_timezone())
    return value


def _quantized(field: models.DecimalField[Any, Any], value: Any) -> Any:
    """Return the digits that are stored: an instance may hold ``5.0`` for a column of two places."""
    exponent = decimal.Decimal(1).scaleb(-field.decimal_places)
    # A database that is handed all digits rounds half up; for the others Django rounds, to the even digit.
    rounds = database_of(DEFAULT_DB_ALIAS).rounds_decimals
    try:
        return decimal.Decimal(str(value)).quantize(exponent, decimal.ROUND_HALF_UP if rounds else None, ALL_DIGITS)
    except (decimal.InvalidOperation, ValueError):
        return value


def _json_form(field: Any) -> Form:
    encoder = field.encoder if isinstance(field, models.JSONField) else DjangoJSONEncoder
    prepared = None if _is_djangos(field, "get_prep_value") else field.get_prep_value

    def form(value: Any) -> Any:
        if value is None:
            return None
        try:
            if prepared is not None:
                value = _json_of(prepared(value), value)
            return safe(json.loads(json.dumps(value, cls=encoder), parse_float=_number))
        except NO_VALUE:
            return safe(value)

    return form


def _number(text: str) -> int | float:
    """Return a number as it is read back: PostgreSQL writes ``1e+18`` out, and Python reads a whole number then."""
    if "e" in text and (number := decimal.Decimal(text)) == number.to_integral_value():
        return int(number)
    return float(text)


def _json_of(prepared: Any, value: Any) -> Any:
    """Return what a field of its own kind stores as JSON: some prepare the text of it."""
    return json.loads(prepared) if isinstance(prepared, str) and not isinstance(value, str) else prepared


def _array_form(field: Any) -> Form:
    of_one = form_of(field.base_field)

    def form(value: Any) -> Any:
        try:
            python = field.to_python(value)
        except NO_VALUE:
            return safe(value)
        return safe([of_one(item) for item in python] if isinstance(python, list | tuple) else python)

    return form


def _own_form(field: Field) -> Form:
    """Return the form of a field that has conversions of its own, from the value that it stores.

    Where that is no plain data, or is read back as none, the stored value is told, or the field's text.
    """
    settled = _settling(field) or (lambda value: value)
    reads_back = _reading_back(field)

    def form(value: Any) -> Any:
        try:
            prepared = field.get_prep_value(value)
        except NO_VALUE:
            prepared = value
        for candidate in (reads_back(prepared, value), prepared):
            if isinstance(candidate, BINARY):
                return _binary(candidate)
            if _is_plain(candidate):
                return safe(settled(candidate))
        return clean_text(_text_of(field, value))

    return form


def _reading_back(field: Any) -> Callable[[Any, Any], Any]:
    """Return what Python makes of what such a field has prepared; the second argument is the value itself."""
    if not hasattr(field, "from_db_value"):
        return lambda prepared, value: prepared
    # Where the field prepares for the database alone, what it reads back is no longer what it has prepared.
    if not all(_is_djangos(field, name) for name in ("get_db_prep_value", "get_db_prep_save")):
        return lambda prepared, value: _as_python(field, value)
    column = getattr(field, "cached_col", None) if hasattr(field, "model") else None

    def read_back(prepared: Any, value: Any) -> Any:
        try:
            return field.from_db_value(prepared, column, connections[DEFAULT_DB_ALIAS])
        except NO_VALUE:
            return _as_python(field, value)

    return read_back


def _as_python(field: Field, value: Any) -> Any:
    try:
        return field.to_python(value)
    except NO_VALUE:
        return value


def _is_plain(value: Any, depth: int = 0) -> bool:
    if isinstance(value, PLAIN):
        return True
    if depth >= MAX_DEPTH:
        return isinstance(value, Mapping | list | tuple)
    if isinstance(value, Mapping):
        return all(_is_plain(item, depth + 1) for item in value.values())
    return isinstance(value, list | tuple) and all(_is_plain(item, depth + 1) for item in value)


def _text_of(field: Field, value: Any) -> str:
    holder: Any = SimpleNamespace(**{getattr(field, "attname", "") or "value": value})
    try:
        return str(field.value_to_string(holder))
    except NO_VALUE:
        return str(value)
