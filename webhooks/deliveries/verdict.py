"""What an answer means: pure, a status and a few headers in, success or an error out.

Any 2xx is success. 410 says the receiver is gone for good. Everything else may pass, so it is sent again on the
endpoint's schedule: 408, 409, 425, 429 and 5xx by their meaning, redirects (which are never followed) and the other
4xx because what causes them is as a rule a deploy, a wrong URL or a wrong header, which somebody mends within days.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: The longest that one answer may put off the next attempt, in seconds.
LONGEST_RETRY_AFTER = 86_400.0
GONE, TOO_MANY = 410, 429
FORMER_ADDRESS_GONE = "The endpoint's former address answered 410. It has another one by now, which is tried next."


def succeeded(status: int) -> bool:
    """Tell whether the receiver has taken the delivery."""
    return 200 <= status < 300


def refusal_text(status: int, *, is_test: bool = False) -> str:
    """Write a sentence about an answer that is not a success."""
    if 300 <= status < 400:
        return f"The endpoint answered {status}, a redirect; webhooks do not follow redirects. Set the final URL."
    if status == GONE and is_test:
        return "The endpoint answered 410, that it is gone for good. It would be disabled by any other delivery."
    if status == GONE:
        return "The endpoint answered 410, that it is gone for good, and was disabled."
    return f"The endpoint answered {status}."


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read the seconds of a ``Retry-After`` header, at most a day; None where it is absent, past or nonsense."""
    text = (value or "").strip()
    # Eighteen digits are any number of seconds that anybody means; more would only cost time to convert.
    if text.isascii() and text.isdigit() and len(text) <= 18:
        seconds = float(text)
    else:
        moment = _moment(text)
        if moment is None:
            return None
        seconds = (moment - now).total_seconds()
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None


def longer(asked: float | None, also: float | None) -> float | None:
    """Give the longer of two waits that an answer asks for, at most a day; None where it asks for none."""
    waits = [wait for wait in (asked, also) if wait is not None]
    return min(max(waits), LONGEST_RETRY_AFTER) if waits else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def wait(asked: float | None, attempt: int, schedule: Sequence[float]) -> float | None:
    """Give the wait that ``Retry-After`` sets in place of the schedule's, or None to keep to that.

    The header makes a wait longer and never shorter: a receiver that says "1 second" through an outage would
    otherwise use up all attempts within seconds. ``attempt`` counts from 1.
    """
    if asked is None or not 0 < attempt <= len(schedule):
        return None
    return asked if asked > schedule[attempt - 1] else None
