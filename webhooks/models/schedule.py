"""What a retry schedule of an endpoint may be."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext

#: Seconds: events are forgotten after thirty days, so a delivery that waited longer would have nothing to say.
LONGEST_WAIT_OF_ENDPOINT = 30 * 24 * 3600
MOST_WAITS = 50


def schedule_problem(value: Any) -> str | None:
    """Say in a sentence what is wrong with a retry schedule; None where it is fine."""
    if value is None:
        return None
    if not isinstance(value, list) or not all(_is_wait(seconds) for seconds in value):
        return gettext("Expected a list of seconds from 0 to 2,592,000 (30 days), such as [5, 60, 3600].")
    if len(value) > MOST_WAITS:
        return gettext("Expected at most 50 waits; more attempts than that help nobody.")
    return None


def _is_wait(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= LONGEST_WAIT_OF_ENDPOINT
