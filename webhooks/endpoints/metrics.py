"""What monitors are told of endpoints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone

from rules_engine.sending import Metric, Sample
from webhooks.endpoints.breaker import OPENINGS
from webhooks.endpoints.status import TROUBLE, status_of
from webhooks.endpoints.troubles import late_endpoints
from webhooks.models import Endpoint

#: Endpoints whose states are told one by one; those in trouble come first.
MOST_TOLD = 500
METRICS = (
    Metric("webhooks_endpoint_state", "gauge", "1 for the state that the endpoint is in.", ("endpoint", "state")),
    Metric("webhooks_endpoints", "gauge", "Endpoints, by state, of the first 500.", ("state",)),
    Metric("webhooks_late_endpoints", "gauge", "Endpoints that could be sent to, and have been due for 5 minutes."),
    Metric("webhooks_deliveries", "counter", "Deliveries, by whether they were taken.", ("endpoint", "outcome")),
    Metric("webhooks_delivery_seconds", "summary", "How long endpoints took to answer.", ("endpoint",)),
    Metric(OPENINGS, "counter", "Pauses of an endpoint that failed again and again.", ("endpoint",)),
)
#: Switched off by hand is "disabled"; switched off because it failed for days, or is gone, is "given_up".
STATES = ("open", "failing", "paused", "probing", "waiting", "disabled", "given_up")


def read() -> Iterator[Sample]:
    """Read the states of endpoints, those in trouble first: one query for them, and one to three for what is late."""
    rows = Endpoint.objects.select_related("state").annotate(trouble=TROUBLE).order_by("trouble", "slug")
    now, states = timezone.now(), Counter[str]()
    for endpoint in rows[:MOST_TOLD]:
        state = _state(endpoint, now)
        states[state] += 1
        # All states, so that one which ends is seen to end, and an alert about it with it.
        for name in STATES:
            yield Sample("webhooks_endpoint_state", float(name == state), (endpoint.slug, name))
    for name in STATES:
        yield Sample("webhooks_endpoints", states[name], (name,))
    yield Sample("webhooks_late_endpoints", len(late_endpoints()))


def _state(endpoint: Endpoint, now: datetime) -> str:
    if not endpoint.enabled and endpoint.disabled_reason:
        return "given_up"
    return status_of(endpoint, now).name
