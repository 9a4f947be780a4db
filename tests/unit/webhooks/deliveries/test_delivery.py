"""One delivery without its network: what is posted, and what an answer means for it and for its endpoint."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.actions import ActionContext, ActionResult, Event, PermanentError
from webhooks.deliveries import delivery, payload
from webhooks.deliveries.delivery import DeliveryOutcome, Message, judge, message, usable
from webhooks.errors import (
    ConnectFailed,
    DeadlinePassed,
    DestinationRefused,
    EndpointGone,
    NameNotResolved,
    ProxyFailed,
    Unanswered,
    Undeliverable,
    Unforeseen,
)
from webhooks.http.client import Response
from webhooks.models import Endpoint
from webhooks.receiver import verify
from webhooks.signing.signatures import generate_key_pair, generate_secret, public_key

ID = uuid.UUID(int=7)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = generate_secret()


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}


def endpoint(**fields: Any) -> Endpoint:
    values = {"slug": "crm", "url": "https://hooks.example.com/in?key=s3cret", "secret": SECRET, **fields}
    made: Any = Endpoint(**values)
    made.now = datetime.now(UTC)
    return made


def context(attempt: int = 1, **fields: Any) -> ActionContext:
    values: dict[str, Any] = {
        "id": ID,
        "signal": "post_save",
        "operation": "update",
        "model": "shop.order",
        "pk": 7,
        "occurred_at": NOW,
        "root_id": ID,
        "depth": 0,
        "context": {"instance": {"name": "Zoë"}},
    }
    return ActionContext(ID, attempt, Event(**{**values, **fields}), rule_slug="r", rule_version=1)


def posted(config: dict[str, Any] | None = None, attempt: int = 1, **fields: Any) -> Message:
    return message(endpoint(**fields), context(attempt), config or {"endpoint": "crm"})


def answered(status: int, excerpt: str = "", sent: Message | None = None, **answer: Any) -> DeliveryOutcome:
    return judge(sent or posted(), Response(status, excerpt, duration=0.25, **answer))


# Which endpoint


def test_an_endpoint_that_is_gone_or_disabled_gets_nothing() -> None:
    with pytest.raises(PermanentError, match='no endpoint "crm" any more'):
        usable(None, "crm")
    off = endpoint(enabled=False, disabled_reason="It answered 410.")
    with pytest.raises(PermanentError, match=r"is disabled\. It answered 410\."):
        usable(off, "crm")


def test_a_test_delivery_goes_to_a_disabled_endpoint_too() -> None:
    off = endpoint(enabled=False)
    assert usable(off, "crm", is_test=True) is off


@pytest.mark.parametrize(("config", "is_test"), [({"test": True}, True), ({"test": "yes"}, False), ({}, False)])
def test_a_delivery_is_a_test_where_it_says_so_plainly(config: dict[str, Any], is_test: bool) -> None:
    assert delivery.is_test(config) is is_test


# What is posted


def test_a_receiver_that_has_the_secret_can_check_what_is_posted() -> None:
    sent = posted()
    verify(sent.body, sent.headers, [SECRET])
    assert sent.headers["webhook-id"] == str(ID)
    assert json.loads(sent.body)["type"] == "shop.order.update"


def test_a_key_pair_signs_what_its_public_half_checks() -> None:
    pair = generate_key_pair()
    sent = posted(secret=pair)
    verify(sent.body, sent.headers, [str(public_key(pair))])


def test_during_a_rotation_either_receiver_can_check() -> None:
    rotating = endpoint()
    new = rotating.rotate_secret()
    sent = message(rotating, context(), {"endpoint": "crm"})
    for secret in (SECRET, new):
        verify(sent.body, sent.headers, [secret])


def test_what_messages_share_is_made_anew_when_the_endpoint_changes() -> None:
    changing, new = endpoint(headers={"X-Key": "before"}), generate_secret()
    first = message(changing, context(), {"endpoint": "crm"})
    changing.url, changing.headers, changing.secret = "https://other.example.com/in", {"X-Key": "after"}, new
    second = message(changing, context(), {"endpoint": "crm"})
    assert (first.headers["X-Key"], second.headers["X-Key"]) == ("before", "after")
    verify(second.body, second.headers, [new])
    result = judge(second, Response(200, new, duration=0.25)).result
    assert isinstance(result, ActionResult)
    assert (result.detail["url"], result.detail["excerpt"]) == ("https://other.example.com/in", "…")


def test_every_attempt_posts_the_same_bytes_under_the_same_id() -> None:
    first, tenth = posted(attempt=1), posted(attempt=10)
    assert (first.body, first.headers["webhook-id"]) == (tenth.body, tenth.headers["webhook-id"])
    assert tenth.attempt == 10


def test_the_timestamp_is_by_the_databases_clock() -> None:
    late: Any = endpoint()
    late.now = datetime(2026, 3, 1, 12, 0, 5, 999_999, tzinfo=UTC)
    sent = message(late, context(), {"endpoint": "crm"})
    assert int(sent.headers["webhook-timestamp"]) == int(NOW.timestamp()) + 5


def test_an_endpoints_own_headers_are_sent_and_change_none_of_ours() -> None:
    sent = posted(headers={"Authorization": "Bearer abc", "User-Agent": "shop"})
    assert sent.headers["Authorization"] == "Bearer abc"
    assert sent.headers["User-Agent"] == "shop"
    assert posted().headers["User-Agent"] == delivery.USER_AGENT
    assert sent.headers["Content-Type"] == "application/json; charset=utf-8"


def test_a_header_that_an_update_brought_in_is_not_sent() -> None:
    with pytest.raises(PermanentError, match="cannot be sent") as raised:
        posted(headers={"Host": "s3cret.internal"})
    assert "s3cret" not in str(raised.value)


def test_broken_certificates_are_final_and_not_quoted() -> None:
    with pytest.raises(PermanentError, match="certificates") as raised:
        posted(ca_certificates="s3cret")
    assert "s3cret" not in str(raised.value)


def test_a_message_prints_neither_body_nor_headers() -> None:
    assert "webhook-signature" not in repr(posted())
    assert "Zoë" not in repr(posted())


# What an answer means


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_is_success_for_both(status: int) -> None:
    outcome = answered(status)
    assert isinstance(outcome.result, ActionResult)
    assert outcome.result.summary == f"crm answered {status}"
    assert outcome.report is not None
    assert outcome.report.taken


@pytest.mark.parametrize("status", [301, 400, 401, 404, 408, 425, 429, 500, 503])
def test_everything_else_is_sent_again_and_counts_against_the_endpoint(status: int) -> None:
    outcome = answered(status)
    assert isinstance(outcome.result, Unanswered)
    assert outcome.report is not None
    assert not outcome.report.taken
    assert str(status) in outcome.report.error


def test_410_is_final() -> None:
    outcome = answered(410)
    assert isinstance(outcome.result, EndpointGone)
    assert "was disabled" in str(outcome.result)


def test_410_to_a_test_says_what_it_would_have_done() -> None:
    outcome = answered(410, sent=posted({"endpoint": "crm", "test": True}))
    assert "would be disabled" in str(outcome.result)


def test_what_the_receiver_said_is_quoted_and_cut() -> None:
    text = str(answered(500, "no\n\n  such   order " + "x" * 500).result)
    assert "It said: no such order xxx" in text
    assert len(text) < 300


def test_a_wait_that_is_asked_for_holds_back_the_endpoint_too(settings: Any) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [5, 300]}
    outcome = answered(429, retry_after="60")
    assert isinstance(outcome.result, Unanswered)
    assert outcome.result.retry_after == 60
    assert outcome.report is not None
    assert outcome.report.asked == 60


def test_a_wait_shorter_than_the_schedules_holds_back_the_endpoint_alone(settings: Any) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [300]}
    outcome = answered(503, retry_after="60")
    assert isinstance(outcome.result, Unanswered)
    assert outcome.result.retry_after is None
    assert outcome.report is not None
    assert outcome.report.asked == 60


def test_the_record_tells_status_time_and_size_and_no_secret() -> None:
    sent = posted(headers={"Authorization": "Bearer abcdef"})
    signature = sent.headers["webhook-signature"]
    echo = f"{SECRET} {SECRET[6:]} Bearer abcdef abcdef {signature} {signature[3:]} s3cret"
    outcome = answered(500, echo, sent)
    assert isinstance(outcome.result, Unanswered)
    detail = outcome.result.detail
    assert (detail["status"], detail["duration_ms"], detail["bytes"]) == (500, 250, len(sent.body))
    assert detail["url"] == "https://hooks.example.com/in?…"
    for secret in (SECRET[6:], "abcdef", signature[3:], "s3cret"):
        assert secret not in json.dumps(detail)
        assert secret not in str(outcome.result)


def test_a_large_payload_is_noted(settings: Any) -> None:
    large = message(endpoint(), context(context={"text": "x" * (payload.LARGE + 1)}), {"endpoint": "crm"})
    outcome = answered(200, sent=large)
    assert isinstance(outcome.result, ActionResult)
    assert "at most 20,480" in outcome.result.detail["warning"]
    assert "warning" not in answered(200).result.detail  # type: ignore[union-attr]


# No answer


@pytest.mark.parametrize("error", [ConnectFailed("No connection."), DeadlinePassed("Too late.")])
def test_no_answer_counts_against_the_endpoint(error: Any) -> None:
    outcome = judge(posted(), error)
    assert isinstance(outcome.result, Unanswered)
    assert outcome.result.detail["error_kind"] == error.kind
    assert outcome.report is not None
    assert outcome.report.error == f"{error} ({error.kind})"


@pytest.mark.parametrize("error", [NameNotResolved("x"), ProxyFailed("x"), Unforeseen("x")])
def test_a_fault_of_ours_is_sent_again_and_counts_against_nobody(error: Any) -> None:
    outcome = judge(posted(), error)
    assert isinstance(outcome.result, Unanswered)
    assert outcome.result.detail["our_fault"] is True
    assert outcome.report is None


def test_a_destination_that_is_refused_is_final_and_counts_against_nobody() -> None:
    outcome = judge(posted(), DestinationRefused("The endpoint's host has no address that webhooks may go to."))
    assert isinstance(outcome.result, Undeliverable)
    assert not isinstance(outcome.result, EndpointGone)
    assert outcome.report is None
