"""When an endpoint rests and how fast it may be asked. Pure: states, rates and a moment in, no query and no clock.

Consecutive failures pause an endpoint: after five for a minute, then for twice as long after each probe that fails,
a day at most. A probe is one delivery. What fails for five days is disabled, and the administrators are told. A
receiver that asks to wait (``Retry-After``) pauses itself. What waits for a paused endpoint is kept, and uses up no
attempt.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from webhooks.models import EndpointState

FAILURES_BEFORE_PAUSE = 5
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=24)
DISABLE_AFTER = timedelta(days=5)
#: A pause is doubled so often at most: a number of pauses that nobody has seen would overflow.
MOST_DOUBLINGS = 20
#: The part of a rate that may be used at once, when it was saved up.
BURST_PART = 10
#: What another worker has just written may be ahead of this one's look at the clock, but not by so much.
FOREIGN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Report:
    """What one delivery says about its endpoint. ``asked`` is how many seconds the receiver wants to be left alone."""

    taken: bool
    error: str = ""
    asked: float | None = None


def resting_until(state: EndpointState, now: datetime) -> datetime | None:
    """Tell when the endpoint may be asked again, None where it may be now."""
    later = [moment for moment in (state.paused_until, state.asked_until) if moment is not None and moment > now]
    return max(later, default=None)


def note_failure(state: EndpointState, report: Report, now: datetime) -> None:
    """Write into ``state`` what a delivery that was not taken changes."""
    state.failures += 1
    state.failing_since = state.failing_since or now
    state.last_error = report.error
    state.probe_until = None
    if report.asked is not None:
        asked = now + timedelta(seconds=report.asked)
        state.asked_until = max(asked, state.asked_until or asked)
    is_paused = state.paused_until is not None and state.paused_until > now
    # What was in flight already when the pause began does not lengthen it.
    if state.failures >= FAILURES_BEFORE_PAUSE and not is_paused:
        state.paused_until = now + min(FIRST_PAUSE * 2 ** min(state.pauses, MOST_DOUBLINGS), LONGEST_PAUSE)
        state.pauses += 1


def has_failed_for_good(state: EndpointState, now: datetime) -> bool:
    """Tell whether it has failed for so long that it is disabled."""
    return state.failing_since is not None and now - state.failing_since >= DISABLE_AFTER


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` deliveries in any window of ``seconds``, by the generic cell rate algorithm (ITU-T I.371).

    All that is kept is one moment: when the next delivery fits if none had been saved up.
    """

    count: int
    seconds: int

    @property
    def burst(self) -> int:
        """How many may go at once, when they were saved up."""
        return max(1, self.count // BURST_PART)

    @property
    def interval(self) -> timedelta:
        """The time that one delivery takes up: of a rate that no clock can measure, the least that it can."""
        return max(timedelta(seconds=self.seconds / (self.count - self.burst + 1)), timedelta.resolution)

    def own(self, ready_at: datetime | None, now: datetime) -> datetime | None:
        """Give the stored moment, None where it is later than this rate ever gives: it was another rate's, or of a
        clock that was set back."""
        if ready_at is None or ready_at > now + self.burst * self.interval + FOREIGN:
            return None
        return ready_at

    def start(self, ready_at: datetime | None, now: datetime) -> datetime:
        """Give the moment from which the next deliveries are counted."""
        return max(self.own(ready_at, now) or now, now)

    def fitting(self, ready_at: datetime | None, now: datetime) -> int:
        """Count the deliveries that may go now."""
        room = now + self.burst * self.interval - self.start(ready_at, now)
        return max(math.floor(room / self.interval), 0)

    def seconds_until_one_fits(self, ready_at: datetime | None, now: datetime) -> float:
        """Tell how long to wait for the next one; infinite where the rate is not what holds it back."""
        ready = self.own(ready_at, now)
        if ready is None:
            return math.inf
        return max((ready - now - (self.burst - 1) * self.interval).total_seconds(), 0)
