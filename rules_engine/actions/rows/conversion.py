"""Values that expressions and texts come to, as a model's field takes them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from ipaddress import ip_address
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext

from rules_engine.context.plain_data import ALL_DIGITS, clean_text, is_cut, is_cut_text, plain
from rules_engine.context.stored_form import holds_json
from rules_engine.context.subject import Field
from rules_engine.errors import ConditionError, PermanentError, TemplateError
from rules_engine.rules import values

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def computed(value: Any, data: Mapping[str, Any]) -> Any:
    """Return the value for this context. A text that is exactly one place is the value at that place.

    Raises ``PermanentError`` where it cannot be worked out, and where an event tells of the value a part alone.
    """
    try:
        result = values.exact(value, data)
    except (TemplateError, ConditionError) as error:
        raise PermanentError(str(error)) from error
    if result is not value and (is_cut_text(result) if isinstance(result, str) else is_cut(result)):
        message = gettext(
            'The value is too long for an event to tell it whole; RULES_ENGINE["TEXT_LIMIT"] and RULES_ENGINE'
            '["ROWS_LIMIT"] are the limits.'
        )
        raise PermanentError(message)
    return result


def value_for(field: Field, value: Any, data: Mapping[str, Any]) -> Any:
    """Return what a value comes to for this context, as the field's own Python type.

    Raises ``PermanentError`` as ``computed`` does, and ``ValidationError`` as ``convert`` does.
    """
    result = computed(value, data)
    if isinstance(value, str) and isinstance(result, Mapping | list) and _is_of_one(_target_of(field)):
        result = values.text(value, data)  # where one value is wanted, a list or an object is JSON, as it is printed
    return convert(field, result)


def _target_of(field: Field) -> Any:
    return field.target_field if isinstance(field, models.ForeignKey) else field


def convert(field: Field, value: Any) -> Any:
    """Return the value as the field's own Python type; an empty text is null where the field holds no texts.

    Raises ``ValidationError``, which names neither field nor value. Validators are not run.
    """
    target = _target_of(field)
    if holds_json(target):
        return None if value is None or value == "" else _json(target, value)
    if isinstance(value, str):
        value = clean_text(value, len(value))
        value = value if target.empty_strings_allowed else value.strip()
    if value is None or (value == "" and not target.empty_strings_allowed):
        return "" if field.empty_strings_allowed and not field.null else None
    if isinstance(field, models.ForeignKey) and value == "":
        return None
    try:
        python = _python(target, value)
    except (TypeError, ValueError, ArithmeticError, AttributeError, LookupError) as error:
        raise _unusable(error) from error
    return timezone.make_aware(python) if _is_naive(python) else python


def _unusable(error: Exception | None = None) -> ValidationError:
    return ValidationError(gettext("The value is not of the field's type."), code="invalid")


def _python(target: Any, value: Any) -> Any:
    if isinstance(value, Mapping | list):
        return _of_many(target, value)
    return target.to_python(_prepared(target, value))


def _of_many(target: Any, value: Any) -> Any:
    """Return a list or an object as a field takes it: PostgreSQL's arrays and ranges, or a field of a library's own."""
    if isinstance(value, list) and hasattr(target, "base_field") and not hasattr(target, "range_type"):
        return [None if item is None else _item(target.base_field, item) for item in value]
    if hasattr(target, "range_type"):
        return target.to_python(json.dumps(plain(value)) if isinstance(value, Mapping) else value)
    if _is_of_one(target):
        raise _unusable()
    return target.to_python(value)


def _item(field: Any, value: Any) -> Any:
    return value if value == "" and field.empty_strings_allowed else convert(field, value)


def _is_of_one(target: Any) -> bool:
    """Say whether the field makes one value of what it is given, as Django's own scalar ones do."""
    return not holds_json(target) and type(target).to_python.__module__.startswith("django.db.models.fields")


def _json(target: Any, value: Any) -> Any:
    """Return the value with its decimals as numbers, which is what JSON has."""
    if isinstance(value, Mapping):
        return {key: _json(target, item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(target, item) for item in value]
    if not isinstance(value, Decimal):
        return value
    number = int(value) if value == value.to_integral_value() else float(value)
    if Decimal(repr(number)) != value:
        raise _unusable()  # its digits would be lost; as a text it keeps them
    return number


def _prepared(target: Field, value: Any) -> Any:
    if isinstance(target, models.BooleanField) and isinstance(value, str):
        return BOOLEANS.get(value.lower(), value)
    if isinstance(target, models.IntegerField) and isinstance(value, float | Decimal):
        return _whole(value)
    if isinstance(target, models.DecimalField) and isinstance(value, float | int | Decimal):
        return _rounded(target, value)
    if isinstance(target, models.DurationField):
        return _duration(value)
    if isinstance(target, models.GenericIPAddressField):
        # The field lets any text be one, and PostgreSQL's driver quotes the text that is none.
        return str(ip_address(str(value).strip()))
    if isinstance(target, models.DateField) and not isinstance(target, models.DateTimeField):
        return _date(value)
    return format(value, "f") if isinstance(value, Decimal) and not isinstance(target, models.FloatField) else value


def _whole(value: float | Decimal) -> int:
    if value != int(value):
        raise _unusable()
    return int(value)


def _rounded(target: models.DecimalField[Any, Any], value: float | int | Decimal) -> Decimal:
    """Expressions calculate with binary fractions: 0.1 + 0.2 is 0.30 in a column of two places.

    A number of which not even these places are sure is refused.
    """
    if target.decimal_places is None:
        return Decimal(str(value))
    unit = Decimal(1).scaleb(-target.decimal_places)
    if isinstance(value, float) and math.ulp(value) * 4 > unit:
        raise ValidationError(gettext("The calculation has more digits than it can keep."), code="digits")
    try:
        return Decimal(str(value)).quantize(unit, context=ALL_DIGITS)
    except InvalidOperation as error:
        raise _unusable(error) from error


def _duration(value: Any) -> Any:
    """Return the duration of a number of seconds, which is how contexts tell it; other texts are left to Django."""
    if isinstance(value, bool):
        raise _unusable()
    try:
        seconds = Decimal(str(value))
    except InvalidOperation:
        return value
    return timedelta(microseconds=int((seconds * 1_000_000).to_integral_value()))


def _date(value: Any) -> Any:
    """Return the day of a moment, in the site's time zone: contexts give moments, as ``event.occurred_at``."""
    moment = parse_datetime(value) if isinstance(value, str) and len(value) > len("2026-01-31") else None
    if moment is None:
        return value
    return timezone.localtime(moment).date() if timezone.is_aware(moment) else moment.date()


def _is_naive(value: Any) -> bool:
    return isinstance(value, datetime) and settings.USE_TZ and timezone.is_naive(value)


def validate(field: Field, value: Any, row: models.Model | None) -> None:
    """Hold a converted value to the field's validators, as ``full_clean`` would. Raises ``ValidationError``."""
    if value is not None and field.blank and value in field.empty_values:
        return
    if value is None and field.null:
        return  # whether a form may leave it empty is another matter
    # The value is of the right type already: to_python, which clean() begins with, leaves it as it is.
    field.clean(value, row)


def validate_new(row: models.Model) -> None:
    """Hold a row to all that ``full_clean`` asks. Raises ``ValidationError``.

    A column that may be null may stay so: ``blank`` is what forms ask.
    """
    row.full_clean(
        exclude={
            field.name
            for field in row._meta.fields
            if field.null and not field.blank and getattr(row, field.attname) is None
        }
    )
