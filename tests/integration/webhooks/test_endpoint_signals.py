"""What rules hear of endpoints: that one was paused, disabled or is back, each once."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.testing import create_rule, run_due
from rules_engine.work.repeating import against_rivals
from tests.factories import make_endpoint
from tests.integration.noting import note
from tests.threads import run_together
from webhooks.endpoints import breaker
from webhooks.endpoints.policy import FAILURES_BEFORE_PAUSE, Report
from webhooks.models import Endpoint, EndpointState
from webhooks.sending import records

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

REFUSED, TAKEN = Report(taken=False, error="It answered 500."), Report(taken=True)


@pytest.fixture(autouse=True)
def hearing(noted: list[str]) -> None:
    for name in ("paused", "disabled", "back"):
        create_rule(signals=[f"webhooks.endpoint_{name}"], actions=[note(f"{name} {{{{ signal.reason }}}}")])


def endpoint() -> Endpoint:
    return breaker.endpoints(["crm"])["crm"]


@pytest.fixture
def crm() -> Endpoint:
    make_endpoint("crm", url="https://hooks.example.com/")
    return endpoint()


def test_it_is_told_once_that_an_endpoint_is_paused_and_that_it_is_back(crm: Endpoint, noted: list[str]) -> None:
    breaker.record(crm, [REFUSED] * FAILURES_BEFORE_PAUSE)
    EndpointState.objects.update(paused_until=None)
    breaker.record(endpoint(), [REFUSED])
    breaker.record(endpoint(), [TAKEN])
    breaker.record(endpoint(), [TAKEN])
    run_due()
    assert noted == ["paused It answered 500.", "back It takes deliveries again."]


def delivered(crm: Endpoint, report: Report) -> Any:
    outcome = type("Outcome", (), {"result": None, "report": report})
    return type("Message", (), {"is_test": False, "endpoint": crm}), outcome


def test_workers_that_see_it_fail_together_tell_it_once_and_lose_none(crm: Endpoint, noted: list[str]) -> None:
    # On MariaDB one of those that meet is undone whole.
    run_together(3, lambda _number: records.note([delivered(crm, REFUSED)] * FAILURES_BEFORE_PAUSE))
    run_due()
    assert noted == ["paused It answered 500."]
    assert EndpointState.objects.get().failures == 3 * FAILURES_BEFORE_PAUSE


def test_one_that_was_paused_while_it_took_a_delivery_is_told_to_be_back(crm: Endpoint, noted: list[str]) -> None:
    breaker.record(crm, [REFUSED] * FAILURES_BEFORE_PAUSE)
    breaker.clear([crm])  # as it was read before
    run_due()
    assert noted == ["paused It answered 500.", "back It takes deliveries again."]


@pytest.mark.parametrize("way", ["button", "address"])
def test_one_that_somebody_resumed_is_told_to_be_back(crm: Endpoint, noted: list[str], way: str) -> None:
    breaker.record(crm, [REFUSED] * FAILURES_BEFORE_PAUSE)
    for _ in range(2):
        if way == "button":
            breaker.resume(endpoint())
        else:
            mended = endpoint()
            mended.url = "https://elsewhere.example.com/"
            mended.save()
    breaker.record(endpoint(), [TAKEN])
    run_due()
    assert noted == ["paused It answered 500.", "back It was resumed by hand, and is sent deliveries again."]


def test_two_who_resume_it_together_tell_it_once(crm: Endpoint, noted: list[str]) -> None:
    breaker.record(crm, [REFUSED] * FAILURES_BEFORE_PAUSE)
    run_together(3, lambda _number: against_rivals(lambda: breaker.resume(crm)))
    run_due()
    assert [text[:6] for text in noted] == ["paused", "back I"]


def test_one_that_only_failed_is_not_back_when_it_is_resumed(crm: Endpoint, noted: list[str]) -> None:
    breaker.record(crm, [REFUSED])
    breaker.resume(endpoint())
    run_due()
    assert noted == []


@pytest.mark.parametrize("by_itself", [True, False])
def test_one_that_is_enabled_again_is_back_where_people_were_told(
    crm: Endpoint, noted: list[str], by_itself: bool
) -> None:
    if by_itself:
        crm.disable("It answered 410.")
    else:
        crm.enabled = False
        crm.save()
    again = endpoint()
    again.enabled = True
    again.save()
    again.save()
    run_due()
    assert noted == ["back It was enabled by hand, and is sent deliveries again."] * by_itself


def test_that_it_is_disabled_and_who_is_told_stand_or_fall_together(
    crm: Endpoint, noted: list[str], monkeypatch: Any
) -> None:
    breaker.record(crm, [REFUSED])
    monkeypatch.setattr(breaker.policy, "has_failed_for_good", lambda *args: True)
    real = records.notices.disabled
    monkeypatch.setattr(records.notices, "disabled", lambda crm: (real(crm), 1 / 0))
    outcome: Any = type("Outcome", (), {"result": None, "report": REFUSED})
    message: Any = type("Message", (), {"is_test": False, "endpoint": crm})
    with pytest.raises(ZeroDivisionError):
        records.note([(message, outcome)])
    assert Endpoint.objects.get().enabled
    monkeypatch.setattr(records.notices, "disabled", real)
    records.note([(message, outcome)])
    run_due()
    assert not Endpoint.objects.get().enabled
    assert [text[:8] for text in noted] == ["disabled"]
