"""A retry schedule as people write it: ``5s, 5m, 30m, 2h``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_WAIT = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)", re.IGNORECASE)


def words(schedule: Sequence[float]) -> str:
    """Write seconds in the largest unit that fits: ``5s, 5m``; ``[]`` for none."""
    return ", ".join(_word(float(seconds)) for seconds in schedule) or "[]"


def _word(seconds: float) -> str:
    if not seconds:
        return "0s"
    unit = next((unit for unit in "dhm" if seconds % SECONDS[unit] == 0), "s")
    # With all digits and without an exponent: what is shown in the form is read again when that is saved.
    return f"{Decimal(repr(seconds)) / SECONDS[unit]:f}".removesuffix(".0") + unit


def parsed(text: str) -> list[float]:
    """Read the seconds. Raises ``ValidationError`` with a sentence that names the wait it cannot read."""
    waits: list[float] = []
    for number, part in enumerate(filter(None, map(str.strip, text.strip().strip("[]").split(","))), start=1):
        wait = _WAIT.fullmatch(part)
        if wait is None:
            raise ValidationError(
                _("Wait number %(number)s, “%(text)s”, is not a time. Write 90, 5m, 2h or 1d, with commas between.")
                % {"number": number, "text": part}
            )
        seconds = float(wait[1]) * SECONDS[wait[2].lower() or "s"]
        waits.append(int(seconds) if seconds.is_integer() else seconds)
    return waits


class ScheduleField(forms.CharField):
    """Empty is None, the site's schedule; ``[]`` is the empty one. What is too long or too late the model refuses."""

    def prepare_value(self, value: Any) -> Any:
        # What was typed is shown again as it was typed.
        return words(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return parsed(text) if text else None

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(data) != initial)
        except ValidationError:
            return True


def site_help(schedule: Sequence[float]) -> str:
    """Tell what an empty field means."""
    text = gettext(
        "Waits before the second, third, … attempt, such as 5s, 1m, 1h. Empty: the site's, %s. []: no retry."
    )
    return text % words(schedule)
