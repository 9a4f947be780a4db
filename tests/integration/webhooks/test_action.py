"""The action ``webhook``, run against a real server."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from django.db import connection
from standardwebhooks import Webhook as Verifier

from rules_engine.actions import ActionContext, Event, PermanentError, RuleSpec, TransientError
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer
from tests.integration.admin.conftest import make_user
from webhooks.deliveries.delivery import message
from webhooks.errors import EncryptionKeyError, Unanswered
from webhooks.models import Endpoint, PayloadForm
from webhooks.models.choices import CHATS
from webhooks.rule_actions import Webhook
from webhooks.sending.loop import Sent
from webhooks.signing.signatures import generate_key_pair, generate_secret

pytestmark = pytest.mark.django_db

CONFIG = {"endpoint": "crm"}
RULE = RuleSpec(slug="rule", model="shop.order")


def context(attempt: int = 1, **data: Any) -> ActionContext:
    identifier = uuid.UUID(int=7)
    event = Event(
        id=identifier,
        signal="post_save",
        operation="update",
        model="shop.order",
        pk=7,
        occurred_at=datetime(2026, 1, 2, tzinfo=UTC),
        root_id=identifier,
        depth=0,
        context={"instance": {"id": 7, "name": "Zoë"}, **data},
    )
    return ActionContext(uuid.UUID(int=9), attempt, event, "rule", 1)


@pytest.fixture
def endpoint(server: MisbehavingServer) -> Endpoint:
    return make_endpoint(url=server.url("/hook?token=canary"), headers={"Authorization": "Bearer canary"})


def run(attempt: int = 1, **config: Any) -> Any:
    return Webhook().run(context(attempt), {**CONFIG, **config})


def test_the_public_library_verifies_what_arrives(server: MisbehavingServer, endpoint: Endpoint) -> None:
    result = run()

    [request] = server.requests
    headers = {name.lower(): value for name, value in request.headers}
    sent = Verifier(endpoint.secret).verify(request.body.decode(), headers)
    assert sent["type"] == "shop.order.update"
    assert sent["data"]["instance"] == {"id": 7, "name": "Zoë"}
    assert headers["webhook-id"] == str(uuid.UUID(int=9))
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["user-agent"] == "django-signal-rules"
    assert headers["authorization"] == "Bearer canary"
    assert result.detail["status"] == 200
    assert result.detail["duration_ms"] >= 0


def test_each_attempt_sends_the_same_id_and_body(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.answer(503), behave.answer(200))
    with pytest.raises(TransientError):
        run()
    run(attempt=2)
    first, second = server.requests
    assert first.body == second.body
    assert first.header("webhook-id") == second.header("webhook-id")


def test_row_36_during_a_rotation_a_retry_carries_both_signatures(
    server: MisbehavingServer, endpoint: Endpoint
) -> None:
    old, new = endpoint.secret, endpoint.rotate_secret()
    endpoint.save()
    run()
    headers = {name.lower(): value for name, value in server.requests[0].headers}
    for secret in (old, new):
        Verifier(secret).verify(server.requests[0].body.decode(), headers)


def test_a_payload_of_ones_own_is_sent_as_it_is_filled_in(server: MisbehavingServer, endpoint: Endpoint) -> None:
    run(payload='{"id": "{{ instance.id }}", "text": "Order of {{ instance.name }}"}')
    assert json.loads(server.requests[0].body) == {"id": 7, "text": "Order of Zoë"}


@pytest.mark.parametrize("status", [301, 302, 400, 401, 404, 408, 409, 425, 429, 500, 502, 503])
def test_an_answer_that_may_change_is_tried_again(server: MisbehavingServer, endpoint: Endpoint, status: int) -> None:
    server.script(behave.answer(status, b"nope"))
    with pytest.raises(TransientError, match=rf"answered {status}.*nope") as raised:
        run()
    assert raised.value.retry_after is None
    assert len(server.requests) == 1


def test_row_24_a_410_disables_the_endpoint(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.answer(410))
    with pytest.raises(PermanentError, match="disabled"):
        run()
    endpoint.refresh_from_db()
    assert not endpoint.enabled
    assert "410" in endpoint.disabled_reason
    with pytest.raises(PermanentError, match=r"is disabled\. It answered 410"):
        run()
    assert len(server.requests) == 1


def test_row_25_retry_after_is_honoured_in_seconds_and_as_a_date(server: MisbehavingServer, endpoint: Endpoint) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=600), usegmt=True)
    for value in ("600", date):
        server.script(behave.too_many_requests(value))
        with pytest.raises(TransientError) as raised:
            run()
        assert raised.value.retry_after == pytest.approx(600, abs=60)


@pytest.mark.parametrize(
    ("value", "expected"), [("-1", None), ("soon", None), ("1", None), ("315360000", 86_400), ("9" * 400, None)]
)
def test_row_26_an_absurd_retry_after_is_ignored_or_bounded(
    server: MisbehavingServer, endpoint: Endpoint, value: str, expected: float | None
) -> None:
    server.script(behave.too_many_requests(value))
    with pytest.raises(TransientError) as raised:
        run()
    assert raised.value.retry_after == expected


def test_no_answer_is_tried_again_and_names_its_kind(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.drop())
    with pytest.raises(TransientError, match=r"\(connect\)"):
        run()


def test_a_refused_destination_is_final_and_does_not_show_the_address(
    server: MisbehavingServer, endpoint: Endpoint, settings: Any
) -> None:
    Endpoint.objects.update(url=server.url("/", host="localhost"))
    settings.WEBHOOKS = {**settings.WEBHOOKS, "ALLOWED_NETWORKS": []}
    with pytest.raises(PermanentError) as raised:
        run()
    assert "127.0.0.1" not in str(raised.value)
    assert "::1" not in str(raised.value)
    assert server.connections == 0


def test_a_missing_endpoint_is_final() -> None:
    with pytest.raises(PermanentError, match='no endpoint "crm" any more'):
        run()


def test_row_37_with_a_lost_key_nothing_is_sent(server: MisbehavingServer, endpoint: Endpoint, settings: Any) -> None:
    settings.SECRET_KEY = "another"
    with pytest.raises(EncryptionKeyError):
        run()
    assert server.connections == 0


def test_what_a_receiver_echoes_is_recorded_without_secrets(server: MisbehavingServer, endpoint: Endpoint) -> None:
    async def echo(conversation: behave.Conversation) -> None:
        lines = [f"{name}: {value}" for name, value in conversation.request.headers]
        await behave.answer(200, "\n".join([conversation.request.target, *lines, endpoint.secret]).encode())(
            conversation
        )

    server.script(echo)
    recorded = json.dumps(run().detail)
    assert "webhook-id" in recorded
    for secret in ("canary", endpoint.secret, server.requests[0].header("webhook-signature")):
        assert secret not in recorded


@pytest.mark.parametrize("status", [200, 404])
def test_a_token_that_an_answer_quotes_alone_is_not_recorded(server: MisbehavingServer, status: int) -> None:
    make_endpoint(
        url=server.url("/hooks/x9Ab23cD45eF67gH89iJ01kL"),
        headers={"Authorization": "Bearer can/ary+token", "X-Key": "can/ary+key"},
    )
    said = r'{"bad": "can\/ary+token", "key": "can/ary+key", "path": "/hooks/x9Ab23cD45eF67gH89iJ01kL"}'
    server.script(behave.answer(status, said.encode()))
    try:
        recorded = json.dumps(run().detail)
    except Unanswered as error:
        recorded = f"{error} {error.detail}"
    assert "bad" in recorded
    assert "ary" not in recorded
    assert "x9Ab" not in recorded


@pytest.mark.parametrize(
    "headers",
    [
        {"Transfer-Encoding": "chunked"},
        {"Webhook-Id": "other"},
        {"Host": "169.254.169.254"},
        {"X-A": "canary\r\nX-Evil: 1"},
    ],
)
def test_headers_that_no_save_has_seen_are_not_sent(
    server: MisbehavingServer, endpoint: Endpoint, headers: dict[str, str]
) -> None:
    Endpoint.objects.update(headers=headers)
    with pytest.raises(PermanentError, match="cannot be sent") as raised:
        run()
    assert "canary" not in str(raised.value)
    assert server.connections == 0


def test_no_representation_of_a_delivery_holds_a_secret(endpoint: Endpoint) -> None:
    sent = message(endpoint, context(), CONFIG)
    assert "canary" not in f"{sent!r} {endpoint!r} {Sent(1, 'worker', sent)!r}"
    assert sent.headers["webhook-signature"] not in repr(sent)


def test_a_large_payload_is_sent_with_a_warning(server: MisbehavingServer, endpoint: Endpoint) -> None:
    detail = Webhook().run(context(note="x" * 30_000), CONFIG).detail
    assert "at most 20,480" in detail["warning"]
    assert "warning" not in run().detail


def test_a_payload_over_256_kb_is_not_sent(server: MisbehavingServer, endpoint: Endpoint) -> None:
    with pytest.raises(PermanentError, match="262,144"):
        Webhook().run(context(note="x" * 300_000), CONFIG)
    assert server.connections == 0


@pytest.mark.parametrize("form", PayloadForm.values)
@pytest.mark.parametrize("template", [None, '{"id": "{{ instance.id }}"}', "Order {{ instance.id }}"])
def test_a_preview_is_what_is_sent_without_its_secrets(
    server: MisbehavingServer, endpoint: Endpoint, form: str, template: str | None
) -> None:
    endpoint.payload_form = form
    endpoint.rotate_secret(generate_key_pair())
    endpoint.save()
    if form not in CHATS and template is not None and not template.startswith("{"):
        with pytest.raises(PermanentError, match="not JSON"):
            Webhook().preview(context(), {**CONFIG, "payload": template})
        return

    run(payload=template)
    details = Webhook().preview(context(), {**CONFIG, "payload": template}).details
    [request] = server.requests
    identifier = request.header("webhook-id")
    assert details["Body"] == json.loads(request.body.decode().replace(identifier, "…"))
    shown = dict(line.split(": ", 1) for line in details["Headers"].splitlines())
    assert shown["Content-Type"] == request.header("Content-Type")
    assert shown["webhook-signature"] == "v1a,… v1,…"
    own = {"accept", "accept-encoding", "content-length", "host"}
    assert {name.lower() for name in shown} == {name.lower() for name, _value in request.headers} - own
    assert "canary" not in str(details)
    assert endpoint.secret not in str(details)


def problems(**config: Any) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.message) for problem in Webhook().validate_config(config, RULE)]


def test_a_config_that_names_an_endpoint_is_fine(endpoint: Endpoint) -> None:
    assert problems(endpoint="crm") == []
    assert problems(endpoint="crm", payload='{"id": "{{ instance.id }}"}') == []


def test_a_misspelt_endpoint_or_setting_is_met_with_a_suggestion(endpoint: Endpoint) -> None:
    assert problems(endpoint="crn") == [("/endpoint", 'There is no endpoint "crn". Did you mean "crm"?')]
    [(pointer, message)] = problems(endpoint="crm", paylod="x")
    assert (pointer, 'Did you mean "payload"?' in message) == ("/paylod", True)


def test_a_mistake_in_the_payload_is_found_when_it_is_saved(endpoint: Endpoint) -> None:
    for template in ('{"id": "{{ instance.id| }}"}', '{"total": "{{ instnce.total }}"}', "{% load x %}"):
        [(pointer, message)] = problems(endpoint="crm", payload=template)
        assert pointer == "/payload"
        assert message


def test_a_payload_of_ones_own_reads_only_what_it_names() -> None:
    paths = Webhook().reads({**CONFIG, "payload": '{"id": "{{ instance.id }}", "who": "{{ actor.username }}"}'}, RULE)
    assert set(paths) == {("instance", "id"), ("actor", "username")}
    assert ("instance", "*") in Webhook().reads(CONFIG, RULE)
    assert ("instance", "*") not in Webhook().reads(CONFIG, RuleSpec(slug="rule"))


def test_a_payload_that_names_what_the_event_lacks_is_final(server: MisbehavingServer, endpoint: Endpoint) -> None:
    with pytest.raises(PermanentError, match="cannot be filled in"):
        run(payload='{"id": "{{ instance.total }}"}')
    assert server.connections == 0


def test_a_failed_attempts_record_says_what_was_answered(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.answer(500, b"broken"), behave.drop())
    with pytest.raises(Unanswered) as raised:
        run()
    assert (raised.value.detail["status"], raised.value.detail["excerpt"]) == (500, "broken")
    with pytest.raises(Unanswered) as raised:
        run()
    assert raised.value.detail == {
        "url": server.url("/hook?…"),
        "error_kind": "connect",
        "our_fault": False,
    }


@pytest.mark.parametrize("value", [None, "", 5])
def test_an_endpoint_must_be_named(value: Any) -> None:
    [(pointer, message)] = problems(endpoint=value)
    assert pointer == "/endpoint"
    assert "none is given" in message


@pytest.mark.django_db(transaction=True)
def test_a_missing_table_is_a_problem_and_not_a_crash() -> None:
    with connection.constraint_checks_disabled(), connection.schema_editor() as editor:
        editor.delete_model(Endpoint)
    try:
        [(pointer, message)] = problems(endpoint="crm")
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(Endpoint)
    assert pointer == "/endpoint"
    assert "migrate" in message


def test_executions_wait_in_the_lane_of_their_endpoint() -> None:
    route = Webhook().route(CONFIG)
    assert (route.queue, route.lane) == ("webhooks", "crm")


def test_the_schedule_is_the_settings(settings: Any) -> None:
    settings.WEBHOOKS = {"RETRY_SCHEDULE": [1, 2]}
    assert Webhook().retry_schedule(CONFIG) == (1, 2)


def test_a_new_secret_signs_the_next_attempt(server: MisbehavingServer, endpoint: Endpoint) -> None:
    server.script(behave.answer(500))
    with pytest.raises(TransientError):
        run()
    new = endpoint.rotate_secret(generate_secret(), overlap=timedelta(0))
    endpoint.save()
    run(attempt=2)
    headers = {name.lower(): value for name, value in server.requests[1].headers}
    assert Verifier(new).verify(server.requests[1].body.decode(), headers)


def test_the_form_offers_the_endpoints_to_whoever_may_view_them(endpoint: Endpoint) -> None:
    root, other = make_user(name="root", is_superuser=True), make_user(name="other")
    offered = Webhook().form_schema(root)["keys"]["endpoint"]
    assert offered["choices"] == [{"title": "CRM (crm)", "value": "crm"}]
    assert Webhook().form_schema(other) == Webhook.schema
    endpoint.delete()
    assert Webhook().form_schema(root) == Webhook.schema
