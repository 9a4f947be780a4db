"""The breaker's rows: what workers that share them may begin, and what they write of what came back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone

from tests.factories import make_endpoint
from webhooks.endpoints import breaker
from webhooks.endpoints.policy import DISABLE_AFTER, FAILURES_BEFORE_PAUSE, Report
from webhooks.models import Endpoint, EndpointState, clean_state

pytestmark = pytest.mark.django_db

REFUSED = Report(taken=False, error="It answered 500.")
TAKEN = Report(taken=True)
MINUTE = timedelta(minutes=1)


def made(slug: str = "crm", **fields: Any) -> Endpoint:
    make_endpoint(slug, url="https://hooks.example.com/", **fields)
    return read(slug)


def read(slug: str = "crm") -> Endpoint:
    """The endpoint as a worker reads it, with its state and the database's clock."""
    return breaker.endpoints([slug])[slug]


def state(slug: str = "crm") -> EndpointState:
    return EndpointState.objects.get(endpoint__slug=slug)


def rewind(**by: timedelta) -> None:
    """Let time go by for what is stored."""
    EndpointState.objects.update(**{name: F(name) - back for name, back in by.items()})


def test_endpoints_are_read_in_one_query_with_state_and_clock(django_assert_num_queries: Any) -> None:
    made("crm")
    made("erp")
    breaker.record(read("crm"), [REFUSED])
    with django_assert_num_queries(1):
        endpoints = breaker.endpoints(["crm", "erp", "gone"])
        failures = {slug: breaker.state_of(endpoint).failures for slug, endpoint in endpoints.items()}
    assert failures == {"crm": 1, "erp": 0}
    assert all(abs(endpoint.now - timezone.now()) < MINUTE for endpoint in endpoints.values())  # type: ignore[attr-defined]


def test_an_endpoint_without_limits_may_get_all_that_is_wanted(django_assert_num_queries: Any) -> None:
    endpoint = made()
    with django_assert_num_queries(0):
        assert breaker.allowance(endpoint, 500) == 500


def test_a_paused_endpoint_gets_nothing() -> None:
    breaker.record(made(), [REFUSED] * FAILURES_BEFORE_PAUSE)
    assert breaker.allowance(read(), 10) == 0
    assert not breaker.is_awake(read())


def test_after_a_pause_one_worker_gets_one_probe() -> None:
    breaker.record(made(), [REFUSED] * FAILURES_BEFORE_PAUSE)
    rewind(paused_until=2 * MINUTE)
    first, second = read(), read()
    assert breaker.allowance(first, 10) == 1
    assert breaker.allowance(second, 10) == 0


def test_a_probe_that_is_lost_with_its_process_makes_room_for_another() -> None:
    breaker.record(made(), [REFUSED] * FAILURES_BEFORE_PAUSE)
    rewind(paused_until=2 * MINUTE)
    assert breaker.allowance(read(), 10) == 1
    rewind(probe_until=10 * MINUTE)
    assert breaker.allowance(read(), 10) == 1


def test_a_probe_for_which_nothing_was_there_is_given_back() -> None:
    breaker.record(made(), [REFUSED] * FAILURES_BEFORE_PAUSE)
    rewind(paused_until=2 * MINUTE)
    endpoint = read()
    breaker.give_back(endpoint, unused=1, allowed=breaker.allowance(endpoint, 10))
    assert breaker.allowance(read(), 10) == 1


def test_a_probe_that_is_taken_ends_all_trouble() -> None:
    breaker.record(made(), [REFUSED] * FAILURES_BEFORE_PAUSE)
    rewind(paused_until=2 * MINUTE)
    assert breaker.allowance(read(), 1) == 1
    breaker.record(read(), [TAKEN])
    assert {name: getattr(state(), name) for name in clean_state()} == clean_state()
    assert breaker.allowance(read(), 500) == 500


def test_a_rate_is_shared_by_all_workers() -> None:
    endpoint = made(rate_count=100, rate_seconds=3600)
    same = read()
    assert breaker.allowance(endpoint, 6) == 6
    assert breaker.allowance(same, 50) == 4
    assert breaker.allowance(read(), 50) == 0
    assert 0 < breaker.ready_in(read()) < 60


def test_what_a_rate_allowed_and_nobody_used_is_there_again() -> None:
    endpoint = made(rate_count=100, rate_seconds=3600)
    allowed = breaker.allowance(endpoint, 10)
    breaker.give_back(endpoint, unused=4, allowed=allowed)
    assert breaker.allowance(read(), 50) == 4


def test_another_rate_is_not_held_to_what_the_former_one_used() -> None:
    breaker.allowance(made(rate_count=1, rate_seconds=86_400), 1)
    assert breaker.allowance(read(), 1) == 0
    Endpoint.objects.update(rate_count=100, rate_seconds=1)
    assert breaker.allowance(read(), 5) == 5


def test_reports_count_in_the_order_in_which_deliveries_ended() -> None:
    breaker.record(made(), [REFUSED, REFUSED, TAKEN, REFUSED])
    assert (state().failures, state().last_error) == (1, "It answered 500.")
    breaker.record(read(), [REFUSED, TAKEN])
    assert state().failures == 0


def test_nothing_to_report_writes_nothing(django_assert_num_queries: Any) -> None:
    endpoint = made()
    with django_assert_num_queries(0):
        assert not breaker.record(endpoint, [])
    assert not EndpointState.objects.exists()


def test_what_a_receiver_asks_for_outlasts_its_next_success() -> None:
    breaker.record(made(), [Report(taken=False, error="429", asked=600), TAKEN])
    assert state().failures == 0
    assert breaker.allowance(read(), 1) == 0


def test_after_five_days_one_of_two_workers_disables_it() -> None:
    breaker.record(made(), [REFUSED])
    rewind(failing_since=DISABLE_AFTER)
    first, second = read(), read()
    assert breaker.record(first, [REFUSED])
    EndpointState.objects.update(failing_since=timezone.now() - 2 * DISABLE_AFTER)
    assert not breaker.record(second, [REFUSED])
    endpoint = Endpoint.objects.get()
    assert not endpoint.enabled
    assert endpoint.disabled_reason == "It had failed for 5 days. The last error: It answered 500."


def test_success_of_an_endpoint_that_is_well_writes_no_row() -> None:
    endpoint = made()
    breaker.clear([endpoint])
    assert not EndpointState.objects.exists()


def test_success_clears_those_that_others_have_found_in_trouble_meanwhile() -> None:
    well, troubled = made("well"), made("troubled")
    breaker.record(read("troubled"), [REFUSED])
    breaker.clear([well, troubled])
    assert state("troubled").failures == 0


def test_resuming_forgets_what_was_counted_and_what_was_asked_for() -> None:
    breaker.record(made(), [REFUSED] * 4 + [Report(taken=False, error="429", asked=600)])
    breaker.resume(read())
    assert breaker.allowance(read(), 7) == 7


@pytest.mark.parametrize(
    "change", [{"url": "https://hooks.example.com/new"}, {"headers": {"X-Tenant": "7"}}, {"enabled": True}]
)
def test_another_address_header_or_switching_on_starts_anew(change: dict[str, Any]) -> None:
    breaker.record(made(), [REFUSED] * FAILURES_BEFORE_PAUSE)
    if "enabled" in change:
        Endpoint.objects.update(enabled=False)
    endpoint = Endpoint.objects.get()
    for name, value in change.items():
        setattr(endpoint, name, value)
    endpoint.save()
    assert state().failures == 0


def test_another_name_or_rate_forgives_nothing() -> None:
    breaker.record(made(), [REFUSED] * 3)
    endpoint = Endpoint.objects.get()
    endpoint.name, endpoint.concurrency = "Our CRM", 5
    endpoint.save()
    assert state().failures == 3
