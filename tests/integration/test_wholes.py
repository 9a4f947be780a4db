"""A rule that takes objects as wholes sees of an event what it reads itself, and not what another rule reads."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from project.shop.models import Order, OrderItem, Product
from rules_engine.models import Event, HeldMatch
from rules_engine.testing import create_rule, run_due
from tests.integration.admin.conftest import make_user
from tests.integration.noting import note
from tests.zoo.models import Animal, Keeper, Tag

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "CANARY"
WHOLE = {"var": "instance"}


@pytest.fixture
def author() -> Any:
    """May view orders and what is in them, and neither customers nor products."""
    return make_user("shop.view_order", "shop.view_orderitem")


@pytest.fixture
def operators() -> None:
    """A rule that reads more than the author may view, so that the event holds it."""
    reading = "{{ instance.customer.email }} {% for item in instance.items %}{{ item.product.name }}{% endfor %}"
    condition = {"or": [{"!=": [{"var": "instance.customer.email"}, "x"]},
                        {"some": [{"var": "instance.items"}, {"==": [{"var": "product.name"}, "x"]}]}]}  # fmt: skip
    create_rule(Order, slug="operators", condition=condition, actions=[("log_message", {"message": reading})])


def save_an_order() -> Order:
    customer = get_user_model().objects.create_user("customer", email=f"{SECRET}@example.com")
    order = Order.objects.create(order_number="A", customer=customer)
    product = Product.objects.create(name=SECRET, price=1)
    OrderItem.objects.create(order=order, product=product, unit_price=1)
    order.save()
    return order


@pytest.mark.parametrize(
    "condition",
    [
        {"some": [WHOLE, {"in": [SECRET, {"var": "email"}]}]},
        {"in": [SECRET, {"cat": [{"map": [WHOLE, {"var": "email"}]}]}]},
        {"in": [SECRET, {"cat": [{"filter": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 0]}]}]}]},
        {"in": [SECRET, {"cat": [{"group_by": [{"var": "instance.items"}, {"var": "quantity"}]}]}]},
        {"in": [SECRET, {"cat": [WHOLE]}]},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.usefixtures("operators")
def test_a_condition_on_wholes_does_not_see_what_other_rules_read(author: Any, condition: Any) -> None:
    create_rule(Order, slug="low", condition=condition, actions=[("log_message", {"message": "x"})], author=author)
    save_an_order()
    said = [told for event in Event.objects.all() for told in event.evaluations if told["rule"] == "low"]
    assert said
    assert "matched" not in {told["outcome"] for told in said}


@pytest.mark.parametrize("name", ["throttle_by", "coalesce_by"])
@pytest.mark.usefixtures("operators")
def test_what_a_match_is_held_by_does_not_tell_what_other_rules_read(author: Any, name: str) -> None:
    more = {"throttle_by": {"throttle_count": 5, "throttle_seconds": 60}, "coalesce_by": {"coalesce_seconds": 60}}
    action = ("log_message", {"message": "x"})
    create_rule(Order, slug="low", actions=[action], author=author, **{name: "{{ instance }}"}, **more[name])
    save_an_order()
    keys = [f"{match.throttle_key}{match.coalesce_key}" for match in HeldMatch.objects.all()]
    assert keys
    assert all(key and SECRET not in key for key in keys)


def test_a_key_reads_what_its_own_text_names(author: Any) -> None:
    text = "{{ instance.customer.username }}"
    action = ("log_message", {"message": "x"})
    create_rule(Order, actions=[action], throttle_by=text, throttle_count=5, throttle_seconds=60)
    save_an_order()
    assert {match.throttle_key for match in HeldMatch.objects.all()} == {"customer"}


def test_a_key_of_a_relation_does_not_tell_the_objects_that_others_read() -> None:
    create_rule(
        Animal,
        signals=["m2m_changed"],
        changes=[{"field": "tags"}],
        actions=[("log_message", {"message": "{% for one in m2m.objects %}{{ one.name }}{% endfor %}"})],
    )
    create_rule(Animal, slug="low", signals=["m2m_changed"], changes=[{"field": "tags"}], throttle_count=5,
                throttle_seconds=60, throttle_by="{{ m2m }}", actions=[("log_message", {"message": "x"})])  # fmt: skip
    animal = Animal.objects.create(name="Rex", keeper=Keeper.objects.create(name="Ada"))
    animal.tags.add(Tag.objects.create(name=SECRET))
    key = HeldMatch.objects.get().throttle_key
    assert "tags" in key
    assert SECRET not in key


@pytest.mark.parametrize(
    "each", [{"filter": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 0]}]}, "instance.items"]
)
@pytest.mark.usefixtures("operators")
def test_a_row_of_for_each_is_what_its_own_rule_reads(author: Any, noted: list[str], each: Any) -> None:
    create_rule(Order, operations=["update"], actions=[note("{{ each }}", for_each=each)], author=author)
    save_an_order()
    run_due()
    assert len(noted) == 1
    assert "quantity" in noted[0]
    assert SECRET not in noted[0]
