"""What commands take as numbers. Raises ``ArgumentTypeError``, which argparse says beside the option."""

from __future__ import annotations

from argparse import ArgumentTypeError

from rules_engine.retry import LONGEST_SCHEDULED_WAIT
from rules_engine.setting_values import MOST_COUNT


def whole(text: str) -> int:
    """Return a whole number of at least 1."""
    if not text.isdecimal() or not 1 <= int(text[:20]) <= MOST_COUNT:
        raise ArgumentTypeError(f"expected a whole number from 1 to {MOST_COUNT:,}, and got {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """Return a number of seconds, up to a year."""
    value = number(text)
    if not 0 <= value <= LONGEST_SCHEDULED_WAIT:
        raise ArgumentTypeError(
            f"expected a number of seconds from 0 to {LONGEST_SCHEDULED_WAIT:,.0f}, and got {text!r}"
        )
    return value


def number(text: str) -> float:
    """Return a number, or one below all that an option takes."""
    try:
        return float(text)
    except ValueError:
        return float("-inf")
