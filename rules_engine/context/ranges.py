"""PostgreSQL's ranges, as Django's serializers write them; of whole numbers and days there is one way to write each."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

from django.db import models

from rules_engine.context.plain_data import NO_VALUE, safe


def form(field: Any, of_end: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what makes the stored form of a range field's values; ``of_end`` makes that of an end."""
    step = _step_of(field.base_field)

    def told(value: Any) -> Any:
        if value is None:
            return None
        try:
            value = field.get_prep_value(field.to_python(value))
            ends = _bounds(field, value, step)
        except NO_VALUE:
            return safe(value)
        if ends is None:
            return json.dumps({"empty": True})
        lower, upper, bounds = ends
        texts = {name: end if end is None else str(of_end(end)) for name, end in (("lower", lower), ("upper", upper))}
        return json.dumps({"bounds": bounds, **texts})

    return told


def _step_of(field: Any) -> Any:
    """Return what lies between a value and the next one; None where there is always one more between them."""
    if isinstance(field, models.IntegerField):
        return 1
    is_of_days = isinstance(field, models.DateField) and not isinstance(field, models.DateTimeField)
    return datetime.timedelta(days=1) if is_of_days else None


def _bounds(field: Any, value: Any, step: Any) -> tuple[Any, Any, str] | None:
    """Return the ends of a range and which of them belong to it, as PostgreSQL keeps it; None for an empty range."""
    if value.isempty:
        return None
    lower, upper = (end if end is None else field.base_field.to_python(end) for end in (value.lower, value.upper))
    has_lower, has_upper = value.lower_inc and lower is not None, value.upper_inc and upper is not None
    if step is not None:
        lower = lower + step if lower is not None and not has_lower else lower
        upper = upper + step if upper is not None and has_upper else upper
        has_lower, has_upper = lower is not None, False
    if lower is not None and upper is not None and lower >= upper and not (lower == upper and has_lower and has_upper):
        return None
    return lower, upper, f"{'[' if has_lower else '('}{']' if has_upper else ')'}"
