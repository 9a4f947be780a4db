"""What happened as one line, made of an event's context."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from rules_engine import texts
from rules_engine.rules.values import problems
from rules_engine.types import RuleSpec

ORDER = {"model": "shop.order", "pk": 2, "signal": "post_save", "operation": "update"}


def told(event: dict[str, Any] | None = None, **context: Any) -> str:
    return texts.render("{{ what_happened }}", {"event": ORDER | (event or {}), **context})


def change(**fields: tuple[Any, Any]) -> dict[str, Any]:
    return {name: {"old": old, "new": new} for name, (old, new) in fields.items()}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (change(status=("draft", "paid")), "Order 2: status Draft → Paid"),
        (change(status=("draft", "gone"), total=("0.00", "12.50")), "Order 2: status Draft → gone, total 0.00 → 12.50"),
        (
            change(status_changed_at=(None, "2031-05-06T08:00:00+00:00")),
            "Order 2: status changed at – → 05/06/2031 8 a.m.",
        ),
        (change(order_number=("", "a\nb")), "Order 2: order number – → a b"),
        (change(order_number=("A", "x" * 100)), f"Order 2: order number A → {'x' * 59}…"),
        (change(order_number=("[hidden]", "[hidden]")), "Order 2: order number [hidden]"),
        (change(gone_since=(1, 2)), "Order 2: gone_since 1 → 2"),
        (change(facts=({}, {"a": [1, None]})), 'Order 2: facts {} → {"a": [1, null]}'),
        (change(facts=([], 1.5)), "Order 2: facts [] → 1.5"),
        (change(total=(Decimal("1.50"), 2**80)), f"Order 2: total 1.50 → {2**80}"),
        ({}, "Order 2 was saved"),
        (None, "Order 2 was saved"),
    ],
)
def test_a_change_is_told_by_titles_and_labels(changes: Any, words: str, settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    assert told(changes=changes) == words


def test_what_was_made_and_deleted_is_told_in_words() -> None:
    assert told({"operation": "create"}) == "Order 2 was created"
    assert told({"operation": "delete", "signal": "post_delete"}) == "Order 2 was deleted"
    assert told({"operation": "create"}, actor={"id": "1", "username": "carmen"}) == "Order 2 was created (by carmen)"


def test_an_object_is_called_by_its_own_name_unless_that_is_hidden() -> None:
    event = {"model": "clinic.patient", "pk": 7, "operation": "create"}
    assert told(event, instance={"name": "Tom Novak"}) == "Patient Tom Novak was created"
    assert told(event, instance={"name": "[hidden]"}) == "Patient 7 was created"
    assert told(event, instance={"name": ""}) == "Patient 7 was created"
    assert told(event | {"pk": None}) == "Patient was created"


def test_a_yes_or_no_field_is_told_in_words() -> None:
    assert (
        told({"model": "clinic.doctor"}, changes=change(is_on_vacation=(False, True)))
        == "Doctor 2: on vacation no → yes"
    )


def test_the_time_of_the_save_is_told_only_where_nothing_else_changed() -> None:
    event, at = {"model": "clinic.doctorprofile"}, ("2031-05-06T08:00:00+00:00", "2031-05-06T09:00:00+00:00")
    assert "updated at" not in told(event, changes=change(headline=("a", "b"), updated_at=at))
    assert "updated at" in told(event, changes=change(updated_at=at))


def test_related_objects_are_told_by_their_number() -> None:
    event = {"model": "shop.product", "signal": "m2m_changed", "operation": "add"}
    assert told(event, m2m={"field": "tags", "action": "add", "count": 2}) == "Product 2: tags, 2 added"
    assert told(event, m2m={"field": "tags", "action": "remove", "count": 1}) == "Product 2: tags, 1 removed"
    assert told(event, m2m={"field": "tags", "action": "clear", "count": 0}) == "Product 2: tags, all removed"


def test_a_signal_without_a_model_is_told_by_its_name() -> None:
    event = {"model": "", "pk": None, "signal": "user_login_failed", "operation": None}
    assert told(event) == "The signal “user_login_failed” was sent"


def test_so_many_changes_are_told_and_the_rest_counted() -> None:
    words = told(changes=change(**{f"field_{number}": (1, 2) for number in range(11)}))
    assert words.count("→") == 8
    assert words.endswith(", and 3 more")


def test_it_is_told_in_the_language_in_use() -> None:
    with translation.override("de"):
        assert told({"operation": "delete"}) == "Order 2 wurde gelöscht"


def test_it_is_a_value_like_others_to_filters_and_to_html() -> None:
    context = {"event": ORDER, "changes": change(order_number=("<b>", "B&B"))}
    assert texts.render("{{ what_happened|upper }}", context).startswith("ORDER 2: ")
    assert "&lt;b&gt; → B&amp;B" in texts.render("{{ what_happened }}", context, autoescape=True)
    assert texts.compile_text("{{ what_happened }}").value(context) == "Order 2: order number <b> → B&B"


def test_what_it_is_made_of_is_captured() -> None:
    reads = texts.compile_text("{{ what_happened }}").reads
    assert {("instance", "*"), ("changes", "*"), ("actor",), ("event",)} <= reads
    assert not any(path[0] == "what_happened" for path in reads)
    assert texts.compile_text("{{ admin_url }}").reads == {("event",)}


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("{{ what_happened }} {{ admin_url }}", ""),
        ("{{ what_hapened }}", 'Did you mean "what_happened"?'),
        ("{{ what_happened.old }}", '"what_happened" stands in texts alone'),
        ({"var": "what_happened"}, '"what_happened" stands in texts alone'),
    ],
)
def test_it_stands_in_texts_alone(value: Any, complaint: str) -> None:
    rule = RuleSpec(slug="r", model="shop.order", signals=("post_save",))
    said = " ".join(str(problem) for problem in problems(value, rule, "/subject"))
    assert (complaint in said) if complaint else said == ""


@pytest.mark.parametrize(
    ("site_url", "event", "address"),
    [
        ("https://shop.example.com/", {}, "https://shop.example.com/admin/shop/order/2/change/"),
        ("https://shop.example.com", {"pk": "a/b"}, "https://shop.example.com/admin/shop/order/a_2Fb/change/"),
        ("https://shop.example.com", {"operation": "delete"}, ""),
        ("https://shop.example.com", {"model": ""}, ""),
        ("https://shop.example.com", {"model": "contenttypes.contenttype"}, ""),
        ("", {}, ""),
    ],
)
def test_the_objects_page_is_linked_where_there_is_one(site_url: str, event: Any, address: str, settings: Any) -> None:
    settings.RULES_ENGINE = {"SITE_URL": site_url}
    assert texts.render("{{ admin_url }}", {"event": ORDER | event}) == address


def test_what_is_due_is_told_as_that() -> None:
    due = {"signal": "due", "operation": ""}
    assert told(due) == "Order 2 is due"
    assert told({**due, "pk": None}) == "Orders are due"
    assert told({**due, "model": "", "pk": None}) == "Its time has come"
