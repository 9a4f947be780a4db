"""A context that somebody wrote: where its shape is none, in a sentence, and whose objects it names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import translation

from project.shop.models import Order, OrderItem, Product, Tag
from rules_engine.context.paths import ModelClass
from rules_engine.test.changes import changes_of
from rules_engine.test.pasted import Named, context_problems, objects_named

NO_OBJECT = "Expected an object, {…}, or null, and here stands "
NO_ROWS = "Expected a list of objects, [{…}, …], or null, and here stands "
NO_NAMES = 'Expected a list of names, ["status", …], or null, and here stands '
NO_KEY = "Expected a key: a text, a number or null, and here stands "
NO_KEYS = "Expected a list of keys, [1, …], or null, and here stands "
NO_VALUE = "Expected a text, a number or null, and here stands "


def said(context: Any, model: ModelClass | None = Order) -> list[tuple[str, str]]:
    with translation.override("en"):
        return [(problem.pointer, problem.message) for problem in context_problems(context, model)]


@pytest.mark.parametrize(
    "context",
    [
        {},
        dict.fromkeys(
            ("event", "instance", "old", "changed", "changes", "created", "actor", "request", "m2m", "signal")
        ),
        {"event": {"id": "x", "depth": 0, "pk": None}, "actor": {"id": 1, "username": "ada"}, "created": False},
        {"instance": {"pk": 1, "customer_id": "7", "total": [1], "unknown": {"a": 1}}, "changed": []},
        {"instance": {"customer": {"pk": 1, "email": None}, "items": [{"pk": 1, "product": {"pk": 2}}, {}]}},
        {"instance": {"customer": None, "items": None, "pk": None}},
        {"changed": ["status"], "changes": {"status": {"old": [1], "new": {}}}, "old": {"status": {}}},
        {"m2m": {"field": "tags", "pks": [1, "2"], "objects": [{"pk": 1}], "count": 2, "action": None}},
        {"m2m": {"pks": None, "objects": None}},
        {"each": {"pk": 1}, "held": {"count": 3}},
    ],
    ids=str,
)
def test_a_context_of_its_shape_has_no_problem(context: dict[str, Any]) -> None:
    assert said(context) == []


@pytest.mark.parametrize(
    ("context", "at", "sentence"),
    [
        ({"instanc": {}}, "/instanc", 'A context has no part "instanc". Did you mean "instance"?'),
        ({"zzz": None}, "/zzz", 'A context has no part "zzz".'),
        ({"event": "x"}, "/event", f"{NO_OBJECT}a text."),
        ({"event": {"id": []}}, "/event/id", f"{NO_VALUE}a list."),
        ({"actor": {"id": {}}}, "/actor/id", f"{NO_VALUE}an object."),
        ({"request": 1}, "/request", f"{NO_OBJECT}a number."),
        ({"old": [1]}, "/old", f"{NO_OBJECT}a list."),
        ({"signal": True}, "/signal", f"{NO_OBJECT}true or false."),
        ({"held": 1.5}, "/held", f"{NO_OBJECT}a number."),
        ({"created": 1}, "/created", "Expected true, false or null, and here stands a number."),
        ({"created": "true"}, "/created", "Expected true, false or null, and here stands a text."),
        ({"changed": "status"}, "/changed", f"{NO_NAMES}a text."),
        ({"changed": ["status", 1]}, "/changed", f"{NO_NAMES}a list."),
        ({"changed": {}}, "/changed", f"{NO_NAMES}an object."),
        ({"changes": []}, "/changes", f"{NO_OBJECT}a list."),
        (
            {"changes": {"status": None}},
            "/changes/status",
            'Expected an object, {"old": …, "new": …}, and here stands null.',
        ),
        ({"instance": {"pk": []}}, "/instance/pk", f"{NO_KEY}a list."),
        ({"instance": {"customer_id": {}}}, "/instance/customer_id", f"{NO_KEY}an object."),
        ({"instance": {"customer": 7}}, "/instance/customer", f"{NO_OBJECT}a number."),
        ({"instance": {"items": {}}}, "/instance/items", f"{NO_ROWS}an object."),
        ({"instance": {"items": [{}, None]}}, "/instance/items/1", f"{NO_OBJECT}null."),
        ({"instance": {"items": [{"product": []}]}}, "/instance/items/0/product", f"{NO_OBJECT}a list."),
        ({"instance": {"items": [{"product": {"pk": {}}}]}}, "/instance/items/0/product/pk", f"{NO_KEY}an object."),
        ({"m2m": [1]}, "/m2m", f"{NO_OBJECT}a list."),
        ({"m2m": {"pks": 1}}, "/m2m/pks", f"{NO_KEYS}a number."),
        ({"m2m": {"pks": [None]}}, "/m2m/pks", f"{NO_KEYS}a list."),
        ({"m2m": {"objects": {}}}, "/m2m/objects", f"{NO_ROWS}an object."),
        ({"m2m": {"objects": [1]}}, "/m2m/objects", f"{NO_ROWS}a list."),
        ({"m2m": {"field": ["tags"]}}, "/m2m/field", f"{NO_VALUE}a list."),
    ],
    ids=str,
)
def test_a_shape_that_is_none_is_said_at_its_place(context: dict[str, Any], at: str, sentence: str) -> None:
    assert said(context) == [(at, sentence)]


def test_all_that_is_wrong_is_said_together() -> None:
    problems = said({"instance": {"pk": [], "items": 1}, "created": 1, "nothing": 1})
    assert [at for at, _ in problems] == ["/instance/pk", "/instance/items", "/created", "/nothing"]


def test_of_a_rule_on_no_model_an_instance_is_any_object() -> None:
    assert said({"instance": {"pk": [], "items": 1}}, None) == []
    assert said({"instance": 1}, None) == [("/instance", f"{NO_OBJECT}a number.")]


@pytest.mark.parametrize(
    ("context", "model", "named"),
    [
        ({}, Order, []),
        ({"instance": None, "m2m": None}, Order, []),
        ({"instance": {"pk": 7}}, Order, [Named(Order, "pk", 7)]),
        ({"instance": {"pk": None, "total": 5}}, Order, []),
        ({"instance": {"customer_id": 3}}, Order, [Named(get_user_model(), "id", 3)]),
        ({"instance": {"customer": {"pk": 3}}}, Order, [Named(get_user_model(), "pk", 3)]),
        (
            {"instance": {"items": [{"pk": 1, "product_id": 2}, {"product": {"pk": 4}}]}},
            Order,
            [Named(OrderItem, "pk", 1), Named(Product, "id", 2), Named(Product, "pk", 4)],
        ),
        ({"m2m": {"field": "tags", "pks": [1, 2]}}, Product, [Named(Tag, "pk", 1), Named(Tag, "pk", 2)]),
        ({"m2m": {"field": "tags", "objects": [{"pk": 5}]}}, Product, [Named(Tag, "pk", 5)]),
        ({"m2m": {"field": "nothing", "pks": [1]}}, Product, []),
        ({"m2m": {"pks": [1]}}, Product, []),
        # What was before is no object that is looked up.
        ({"old": {"customer_id": 3}}, Order, []),
    ],
    ids=lambda value: str(value)[:60],
)
def test_the_objects_that_a_context_names_are_found(context: Any, model: ModelClass, named: list[Named]) -> None:
    assert list(objects_named(context, model)) == named


# What one save told before and after itself

AT = datetime(2031, 5, 6, 10, 30, tzinfo=UTC)


def told(pk: int, signal: str, seconds: float, **fields: Any) -> Any:
    usual = {"operation": "update", "model": "shop.order", "object_pk": "1", "actor_id": "", "request_id": "r"}
    event = SimpleNamespace(pk=pk, signal=signal, occurred_at=AT + timedelta(seconds=seconds), **{**usual, **fields})
    return SimpleNamespace(event=event)


def taken(*newest_first: Any, refused: Any = ()) -> list[list[int]]:
    return [[event.pk for event in change.events] for change in changes_of(newest_first, refused)]


@pytest.mark.parametrize(
    ("seconds", "changes"), [(0, [[2, 1]]), (60, [[2, 1]]), (60.001, [[2], [1]]), (3600, [[2], [1]])]
)
def test_what_was_told_before_a_save_belongs_to_it_for_a_minute(seconds: float, changes: list[list[int]]) -> None:
    assert taken(told(2, "post_save", seconds), told(1, "pre_save", 0)) == changes


@pytest.mark.parametrize(
    "other",
    [{"object_pk": "2"}, {"model": "shop.product"}, {"operation": "create"}, {"actor_id": "7"}, {"request_id": "s"}],
)
def test_what_differs_is_another_change(other: dict[str, Any]) -> None:
    assert taken(told(2, "post_save", 1, **other), told(1, "pre_save", 0)) == [[2], [1]]


def test_a_delete_has_its_own_before_and_each_before_is_taken_once() -> None:
    events = [
        told(5, "post_delete", 4, operation="delete"),
        told(4, "pre_delete", 3, operation="delete"),
        told(3, "post_save", 2),
        told(2, "post_save", 1),
        told(1, "pre_save", 0),
    ]
    assert taken(*events) == [[5, 4], [3], [2, 1]]


def test_after_what_was_refused_nothing_happened() -> None:
    events = [told(3, "post_save", 2), told(2, "pre_save", 1), told(1, "pre_save", 0)]
    assert taken(*events, refused=[2]) == [[3, 1], [2]]
