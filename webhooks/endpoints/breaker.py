"""How many deliveries an endpoint may get now, and what an answer means for those after it, in the database.

By which policy is told in ``policy.py``. All workers share the rows, so each change is one statement or locked.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F, Q, Value
from django.db.models.functions import Now

from rules_engine.sending import count_after_commit, in_flight, is_heard
from webhooks import conf
from webhooks.endpoints import policy
from webhooks.endpoints.policy import DISABLE_AFTER, Rate, Report
from webhooks.endpoints.signals import BACK, endpoint_back, endpoint_paused, tell_of
from webhooks.models import Endpoint, EndpointQuerySet, EndpointState, clean_state, lanes

#: What pauses are counted as, by endpoint, for monitors.
OPENINGS = "webhooks_breaker_openings"
#: Seconds added to the deadline before a probe without a word is taken for lost with its process.
PROBE_GRACE = 30.0


def _endpoints() -> EndpointQuerySet:
    rows: EndpointQuerySet = Endpoint.objects.using(router.db_for_write(Endpoint))
    return rows.select_related("state").annotate(now=Now(output_field=DateTimeField()))


def endpoints(slugs: Sequence[str]) -> dict[str, Endpoint]:
    """Read the endpoints of these slugs, each with its state and ``now``, the database's clock."""
    return {endpoint.slug: endpoint for endpoint in _endpoints().filter(slug__in=slugs)}


def state_of(endpoint: Endpoint) -> EndpointState:
    """Give the endpoint's state; an unsaved clean one where nothing was ever counted against it."""
    state: EndpointState | None = getattr(endpoint, "state", None)
    return EndpointState(endpoint=endpoint) if state is None else state


def rate_of(endpoint: Endpoint) -> Rate | None:
    """Give the endpoint's rate, None where it has none."""
    if not endpoint.rate_count or not endpoint.rate_seconds:
        return None
    # Saving refuses a longer time; after a fixture or an UPDATE the sender must not stumble over it.
    return Rate(endpoint.rate_count, min(endpoint.rate_seconds, conf.LONGEST_WAIT_OF_SITE))


def allowance(endpoint: Endpoint, wanted: int) -> int:
    """Tell how many deliveries may be begun now, of ``wanted``; they are taken off the endpoint's rate.

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
    rate = rate_of(endpoint)
    if wanted and rate is not None:
        wanted = _from_rate(endpoint, rate, wanted, now)
    return wanted


def _begins_probe(state: EndpointState, now: datetime) -> bool:
    # Of two workers that look at once, the UPDATE lets one have it.
    until = now + timedelta(seconds=conf.deadline_seconds() + PROBE_GRACE)
    free = EndpointState.objects.filter(Q(probe_until__isnull=True) | Q(probe_until__lte=now), pk=state.pk)
    return bool(free.update(probe_until=until))


def _from_rate(endpoint: Endpoint, rate: Rate, wanted: int, now: datetime) -> int:
    state, _made = EndpointState.objects.get_or_create(endpoint=endpoint)
    fitting = min(wanted, rate.fitting(state.rate_ready_at, now))
    if fitting <= 0:
        return 0
    unchanged = Q(rate_ready_at=state.rate_ready_at)
    if state.rate_ready_at is None:
        unchanged = Q(rate_ready_at__isnull=True)
    later = rate.start(state.rate_ready_at, now) + fitting * rate.interval
    changed = EndpointState.objects.filter(unchanged, pk=state.pk).update(rate_ready_at=later)
    # None: another worker was faster, and the next look is a moment away.
    return fitting if changed else 0


def give_back(endpoint: Endpoint, unused: int, allowed: int) -> None:
    """Return what ``allowance`` allowed and nothing was there to use it for: it was ordered otherwise, say."""
    if unused <= 0:
        return
    rows = EndpointState.objects.filter(pk=endpoint.pk)
    if unused == allowed and state_of(endpoint).pauses:
        rows.update(probe_until=None)
    rate = rate_of(endpoint)
    if rate is not None:
        earlier = ExpressionWrapper(F("rate_ready_at") - Value(unused * rate.interval), output_field=DateTimeField())
        rows.update(rate_ready_at=earlier)


def is_awake(endpoint: Endpoint) -> bool:
    """Tell whether nothing keeps the endpoint from being asked now. ``endpoint`` is one that ``endpoints`` gave."""
    now: datetime = endpoint.now  # type: ignore[attr-defined]
    return policy.resting_until(state_of(endpoint), now) is None


def asked_for(slug: str) -> float:
    """Tell for how many seconds more the endpoint has asked to be left alone; 0 where it has not, or there is none."""
    endpoint = endpoints([slug]).get(slug)
    until = None if endpoint is None else state_of(endpoint).asked_until
    if endpoint is None or until is None:
        return 0.0
    now: datetime = endpoint.now  # type: ignore[attr-defined]
    return max((until - now).total_seconds(), 0.0)


def is_unrestricted(endpoint: Endpoint) -> bool:
    """Tell whether it may get as many deliveries as there are, in any order, being one that ``endpoints`` gave."""
    is_limited = endpoint.ordered or endpoint.concurrency is not None or bool(endpoint.rate_count)
    return not is_limited and not state_of(endpoint).pauses and is_awake(endpoint)


def ready_in(endpoint: Endpoint) -> float:
    """Tell in how many seconds its rate lets one more go, infinite where the rate is not what holds it back."""
    rate = rate_of(endpoint)
    if rate is None or state_of(endpoint).pauses or not is_awake(endpoint):
        return math.inf
    state = EndpointState.objects.filter(pk=endpoint.pk).first()
    if state is None:
        return math.inf
    return rate.seconds_until_one_fits(state.rate_ready_at, endpoint.now)  # type: ignore[attr-defined]


@contextmanager
def locked(endpoint: Endpoint) -> Iterator[None]:
    """Let one worker at a time count what is in flight and claim more, while the block runs."""
    using = router.db_for_write(EndpointState)
    EndpointState.objects.using(using).get_or_create(endpoint=endpoint)
    with transaction.atomic(using=using):
        # A write, because SQLite has no other lock.
        EndpointState.objects.using(using).filter(pk=endpoint.pk).update(failures=F("failures"))
        yield


def record(endpoint: Endpoint, reports: Sequence[Report]) -> bool:
    """Take note of deliveries, in the order in which they ended. Returns whether the endpoint was disabled by them."""
    if not reports:
        return False
    using = router.db_for_write(EndpointState)
    with transaction.atomic(using=using):
        EndpointState.objects.using(using).get_or_create(endpoint=endpoint)
        rows = EndpointState.objects.using(using).annotate(now=Now(output_field=DateTimeField()))
        state = rows.select_for_update().get(pk=endpoint.pk)
        now: datetime = state.now
        before = state.pauses
        was_paused = bool(state.pauses)
        for report in reports:
            _apply(state, report, now)
        if state.pauses > before:
            count_after_commit({(OPENINGS, (endpoint.slug,)): 1}, using)
        state.save(using=using)
        if state.pauses and not was_paused:
            tell_of(endpoint_paused, endpoint, state.last_error)
        elif was_paused and not state.pauses:
            tell_of(endpoint_back, endpoint, BACK)
    if not policy.has_failed_for_good(state, now):
        return False
    return endpoint.disable(f"It had failed for {DISABLE_AFTER.days} days. The last error: {state.last_error}")


def _apply(state: EndpointState, report: Report, now: datetime) -> None:
    if not report.taken:
        policy.note_failure(state, report, now)
        return
    for column, value in clean_state().items():
        setattr(state, column, value)


def clear(endpoints: Iterable[Endpoint]) -> None:
    """Take note that these took what they were sent, and were not in trouble when it was: the common case, and one
    statement that as a rule changes no row."""
    rows = EndpointState.objects.using(router.db_for_write(EndpointState))
    troubled = rows.filter(pk__in=[endpoint.pk for endpoint in endpoints]).exclude(failures=0, pauses=0)
    if is_heard(endpoint_back):
        # Paused while this was under way: who takes that back tells it.
        for state in troubled.filter(pauses__gt=0).select_related("endpoint"):
            record(state.endpoint, [Report(taken=True)])
    troubled.update(**clean_state())


def is_troubled(endpoint: Endpoint) -> bool:
    """Tell whether failures count against it. ``endpoint`` is one that ``endpoints`` gave."""
    state = state_of(endpoint)
    return bool(state.failures or state.pauses)


def resume(endpoint: Endpoint) -> None:
    """Forget what was counted against it, by hand: the endpoint gets deliveries at once."""
    endpoint.resume()
