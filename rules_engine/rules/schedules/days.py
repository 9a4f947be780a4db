"""Days counted: calendar days, weeks, months, and business days without those of a holiday list."""

from __future__ import annotations

import calendar
from collections.abc import Container
from datetime import date, timedelta
from functools import lru_cache
from types import ModuleType
from typing import Any

NO_DAYS: Container[date] = frozenset()
SATURDAY = 5
#: Days in a row of which none is a business day, at most; a list that has more is no list of holidays.
LONGEST_HOLIDAYS = 60


def holidays_module() -> ModuleType | None:
    """Return the package that has the lists of holidays; None where it is not installed."""
    try:
        import holidays
    except ImportError:
        return None
    return holidays


@lru_cache(maxsize=64)
def holiday_list(code: str) -> Container[date]:
    """Return the holidays of a country, ``"DE"``, or of a part of it, ``"DE-BY"``.

    Raises ``LookupError`` where there is no such list, or where the package that has them is not installed.
    """
    package: Any = holidays_module()
    if package is None:
        raise LookupError(code)
    country, _, part = code.partition("-")
    try:
        days: Container[date] = package.country_holidays(country, subdiv=part or None)
    except (NotImplementedError, KeyError, AttributeError) as error:
        raise LookupError(code) from error
    return days


def countries() -> list[str]:
    """Return the countries that have a list, and their parts, as codes; none where the package is not installed."""
    package: Any = holidays_module()
    if package is None:
        return []
    known = package.list_supported_countries()
    return [code for country, parts in known.items() for code in (country, *(f"{country}-{part}" for part in parts))]


def is_business_day(day: date, holidays: Container[date]) -> bool:
    """Say whether it is a day from Monday to Friday that is no holiday."""
    return day.weekday() < SATURDAY and day not in holidays


def next_business_day(day: date, step: int, holidays: Container[date]) -> date:
    """Return the first business day after that day, or before it where ``step`` is -1. Raises ``OverflowError``."""
    for _ in range(LONGEST_HOLIDAYS):
        day += timedelta(days=step)
        if is_business_day(day, holidays):
            return day
    return day


def shifted(day: date, count: int, unit: str, holidays: Container[date] = NO_DAYS, *, is_before: bool = False) -> date:
    """Return the day so many units later; earlier, where the count is below 0. A day that a month lacks is its last.

    Zero business days after a day that is none are the next one, and before it (``is_before``) the one before. The
    later a day, the later is what this returns, or as late. Raises ``OverflowError`` or ``ValueError`` at the ends of
    the calendar.
    """
    if unit == "months":
        month = day.year * 12 + day.month - 1 + count
        year, number = month // 12, month % 12 + 1
        # Raises where there is no such year.
        first = date(year, number, 1)
        return first.replace(day=min(day.day, calendar.monthrange(year, number)[1]))
    if unit != "business_days":
        return day + timedelta(days=count * (7 if unit == "weeks" else 1))
    step = -1 if count < 0 or (is_before and not count) else 1
    for _ in range(abs(count)):
        day = next_business_day(day, step, holidays)
    return day if count or is_business_day(day, holidays) else next_business_day(day, step, holidays)
