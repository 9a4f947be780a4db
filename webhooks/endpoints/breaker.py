"""How many deliveries an endpoint may get now, and what an answer means for those after it.

Consecutive failures pause an endpoint: after five for a minute, then for twice as long after each probe that fails,
a day at most. A probe is one delivery. What fails for five days is disabled, and the administrators are told. A
receiver that asks to wait (``Retry-After``) pauses itself. What waits meanwhile is kept, and not charged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Now

from rules_engine.sending import in_flight
from webhooks import conf
from webhooks.models import Endpoint, EndpointQuerySet, EndpointState, clean_state, lanes

FAILURES_BEFORE_PAUSE = 5
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=24)
DISABLE_AFTER = timedelta(days=5)
#: Seconds added to the deadline before a probe without a word is taken for lost with its process.
PROBE_GRACE = 30.0
#: The part of a rate that may be used at once, when it was saved up.
BURST = 10
#: What another worker has just written may be ahead of this one's look at the clock, but not by so much.
FOREIGN = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Charge:
    """What one delivery says about its endpoint. ``asked`` is how many seconds the receiver wants to be left alone."""

    taken: bool
    error: str = ""
    asked: float | None = None


def _endpoints() -> EndpointQuerySet:
    rows: EndpointQuerySet = Endpoint.objects.using(router.db_for_write(Endpoint))
    return rows.select_related("state").annotate(now=Now(output_field=DateTimeField()))


def endpoints(slugs: Sequence[str]) -> dict[str, Endpoint]:
    """The endpoints of these slugs, each with its state and ``now``, the database's clock."""
    return {one.slug: one for one in _endpoints().filter(slug__in=slugs)}


def state_of(endpoint: Endpoint) -> EndpointState:
    """The endpoint's state; an unsaved clean one where nothing was ever charged."""
    found: EndpointState | None = getattr(endpoint, "state", None)
    return found if found is not None else EndpointState(endpoint=endpoint)


def resting_until(state: EndpointState, now: datetime) -> datetime | None:
    """When the endpoint may be asked again, None where it may be now."""
    later = [moment for moment in (state.paused_until, state.asked_until) if moment is not None and moment > now]
    return max(later, default=None)


def allowance(endpoint: Endpoint, wanted: int) -> int:
    """How many deliveries may be begun now, of ``wanted``; they are taken off the endpoint's rate.

    ``endpoint`` is one that ``endpoints`` gave.
    """
    if not is_awake(endpoint):
        return 0
    now: datetime = endpoint.now  # type: ignore[attr-defined]
    state = state_of(endpoint)
    if endpoint.concurrency is not None:
        wanted = min(wanted, endpoint.concurrency - in_flight(conf.QUEUE, *lanes.counted(endpoint.slug)))
    if wanted <= 0:
        return 0
    if state.pauses:
        wanted = int(_begins_probe(state, now))
    if wanted and endpoint.rate_count and endpoint.rate_seconds:
        wanted = _from_rate(endpoint, wanted, now)
    return wanted


def _begins_probe(state: EndpointState, now: datetime) -> bool:
    # Of two workers that look at once, the UPDATE lets one have it.
    until = now + timedelta(seconds=conf.deadline_seconds() + PROBE_GRACE)
    free = EndpointState.objects.filter(Q(probe_until__isnull=True) | Q(probe_until__lte=now), pk=state.pk)
    return bool(free.update(probe_until=until))


def _from_rate(endpoint: Endpoint, wanted: int, now: datetime) -> int:
    """By the generic cell rate algorithm (ITU-T I.371): in any window of ``rate_seconds`` at most ``rate_count``."""
    burst, interval = _burst_and_interval(endpoint)
    state, _made = EndpointState.objects.get_or_create(endpoint=endpoint)
    ready = max(_ready_at(state, now, burst * interval) or now, now)
    fitting = min(wanted, math.floor((now + burst * interval - ready) / interval))
    if fitting <= 0:
        return 0
    rows = EndpointState.objects.filter(pk=state.pk, rate_ready_at=state.rate_ready_at)
    if state.rate_ready_at is None:
        rows = EndpointState.objects.filter(pk=state.pk, rate_ready_at__isnull=True)
    # Another worker was faster: the next look is a moment away.
    return fitting if rows.update(rate_ready_at=ready + fitting * interval) else 0


def _ready_at(state: EndpointState, now: datetime, span: timedelta) -> datetime | None:
    # Later than this rate ever gives: it was another rate's, or of a clock that was set back.
    found = state.rate_ready_at
    return None if found is not None and found > now + span + FOREIGN else found


def _burst_and_interval(endpoint: Endpoint) -> tuple[int, timedelta]:
    assert endpoint.rate_count is not None  # noqa: S101 - the caller has looked
    assert endpoint.rate_seconds is not None  # noqa: S101
    burst = max(1, endpoint.rate_count // BURST)
    return burst, timedelta(seconds=endpoint.rate_seconds / (endpoint.rate_count - burst + 1))


def give_back(endpoint: Endpoint, unused: int, allowed: int) -> None:
    """Return what ``allowance`` allowed and nothing was found to use it for: it was ordered otherwise, say."""
    if unused <= 0:
        return
    rows = EndpointState.objects.filter(pk=endpoint.pk)
    if unused == allowed and state_of(endpoint).pauses:
        rows.update(probe_until=None)
    if endpoint.rate_count and endpoint.rate_seconds:
        _burst, interval = _burst_and_interval(endpoint)
        earlier = ExpressionWrapper(F("rate_ready_at") - Value(unused * interval), output_field=DateTimeField())
        rows.update(rate_ready_at=earlier)


def is_awake(endpoint: Endpoint) -> bool:
    """Whether nothing keeps the endpoint from being asked now. ``endpoint`` is one that ``endpoints`` gave."""
    now: datetime = endpoint.now  # type: ignore[attr-defined]
    return resting_until(state_of(endpoint), now) is None


def is_unrestricted(endpoint: Endpoint) -> bool:
    """Whether it may get as many deliveries as there are, in any order. ``endpoint`` is one that ``endpoints`` gave."""
    limited = endpoint.ordered or endpoint.concurrency is not None or bool(endpoint.rate_count)
    return not limited and not state_of(endpoint).pauses and is_awake(endpoint)


def ready_in(endpoint: Endpoint) -> float:
    """Seconds until its rate lets one more go, infinite where the rate is not what holds it back."""
    now: datetime = endpoint.now  # type: ignore[attr-defined]
    if not endpoint.rate_count or not endpoint.rate_seconds or state_of(endpoint).pauses or not is_awake(endpoint):
        return math.inf
    state = EndpointState.objects.filter(pk=endpoint.pk).first()
    burst, interval = _burst_and_interval(endpoint)
    ready = None if state is None else _ready_at(state, now, burst * interval)
    return math.inf if ready is None else max((ready - now - (burst - 1) * interval).total_seconds(), 0)


@contextmanager
def locked(endpoint: Endpoint) -> Iterator[None]:
    """One worker at a time counts what is in flight and claims more, while the block runs."""
    using = router.db_for_write(EndpointState)
    EndpointState.objects.using(using).get_or_create(endpoint=endpoint)
    with transaction.atomic(using=using):
        # A write, because SQLite has no other lock.
        EndpointState.objects.using(using).filter(pk=endpoint.pk).update(failures=F("failures"))
        yield


def charge(endpoint: Endpoint, charges: Sequence[Charge]) -> bool:
    """Take note of deliveries, in the order in which they ended. Returns whether the endpoint was disabled by them."""
    if not charges:
        return False
    using = router.db_for_write(EndpointState)
    with transaction.atomic(using=using):
        EndpointState.objects.using(using).get_or_create(endpoint=endpoint)
        rows = EndpointState.objects.using(using).annotate(now=Now(output_field=DateTimeField()))
        state = rows.select_for_update().get(pk=endpoint.pk)
        now: datetime = state.now
        for one in charges:
            _apply(state, one, now)
        state.save(using=using)
    since = state.failing_since
    if since is None or now - since < DISABLE_AFTER:
        return False
    return endpoint.disable(f"It had failed for {DISABLE_AFTER.days} days. The last error: {state.last_error}")


def _apply(state: EndpointState, one: Charge, now: datetime) -> None:
    if one.taken:
        for name, value in clean_state().items():
            setattr(state, name, value)
        return
    state.failures += 1
    state.failing_since = state.failing_since or now
    state.last_error = one.error
    state.probe_until = None
    if one.asked is not None:
        asked = now + timedelta(seconds=one.asked)
        state.asked_until = max(asked, state.asked_until or asked)
    is_paused = state.paused_until is not None and state.paused_until > now
    # What was in flight already when the pause began does not lengthen it.
    if state.failures >= FAILURES_BEFORE_PAUSE and not is_paused:
        # The exponent is bounded, or a number of pauses nobody has seen would overflow.
        state.paused_until = now + min(FIRST_PAUSE * 2 ** min(state.pauses, 20), LONGEST_PAUSE)
        state.pauses += 1


def clear(endpoints: Iterable[Endpoint]) -> None:
    """Take note that these took what they were sent, and were not in trouble when it was: the common case, and one
    statement that as a rule finds nothing to write."""
    rows = EndpointState.objects.using(router.db_for_write(EndpointState))
    troubled = rows.filter(pk__in=[one.pk for one in endpoints]).exclude(failures=0, pauses=0)
    troubled.update(**clean_state())


def is_troubled(endpoint: Endpoint) -> bool:
    """Whether failures are charged to it. ``endpoint`` is one that ``endpoints`` gave."""
    state = state_of(endpoint)
    return bool(state.failures or state.pauses)


def resume(endpoint: Endpoint) -> None:
    """Forget what was charged: the endpoint gets deliveries at once."""
    endpoint.forget_failures()
