"""Input that nobody means ends in a page that says so: no error 500, and no request takes a process for seconds."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from project.shop.models import Order
from rules_engine.admin.parts.guarding import LONGEST_SEARCH, MOST_WORDS
from rules_engine.models import Rule, RuleAction, Run
from rules_engine.rules.validation import MOST_ACTIONS
from rules_engine.testing import create_rule, run_due
from tests.factories import make_endpoint
from tests.integration.admin.conftest import ADD, WRITERS, client_of, make_user, post_data

pytestmark = pytest.mark.django_db(transaction=True)

LISTS = ("event", "execution", "auditentry", "heldmatch", "rule", "ruleversion", "pause", "recording")


@pytest.fixture
def root(admin_client: Client) -> Client:
    admin_client.raise_request_exception = False
    return admin_client


# Searches


@pytest.mark.parametrize("name", [*(f"rules_engine_{name}" for name in LISTS), "webhooks_endpoint"])
@pytest.mark.parametrize(
    "term",
    [" ".join(f"w{number}" for number in range(1_500)), "x" * 60_000, '"' * 2_000, "\x00", "%_\\"],
    ids=["words", "long", "quotes", "null", "patterns"],
)
def test_a_search_of_any_length_is_answered(root: Client, name: str, term: str) -> None:
    create_rule(Order, actions=[("write_audit_entry", {})])
    Order.objects.create(order_number="1")
    run_due()
    assert root.get(reverse(f"admin:{name}_changelist"), {"q": term}).status_code == 200


def test_a_search_says_which_words_it_left_out(root: Client) -> None:
    create_rule(Order, slug="first", name="some words")
    address = reverse("admin:rules_engine_rule_changelist")
    words = ["some", "words"] * (MOST_WORDS // 2)
    assert "Only the first" not in root.get(address, {"q": " ".join(words)}).content.decode()
    page = root.get(address, {"q": " ".join([*words, "elsewhere"])}).content.decode()
    assert f"Only the first {MOST_WORDS} words are searched for, and {LONGEST_SEARCH} characters." in page
    assert "1 rule" in page


# Forms of many rows


@pytest.mark.parametrize("count", [MOST_ACTIONS + 1, 1_001, 999_999])
def test_a_form_of_more_actions_than_a_rule_may_have_is_refused_at_once(count: int) -> None:
    client = client_of(make_user(*WRITERS))
    response = client.post(reverse(ADD), {**post_data(), "actions-TOTAL_FORMS": str(count)})
    assert response.status_code == 200
    page = response.content.decode()
    assert f"Please submit at most {MOST_ACTIONS} forms." in page
    # Far fewer forms are made than were asked for.
    assert page.count('id="actions-') <= 3 * MOST_ACTIONS
    assert not Rule.objects.exists()


def test_a_rule_of_too_many_actions_is_refused_wherever_it_comes_from() -> None:
    create_rule(Order, actions=[("log_message", {"message": "x"})] * MOST_ACTIONS)
    assert RuleAction.objects.count() == MOST_ACTIONS
    with pytest.raises(Exception, match="A rule has at most 30 actions, and this one has 31"):
        create_rule(Order, actions=[("log_message", {"message": "x"})] * (MOST_ACTIONS + 1))


def test_a_test_of_more_changes_than_there_are_rows_is_refused(root: Client) -> None:
    rule = create_rule(Order, changes=[{"field": "status"}], enabled=False)
    body = {"signal": "post_save", "changes-TOTAL_FORMS": "999999", "changes-INITIAL_FORMS": "0"}
    response = root.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), body)
    assert response.status_code == 200
    assert response.content.decode().count("changes-") < 500


# Times


@pytest.mark.parametrize("at", ["9999-12-31 23:59", "9999-12-31 00:00", "0001-01-01 00:00", "0001-01-02 00:00"])
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_why_is_answered_at_the_ends_of_the_calendar(root: Client, settings: Any, at: str, zone: str) -> None:
    settings.TIME_ZONE = zone
    order = Order.objects.create(order_number="A")
    asked = {"model": "shop.order", "pk": order.pk, "at": at}
    assert root.get(reverse("admin:rules_engine_rule_why"), asked).status_code == 200


# Keys of objects and tests

DIGITS = "9" * 5_000  # Python reads no number of more than 4,300


@pytest.mark.parametrize(
    "keys", ["[" * 30_000, '{"a":' * 5_000, f"[{DIGITS}]", "[1e999]", '["\\ud800"]', "[{}]", "[[[1]]]", "{}", "7", "["]
)
def test_keys_to_run_on_that_cannot_be_read_are_refused(root: Client, keys: str) -> None:
    rule = create_rule(Order, actions=[("write_audit_entry", {})])
    answer = root.post(reverse("admin:rules_engine_rule_run", args=[rule.pk]), {"keys": keys, "start": "1"})
    assert answer.status_code == 200
    page = answer.content.decode()
    assert "What was chosen cannot be read; choose it again." in page or "has no key" in page
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "asked", [{"renew": DIGITS}, {"remove": DIGITS}, {"remove": "²"}, {"remove": ""}, {"renew": "7"}]
)
def test_a_test_that_there_cannot_be_is_not_found(root: Client, asked: dict[str, str]) -> None:
    rule = create_rule(Order, actions=[("write_audit_entry", {})])
    assert root.post(reverse("admin:rules_engine_rule_tests", args=[rule.pk]), asked).status_code == 404


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("run", {"pk": DIGITS}),
        ("test", {"pk": DIGITS}),
        ("times", {"days": DIGITS, "at": DIGITS}),
        ("why", {"model": "shop.order", "pk": DIGITS}),
        ("why", {"model": "shop.order", "pk": "1", "rule": DIGITS, "before": DIGITS, "page": DIGITS}),
        ("changelist", {"p": DIGITS}),
        ("changelist", {"updated_at__year": DIGITS}),
    ],
    ids=str,
)
def test_numbers_of_any_length_in_an_address_are_answered(root: Client, name: str, asked: dict[str, str]) -> None:
    rule = create_rule(Order, actions=[("write_audit_entry", {})])
    args = [] if name in ("why", "changelist") else [rule.pk]
    assert root.get(reverse(f"admin:rules_engine_rule_{name}", args=args), asked).status_code in (200, 302)


# Contexts that somebody pastes

ACTIONS = {
    "log_message": {"message": "{{ instance.status }}"},
    "write_audit_entry": {},
    "update_objects": {"target": "items", "values": [{"field": "quantity", "value": "1"}]},
    "webhook": {"endpoint": "e"},
}


@pytest.fixture
def rule() -> Rule:
    make_endpoint("e")
    return create_rule(
        Order, changes=[{"field": "status"}], condition={"!=": [{"var": "instance.customer.email"}, "x"]},
        actions=list(ACTIONS.items()), enabled=False,
    )  # fmt: skip


def pasted(client: Client, rule: Rule, context: Any) -> str:
    body = {"signal": "post_save", "operation": "update", "context": json.dumps(context)}
    body |= {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0"}
    response = client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), body)
    assert response.status_code == 200, context
    return response.content.decode()


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"changes": [1]}, "/changes: Expected an object, {…}, or null, and here stands a list."),
        ({"changes": {"status": 1}}, "/changes/status: Expected an object, {&quot;old&quot;: …, &quot;new&quot;: …}"),
        ({"changed": 1}, "/changed: Expected a list of names"),
        ({"event": "x"}, "/event: Expected an object, {…}, or null, and here stands a text."),
        ({"event": {"id": []}}, "/event/id: Expected a text, a number or null, and here stands a list."),
        ({"instance": [1]}, "/instance: Expected an object"),
        ({"instance": {"pk": {}}}, "/instance/pk: Expected a key: a text, a number or null"),
        ({"instance": {"pk": [1]}}, "/instance/pk: Expected a key: a text, a number or null"),
        ({"instance": {"items": 1}}, "/instance/items: Expected a list of objects, [{…}, …], or null"),
        ({"instance": {"items": [1]}}, "/instance/items/0: Expected an object"),
        ({"instance": {"customer": 1}}, "/instance/customer: Expected an object"),
        ({"m2m": {"objects": 1}}, "/m2m/objects: Expected a list of objects"),
        ({"m2m": {"pks": [{}]}}, "/m2m/pks: Expected a list of keys"),
        ({"created": "yes"}, "/created: Expected true, false or null, and here stands a text."),
        ({"instanc": {}}, "A context has no part &quot;instanc&quot;. Did you mean &quot;instance&quot;?"),
    ],
    ids=str,
)
def test_a_context_of_another_shape_is_told_where(root: Client, rule: Rule, context: Any, words: str) -> None:
    assert words in pasted(root, rule, context)


def test_contexts_of_any_values_are_answered(root: Client, rule: Rule) -> None:
    chance = random.Random(11)
    leaves: list[Any] = [None, True, 0, -1, 1.5, 2**62, "", "x", "\x00", "2031-01-01", [], {}, [None], {"pk": 1}]
    names = ["pk", "id", "items", "customer", "customer_id", "status", "total", "old", "new", "field", "objects", "pks"]
    roots = ["event", "instance", "old", "changed", "changes", "created", "actor", "request", "m2m", "signal", "held"]

    def value(depth: int) -> Any:
        kind = chance.random() if depth else 0
        if kind < 0.5:
            return chance.choice(leaves)
        if kind < 0.7:
            return [value(depth - 1) for _ in range(chance.randint(0, 3))]
        return {chance.choice(names): value(depth - 1) for _ in range(chance.randint(0, 4))}

    for _ in range(150):
        pasted(root, rule, {name: value(3) for name in chance.sample(roots, chance.randint(1, 4))})


# Rules that were stored before they were checked as they are today


@pytest.mark.parametrize(
    "condition",
    [
        {"??": []},
        {"in": []},
        {"in": [1]},
        {"and": []},
        {"if": []},
        {"switch": []},
        {"substr": []},
        {"try": []},
        {"x": 1},
    ],
    ids=str,
)
def test_pages_of_a_rule_that_would_be_refused_today_are_shown(root: Client, condition: Any) -> None:
    rule = create_rule(Order, actions=[("log_message", {"message": "x"})], enabled=False)
    Rule.objects.update(condition={"==": [{"var": "instance.status"}, condition]})
    for name in ("change", "test", "python", "backtest", "history"):
        assert root.get(reverse(f"admin:rules_engine_rule_{name}", args=[rule.pk])).status_code == 200, name
    assert root.get(reverse("admin:rules_engine_rule_changelist")).status_code == 200
    pasted(root, rule, {"instance": {"status": "paid"}})


# Pasted JSON


PASTED = {
    "deep": "[" * 30_000,
    "deep and closed": '{"a":' * 900 + "1" + "}" * 900,
    "long": '{"a": "' + "x" * 500_000 + '"}',
    "wide": "{" + ",".join(f'"x{number}": "1"' for number in range(20_000)) + "}",
    "many digits": '{"a": ' + "1" * 10_000 + "}",
    "half a character": '{"a": "\\ud800"}',
}


@pytest.mark.parametrize("text", PASTED.values(), ids=PASTED)
def test_json_of_any_size_and_depth_is_refused_at_every_field(root: Client, text: str) -> None:
    rule = create_rule(Order, actions=[("write_audit_entry", {})])
    whole = post_data([{"kind": "write_audit_entry", "config": "{}"}])
    for name in ("condition", "changes", "actions-0-config", "actions-0-for_each"):
        answer = root.post(reverse(ADD), {**whole, name: text})
        assert (name, answer.status_code) == (name, 200)
        assert "errorlist" in answer.content.decode(), name
    test_page = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    answer = root.post(test_page, {"signal": "post_save", "context": text})
    assert (answer.status_code, "errorlist" in answer.content.decode()) == (200, True)
    endpoint = {"slug": "a", "name": "A", "url": "https://example.com/", "headers": text}
    answer = root.post(reverse("admin:webhooks_endpoint_add"), endpoint)
    assert (answer.status_code, 'id="id_headers_error"' in answer.content.decode()) == (200, True)
