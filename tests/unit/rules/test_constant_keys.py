"""A key that holds no value is the same for every match: who meant a value is asked whether they did."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.rules.holding import constant_keys
from rules_engine.types import RuleSpec


def said(**fields: Any) -> list[tuple[str, str]]:
    rule = RuleSpec(**{"slug": "r", "model": "shop.order", "signals": ("post_save",), **fields})
    return [(problem.pointer, problem.message) for problem in constant_keys(rule)]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("customer", "{{ instance.customer_id }}"),
        ("Customer", "{{ instance.customer_id }}"),
        ("customer_id", "{{ instance.customer_id }}"),
        ("instance.customer", "{{ instance.customer_id }}"),
        (" instance.customer_id ", "{{ instance.customer_id }}"),
        ("{ instance.customer_id }", "{{ instance.customer_id }}"),
        ("customer.email", "{{ instance.customer.email }}"),
        ("Order number", "{{ instance.order_number }}"),
        ("pk", "{{ instance.pk }}"),
        ("status", "{{ instance.status }}"),
    ],
)
@pytest.mark.parametrize("name", ["throttle_by", "coalesce_by"])
def test_a_word_that_names_a_value_is_asked_about(name: str, text: str, meant: str) -> None:
    message = f'"{text.strip()}" is the same for every match. Did you mean "{meant}"?'
    assert said(**{name: text}) == [(f"/{name}", message)]


@pytest.mark.parametrize(
    "text", ["", " ", "{{ instance.customer_id }}", "{{ actor.id }}-x", "{% if created %}a{% endif %}", "{% if %}", 5]
)
def test_a_key_that_holds_a_value_or_nothing_is_fine(text: Any) -> None:
    assert said(throttle_by=text, coalesce_by=text) == []


def test_all_may_be_taken_together_but_are_counted_so_without_a_word() -> None:
    assert said(coalesce_by="all") == []
    ((pointer, message),) = said(throttle_by="all")
    assert pointer == "/throttle_by"
    assert "leave it empty for that" in message


def test_a_signals_argument_is_meant_where_there_is_no_model() -> None:
    fields: dict[str, Any] = {"model": "", "signals": ("request_finished",)}
    ((_pointer, message),) = said(**fields, throttle_by="request.path")
    assert 'Did you mean "{{ request.path }}"?' in message
    assert "leave it empty" in said(**fields, throttle_by="path")[0][1]


def test_a_model_that_is_not_there_says_only_that_the_key_is_constant() -> None:
    assert "leave it empty" in said(model="shop.nothing", throttle_by="customer")[0][1]
