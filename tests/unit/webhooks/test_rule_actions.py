"""The action ``webhook`` as a rule sees it: what it reads, where it waits, what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.actions import RuleSpec
from webhooks import conf
from webhooks.rule_actions import OF_A_MODEL, WHOLE_CONTEXT, Webhook

ORDER = RuleSpec(slug="r", model="shop.order", signals=("post_save",))
LOGIN = RuleSpec(slug="r", model="", signals=("user_logged_in",))
WEBHOOK = Webhook()


def reads(payload: Any = None, rule: RuleSpec = ORDER) -> set[tuple[str, ...]]:
    return set(WEBHOOK.reads({"endpoint": "crm", "payload": payload}, rule))


@pytest.mark.parametrize("empty", [None, "", {}])
def test_without_a_payload_all_that_a_context_holds_is_read(empty: Any) -> None:
    assert reads(empty) == set(WHOLE_CONTEXT)


def test_without_a_model_there_is_no_object_to_read() -> None:
    assert not any(path[0] in OF_A_MODEL for path in reads(rule=LOGIN))
    assert ("actor",) in reads(rule=LOGIN)


@pytest.mark.parametrize(
    "payload",
    [
        '{"name": "{{ instance.name }}", "by": "{{ actor.username }}"}',
        {"name": "{{ instance.name }}", "by": ["{{ actor.username }}"]},
        "{{ instance.name }} by {{ actor.username }}",
    ],
)
def test_a_payload_reads_what_it_names_and_no_more(payload: Any) -> None:
    assert reads(payload) == {("instance", "name"), ("actor", "username")}


def test_deliveries_wait_in_the_lane_of_their_endpoint() -> None:
    route = WEBHOOK.route({"endpoint": "crm"})
    assert (route.queue, route.lane) == (conf.QUEUE, "crm")


def test_a_test_waits_in_a_lane_of_its_own_and_is_sent_once() -> None:
    config = {"endpoint": "crm", "test": True}
    assert WEBHOOK.route(config).lane == "crm:test"
    assert WEBHOOK.retry_schedule(config) == ()


def test_whoever_writes_such_a_rule_must_see_endpoints() -> None:
    assert list(WEBHOOK.permissions({"endpoint": "crm"}, ORDER)) == ["webhooks.view_endpoint"]


def test_without_a_user_the_form_asks_for_a_slug() -> None:
    assert WEBHOOK.form_schema(None) is WEBHOOK.schema


def problems(config: dict[str, Any]) -> list[str]:
    return [f"{problem.pointer} {problem.message}" for problem in WEBHOOK.validate_config(config, ORDER)]


def test_an_unknown_setting_is_named_with_what_was_meant() -> None:
    [unknown, *_] = problems({"endpint": "crm"})
    assert unknown.startswith("/endpint")
    assert 'Did you mean "endpoint"?' in unknown


@pytest.mark.parametrize("endpoint", [None, "", 5, ["crm"]])
def test_an_endpoint_is_needed(endpoint: Any) -> None:
    assert any(problem.startswith("/endpoint A webhook needs") for problem in problems({"endpoint": endpoint}))


@pytest.mark.parametrize("payload", [5, True])
def test_a_payload_is_a_text_or_json(payload: Any) -> None:
    assert any(problem.startswith("/payload") for problem in problems({"payload": payload}))


def test_each_text_of_a_payload_is_checked_by_itself() -> None:
    said = problems({"payload": {"good": "{{ instance.pk }}", "bad": ["{{ instance. }}"]}})
    assert len([problem for problem in said if problem.startswith("/payload")]) == 1


def test_as_python_it_is_a_call_to_be_filled_in() -> None:
    lines = WEBHOOK.python({"endpoint": "crm", "payload": '{"a": 1}'}, ORDER)
    assert lines[-1] == """call_endpoint('crm', '{"a": 1}')"""
    compile("\n".join(lines), "<rule>", "exec")
    assert "the whole event" in "\n".join(WEBHOOK.python({"endpoint": "crm"}, ORDER))
