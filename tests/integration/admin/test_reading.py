"""What whoever may only view a rule reads of it: words and labelled values, with the JSON folded away; no scripts."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.urls import reverse

from project.shop.models import Order
from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.sentences import Part, read
from rules_engine.models import Execution, HeldMatch
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import change_url, client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def lines(part: Part, depth: int = 0) -> list[str]:
    return ["  " * depth + part.words, *(line for one in part.children for line in lines(one, depth + 1))]


def var(name: str) -> dict[str, Any]:
    return {"var": name}


@pytest.mark.parametrize(
    ("logic", "words"),
    [
        ({"==": [var("instance.status"), "paid"]}, "Status is Paid"),
        ({"!=": [var("old.status"), "draft"]}, "Status was not Draft"),
        ({">": [var("instance.total"), 100]}, "Total is more than 100"),
        ({">": [var("instance.total"), var("old.total")]}, "Total is more than Total (Before the change)"),
        ({">=": [var("instance.status_changed_at"), "2031-01-01"]}, "Status changed at is on or after “2031-01-01”"),
        ({"in": [var("instance.status"), ["paid", "draft"]]}, "Status is one of Paid, Draft"),
        ({"!": [{"in": ["X-", var("instance.order_number")]}]}, "Order number does not contain “X-”"),
        ({"in": ["status", var("changed")]}, "Status has changed"),
        ({"!!": [var("instance.customer.is_active")]}, "Customer › Active is yes"),
        (var("created"), "It is new is yes"),
        ({"===": [var("instance.customer_id"), None]}, "Customer has no value"),
        ({"==": [var("event.operation"), "create"]}, "What was done is created"),
        ({"<": [var("instance.items__count"), 3]}, "Order items: how many is less than 3"),
        ({"==": [var("instance.gone"), 1]}, "instance.gone is 1"),
        ({"<=": [1, var("instance.total"), 9]}, "Total is between (inclusive) 1 – 9"),
        ({"!": [{">": [9, var("instance.total"), 1]}]}, "Total is not between (exclusive) 1 – 9"),
        (
            {">": [var("instance.status_changed_at"), {"-": [{"now": []}, {"timestamp": "3d"}]}]},
            "Status changed at is after 3 days ago",
        ),
        (
            {">": [var("instance.total"), {"*": [var("old.total"), 2]}]},
            "Total is more than Total (Before the change) times 2",
        ),
    ],
)  # fmt: skip
def test_a_comparison_is_a_sentence_in_the_words_of_the_builder(logic: Any, words: str) -> None:
    [line] = lines(read(logic, Titles.of("shop.order")))
    assert line == words


def test_groups_rows_and_what_has_no_words_stand_in_their_places() -> None:
    paid, large = {"==": [var("instance.status"), "paid"]}, {">": [var("quantity"), 5]}
    odd = {"<": [{"+": [var("instance.total"), 1]}, 9]}
    logic = {"and": [paid, {"some": [var("instance.items"), large]}, {"!": [{"or": [paid, odd]}]}]}
    assert lines(read(logic, Titles.of("shop.order"))) == [
        "ALL of these",
        "  Status is Paid",
        "  Order items have at least one where",
        "    Quantity is more than 5",
        "  NONE of these",
        "    Status is Paid",
        "    +(instance.total, 1) < 9",
    ]


def without_json(page: str) -> str:
    """The page as it is read once its actions are unfolded, without JSON, tags and scripts' data."""
    page = page.split('id="content"', 1)[1]
    page = re.sub(r"<details><summary>As JSON</summary>.*?</details>|<script.*?</script>", "", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_whoever_may_only_view_a_rule_reads_it_in_words() -> None:
    made = [{"field": "order", "value": "{{ instance.pk }}"}]
    both = {"and": [{">": [var("instance.total"), 1]}, {"!!": [var("instance.customer_id")]}]}
    rule = create_rule(
        Order, slug="mails", condition=both,
        changes=[{"field": "status", "from": None, "to": "paid"}, {"field": "total"}],
        actions=[
            ("send_email", {"to": ["admins", "{{ instance.customer.email }}"], "subject": "<b>Hi</b>", "body": "x"}),
            ("log_message", {"message": "y", "level": "warning"}),
            ("create_object", {"model": "shop.statushistory", "values": made}),
        ],
    )  # fmt: skip
    page = client_of(make_user("rules_engine.view_rule")).get(change_url(rule)).content.decode()
    said = without_json(page)
    assert "ALL of these Total is more than 1 Customer is filled in" in said
    assert "Status has changed from no value to Paid" in said
    assert "Total has changed" in said
    assert "To admins {{ instance.customer.email }} Subject <b>Hi</b> Text x" in said
    assert "Message y Level warning" in said
    assert "Model shop.statushistory Values Field order Value {{ instance.pk }}" in said
    assert '"var"' not in said
    assert '{"' not in said
    assert "<b>Hi</b>" not in page
    # The JSON is there for who wants it, and needs no script.
    assert page.count("<details><summary>As JSON</summary>") == 5
    assert "data-rules-kinds" not in page


def test_what_looks_like_a_secret_in_a_setting_is_not_shown() -> None:
    rule = create_rule(Order, slug="r", enabled=False, actions=[("log_message", {"message": "x"})])
    rule.actions.update(kind="their_own", config={"api_key": "canary", "nested": [{"token": "canary", "x": "seen"}]})
    page = client_of(make_user("rules_engine.view_rule")).get(change_url(rule)).content.decode()
    assert "canary" not in page
    assert "seen" in page


def test_executions_and_held_matches_say_what_is_to_be_done_in_words() -> None:
    log = ("log_message", {"message": "Hello", "level": "error"})
    create_rule(Order, slug="now", actions=[log])
    create_rule(Order, slug="later", actions=[log], coalesce_seconds=600)
    Order.objects.create(order_number="1")
    views = ("rules_engine.view_execution", "rules_engine.view_heldmatch")
    client = client_of(make_user(*views))
    for model, row in (("execution", Execution.objects.get()), ("heldmatch", HeldMatch.objects.get())):
        said = without_json(client.get(reverse(f"admin:rules_engine_{model}_change", args=[row.pk])).content.decode())
        assert "Message Hello Level error" in said
        assert '{"' not in said
