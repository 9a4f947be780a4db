"""Values that expressions and texts come to, as a model's field takes them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext

from rules_engine.context.snapshot import clean_text
from rules_engine.context.subject import Field
from rules_engine.errors import ConditionError, PermanentError, TemplateError
from rules_engine.rules import values

BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def computed(value: Any, data: Mapping[str, Any]) -> Any:
    """Return the value for this context. Raises ``PermanentError`` where it cannot be worked out."""
    try:
        return values.evaluate(value, data)
    except (TemplateError, ConditionError) as error:
        raise PermanentError(str(error)) from error


def convert(field: Field, value: Any) -> Any:
    """Return the value as the field's own Python type; an empty text is null where the field holds no texts.

    Raises ``ValidationError``, which names neither field nor value. Validators are not run.
    """
    target: Any = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(value, str):
        value = clean_text(value, len(value))
        value = value if target.empty_strings_allowed else value.strip()
    if value is None or (value == "" and not target.empty_strings_allowed):
        return "" if field.empty_strings_allowed and not field.null else None
    if isinstance(field, models.ForeignKey) and value == "":
        return None
    try:
        python = target.to_python(_prepared(target, value))
    except (TypeError, ValueError, ArithmeticError) as error:
        raise _unusable(error) from error
    return timezone.make_aware(python) if _is_naive(python) else python


def _unusable(error: Exception | None = None) -> ValidationError:
    return ValidationError(gettext("The value is not of the field's type."), code="invalid")


def _prepared(target: Field, value: Any) -> Any:
    if isinstance(value, Mapping | list) and not isinstance(target, models.JSONField):
        raise _unusable()
    if isinstance(target, models.BooleanField) and isinstance(value, str):
        return BOOLEANS.get(value.lower(), value)
    if isinstance(target, models.IntegerField) and isinstance(value, float) and not value.is_integer():
        raise _unusable()
    if isinstance(target, models.DecimalField) and isinstance(value, float | int | Decimal):
        return _rounded(target, value)
    if isinstance(target, models.DateField) and not isinstance(target, models.DateTimeField):
        return _date(value)
    return value


def _rounded(target: models.DecimalField[Any, Any], value: float | int | Decimal) -> Decimal:
    """Expressions calculate with binary fractions: 0.1 + 0.2 is 0.30 in a column of two places."""
    try:
        return Decimal(str(value)).quantize(Decimal(1).scaleb(-(target.decimal_places or 0)))
    except InvalidOperation as error:
        raise _unusable(error) from error


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
    if value is None and field.null and field.blank:
        return
    # The value is of the right type already: to_python, which clean() begins with, leaves it as it is.
    field.clean(value, row)
