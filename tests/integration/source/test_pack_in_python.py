"""A pack whose source is Python: conditions by ``rules_engine.conditions``, written out as the fixture beside this."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command

from project.accounts.models import User
from project.shop.models import Order, OrderItem, Product
from rules_engine.conditions import contains, every, has_changed, if_null, instance, is_in, logic, old, some
from rules_engine.packs import writing
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import refresh, run_due
from rules_engine.types import ActionSpec, RuleSpec

FIXTURE = Path(__file__).with_name("shop_conditions.json")


def log(message: str) -> tuple[ActionSpec, ...]:
    return (ActionSpec("log_message", {"message": message}),)


RULES = [
    RuleSpec(
        slug="big-order-paid",
        name="A big order was paid",
        model="shop.order",
        signals=("post_save",),
        operations=("update",),
        condition=logic(
            has_changed("status")
            & (instance.status == "paid")
            & ~is_in(old.status, ["shipped", "delivered"])
            & (instance.total + if_null(instance.shipping_cost, 0) - instance.discount >= 100)
        ),
        actions=log("Big order {{ instance.order_number }}"),
    ),
    RuleSpec(
        slug="heavy-line",
        name="An order has a line of many",
        model="shop.order",
        signals=("post_save",),
        condition=logic(
            some(instance.items, lambda item: item.quantity > 10)
            | every(instance.items, lambda item: item.unit_price > instance.total)
        ),
        actions=log("Heavy order {{ instance.order_number }}"),
    ),
    RuleSpec(
        slug="company-customer",
        name="A company ordered",
        model="shop.order",
        signals=("post_save",),
        operations=("create",),
        condition=logic(contains(instance.customer.email, "@company.example") & (instance.customer_id != None)),  # noqa: E711 - null in JSON
        actions=log("Company order {{ instance.order_number }}"),
    ),
]


def test_the_python_source_of_a_pack_writes_the_fixture() -> None:
    assert [rule_problems(rule) for rule in RULES] == [[], [], []]
    assert writing.text(RULES) == FIXTURE.read_text(encoding="utf-8")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture, transactional_db: None) -> Callable[[], list[str]]:
    """What the rules of the loaded fixture logged since the last look."""
    caplog.set_level(logging.INFO, "rules_engine.messages")
    call_command("loaddata", str(FIXTURE), verbosity=0)
    refresh()

    def look() -> list[str]:
        run_due()
        found = sorted(one.getMessage() for one in caplog.records if one.name == "rules_engine.messages")
        caplog.clear()
        return found

    return look


def test_a_pack_written_in_python_loads_and_fires(logged: Callable[[], list[str]]) -> None:
    buyer = User.objects.create(username="b", email="buyer@company.example")
    order = Order.objects.create(order_number="A", customer=buyer, total=95, shipping_cost=10)
    assert logged() == ["Company order A"]
    order.status = "paid"
    order.save()
    assert logged() == ["Big order A"]
    order.save()
    assert logged() == []
    pen = Product.objects.create(name="Pen", price=1)
    OrderItem.objects.create(order=order, product=pen, quantity=11, unit_price=1)
    order.save()
    assert logged() == ["Heavy order A"]


def test_a_pack_in_python_stays_silent_where_no_condition_holds(
    logged: Callable[[], list[str]],
) -> None:
    order = Order.objects.create(order_number="A", total=95, shipping_cost=10, discount=6, status="shipped")
    order.status = "paid"
    order.save()
    cheap = Order.objects.create(order_number="B", total=99, customer=User.objects.create(username="x"))
    cheap.status = "paid"
    cheap.save()
    assert logged() == []
