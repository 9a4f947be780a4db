"""Every way of writing a row is told once, with what was there before and after, and a write undone is told never."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F

from project.shop.models import Order, OrderItem
from rules_engine import paused
from rules_engine.models import CapturedChange, Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.factories import make_animals, make_order, make_product
from tests.zoo.models import Animal, Tag

pytestmark = pytest.mark.django_db(transaction=True)
Install = Callable[..., None]
PAID = {"==": [{"var": "instance.status"}, "paid"]}
LOG = [("log_message", {"message": "{{ old.status }} to {{ instance.status }}"})]


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def told() -> list[tuple[str, str | None, Any]]:
    """Tell what is captured, and return of each event the operation, the object and the status before and after."""
    run_due()
    return [(event.operation, event.object_pk, _statuses(event.context)) for event in Event.objects.order_by("id")]


def _statuses(context: Any) -> tuple[Any, Any]:
    return (context["old"] or {}).get("status"), context["instance"].get("status")


@pytest.fixture
def rule() -> None:
    create_rule(model=Order, signals=["post_save"], changes=[{"field": "status"}], actions=LOG)
    create_rule(model=Order, signals=["post_delete"], actions=LOG)


@pytest.mark.usefixtures("rule")
class TestOneEventARow:
    def test_a_raw_update_is_an_event_and_its_action_is_carried_out(self, install: Install) -> None:
        order, _ = make_order(), make_order()
        install(Order)
        sql("UPDATE shop_order SET status = 'paid' WHERE id = %s", order.pk)
        assert told() == [("update", str(order.pk), ("draft", "paid"))]
        [execution] = Execution.objects.all()
        assert (execution.state, execution.summary[-13:]) == ("succeeded", "draft to paid")
        assert not CapturedChange.objects.exists()

    def test_save_update_and_bulk_update(self, install: Install) -> None:
        order, other = make_order(), make_order()
        install(Order)
        order.status = "paid"
        order.save()
        Order.objects.filter(pk=other.pk).update(status="shipped")
        order.status = "delivered"
        Order.objects.bulk_update([order], ["status"])
        assert told() == [
            ("update", str(order.pk), ("draft", "paid")),
            ("update", str(other.pk), ("draft", "shipped")),
            ("update", str(order.pk), ("paid", "delivered")),
        ]

    def test_create_bulk_create_and_conflicts(self, install: Install) -> None:
        known = make_order(order_number="known")
        install(Order)
        made = make_order()
        Order.objects.bulk_create([Order(order_number="a"), Order(order_number="b", status="paid")])
        Order.objects.bulk_create(
            [Order(order_number="known", status="paid"), Order(order_number="new")],
            update_conflicts=True,
            update_fields=["status"],
            unique_fields=None if connection.vendor == "mysql" else ["order_number"],
        )
        a, b, new = (Order.objects.get(order_number=name).pk for name in ("a", "b", "new"))
        assert sorted(told()) == sorted(
            [
                ("create", str(made.pk), (None, "draft")),
                ("create", str(a), (None, "draft")),
                ("create", str(b), (None, "paid")),
                ("update", str(known.pk), ("draft", "paid")),
                ("create", str(new), (None, "draft")),
            ]
        )

    def test_delete_of_an_object_of_a_queryset_and_raw(self, install: Install) -> None:
        first, second, third = make_order(), make_order(status="paid"), make_order()
        keys = [str(first.pk), str(second.pk), str(third.pk)]
        install(Order)
        first.delete()
        Order.objects.filter(pk=second.pk).delete()
        sql("DELETE FROM shop_order WHERE id = %s", third.pk)
        assert told() == [
            ("delete", keys[0], ("draft", "draft")),
            ("delete", keys[1], ("paid", "paid")),
            ("delete", keys[2], ("draft", "draft")),
        ]

    def test_many_rows_of_one_statement_keep_their_own_values(self, install: Install) -> None:
        orders = [make_order(status=status) for status in ("draft", "paid", "shipped")]
        install(Order)
        Order.objects.update(status=F("order_number"))
        assert sorted(told()) == sorted(
            ("update", str(order.pk), (order.status, order.order_number)) for order in orders
        )

    def test_what_no_rule_asks_for_is_not_captured(self, install: Install) -> None:
        order = make_order()
        install(Order)
        Order.objects.update(total=Decimal("12.50"))
        order.save()
        assert not CapturedChange.objects.exists()
        assert told() == []

    def test_what_is_rolled_back_is_told_by_nobody(self, install: Install) -> None:
        order = make_order()
        install(Order)
        with pytest.raises(RuntimeError), transaction.atomic():
            Order.objects.update(status="paid")
            raise RuntimeError
        with transaction.atomic(), pytest.raises(RuntimeError), transaction.atomic():
            order.delete()
            raise RuntimeError
        assert told() == []

    def test_what_is_written_while_rules_are_paused_is_not_told(self, install: Install) -> None:
        make_order()
        install(Order)
        with paused():
            Order.objects.update(status="paid")
        assert told() == []

    def test_an_object_that_is_gone_by_then_is_told_as_it_was(self, install: Install) -> None:
        order = make_order()
        key = str(order.pk)
        install(Order)
        with transaction.atomic():
            Order.objects.update(status="paid")
            order.delete()
        assert told() == [("update", key, ("draft", "paid")), ("delete", key, ("paid", "paid"))]

    def test_a_key_that_changes_is_an_update_of_the_new_one(self, install: Install) -> None:
        first, second = make_order(), make_order()
        install(Order)
        moved = 1_000_000
        sql(f"UPDATE shop_order SET id = id + {moved}, status = 'paid'")
        assert sorted(told()) == sorted(("update", str(pk + moved), ("draft", "paid")) for pk in (first.pk, second.pk))


def test_nothing_is_told_twice_by_a_rule_that_acts_in_the_transaction(install: Install) -> None:
    create_rule(
        model=Order,
        changes=[{"field": "status", "to": "paid"}],
        actions=[("write_audit_entry", {"note": "at once"}, {"timing": "in_transaction"})],
    )
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    order = make_order()
    install(Order)
    order.status = "paid"
    order.save()
    assert [row.kind for row in Execution.objects.all()] == ["write_audit_entry"]
    run_due()
    assert sorted(row.kind for row in Execution.objects.all()) == ["log_message", "write_audit_entry"]
    assert Event.objects.count() == 2


def test_rows_of_a_relation_are_told_as_its_changes(install: Install) -> None:
    create_rule(
        model=Animal,
        signals=["m2m_changed"],
        changes=[{"field": "tags"}],
        actions=[("log_message", {"message": "{{ m2m.action }}"})],
    )
    animal, other = make_animals("a", "b")
    tags = [Tag._default_manager.create(name=name) for name in "xyz"]
    keys = [tag.pk for tag in tags]
    install(Animal)
    animal.tags.add(*tags)
    sql("INSERT INTO zoo_animal_tags (animal_id, tag_id) VALUES (%s, %s)", other.pk, tags[0].pk)
    tags[0].delete()
    run_due()
    said = [(event.object_pk, event.operation, event.context["m2m"]["pks"]) for event in Event.objects.order_by("id")]
    assert said[:2] == [(str(animal.pk), "add", keys), (str(other.pk), "add", keys[:1])]
    assert sorted(said[2:]) == [(str(one.pk), "remove", keys[:1]) for one in (animal, other)]


def test_rows_that_go_with_another_are_told(install: Install) -> None:
    create_rule(model=OrderItem, signals=["post_delete"], actions=[("log_message", {"message": "{{ old.quantity }}"})])
    order = make_order()
    OrderItem.objects.create(order=order, product=make_product(), quantity=3, unit_price=1)
    install(OrderItem)
    order.delete()
    run_due()
    [event] = Event.objects.all()
    assert (event.operation, event.context["old"]["quantity"]) == ("delete", 3)
