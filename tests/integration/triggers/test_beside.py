"""Triggers beside what else there is: bulk writes that rules watch, loaded data, budgets, drivers, other databases."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import serializers
from django.core.management import CommandError, call_command
from django.db import connection, router, transaction

from project.shop.models import Order, OrderItem
from rules_engine import acting_as, watching_bulk
from rules_engine.capture.origins import writers
from rules_engine.databases import database_of
from rules_engine.live.triggers import installing
from rules_engine.models import CapturedChange, Event, Execution, InstalledTrigger
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_order, order_with_items
from tests.zoo.models import Animal, Dog

pytestmark = pytest.mark.django_db(transaction=True)
Install = Callable[..., None]
LOG = [("log_message", {"message": "{{ instance.status }}"})]


@pytest.fixture
def order(install: Install) -> Order:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    order = make_order()
    install(Order)
    return order


def test_a_bulk_write_that_rules_watch_is_told_once(order: Order) -> None:
    with watching_bulk():
        Order.objects.update(status="paid")
        Order.objects.bulk_create([Order(order_number="b", status="paid")])
    run_due()
    assert [event.operation for event in Event.objects.order_by("id")] == ["update", "create"]


@pytest.mark.parametrize("raw", [True, False])
def test_loaded_data_is_told_to_the_rules_that_ask_for_it(install: Install, raw: bool) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG, raw=raw)
    order = make_order()
    install(Order)
    order.status = "paid"
    text = serializers.serialize("json", [order])
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    order.status = "shipped"
    order.save()
    run_due()
    said = [event.context["instance"]["status"] for event in Event.objects.order_by("id")]
    assert said == (["paid", "shipped"] if raw else ["shipped"])


def test_what_one_chain_leads_to_is_bounded_within_a_statement(install: Install, settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "ROOT_BUDGET": 5}
    quantity = [{"field": "quantity", "value": "7"}]
    create_rule(
        model=Order,
        changes=[{"field": "status"}],
        actions=[("update_objects", {"target": "items", "values": quantity})],
    )
    log = [("log_message", {"message": "{{ instance.quantity }}"})]
    create_rule(model=OrderItem, changes=[{"field": "quantity"}], actions=log)
    order_with_items(*[(1, "1.00")] * 12)
    install(Order, OrderItem)
    Order.objects.update(status="paid")
    run_due()
    assert Execution.objects.count() == 5
    told = [one for event in Event.objects.all() for one in event.evaluations if one["outcome"] == "error"]
    assert "ROOT_BUDGET" in told[0]["detail"]


@pytest.mark.parametrize("in_transaction", [True, False])
def test_a_driver_that_takes_one_statement_at_a_time(
    order: Order, monkeypatch: pytest.MonkeyPatch, in_transaction: bool
) -> None:
    monkeypatch.setattr(type(database_of("default")), "sends_several", lambda self, using: False)
    ada = get_user_model().objects.create_user("ada")
    with acting_as(ada):
        if in_transaction:
            with transaction.atomic():
                Order.objects.update(status="paid")
        else:
            Order.objects.update(status="paid")
            assert Order.objects.create(order_number="new").pk
    run_due()
    assert {event.actor_name for event in Event.objects.all()} == {"ada"}


def test_a_wrapper_of_anothers_sees_the_statement_and_who_wrote_is_named(order: Order) -> None:
    seen: list[str] = []

    def wrapper(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        seen.append(sql)
        return execute(sql, params, many, context)

    ada = get_user_model().objects.create_user("ada")
    with acting_as(ada), connection.execute_wrapper(wrapper):
        assert Order.objects.update(status="paid") == 1
    assert any(sql.startswith("UPDATE") for sql in seen)
    run_due()
    assert Event.objects.get().actor_name == "ada"


def test_rules_that_are_read_in_a_block_of_anothers_outlast_it(install: Install) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    make_order()
    with connection.execute_wrapper(lambda execute, *given: execute(*given)):
        install(Order)
    assert connection.execute_wrappers == [writers._tell]
    several = database_of("default").sends_several("default")
    connection.execute_wrappers.clear()
    assert database_of("default").sends_several("default") == several


@pytest.mark.parametrize(
    "statement",
    [
        "/* a site's */ update shop_order",
        " \n-- a note\n UPDATE shop_order",
        "WITH one AS (SELECT 1) UPDATE shop_order",
        "UPDATE SHOP_Order",
    ],
)
def test_a_statement_is_known_however_it_is_written(order: Order, statement: str) -> None:
    if statement.startswith(("WITH", "UPDATE")) and connection.vendor == "mysql":
        pytest.skip("MariaDB updates no table after WITH, and may tell names in upper case apart.")
    ada = get_user_model().objects.create_user("ada")
    with acting_as(ada), connection.cursor() as cursor:
        cursor.execute(f"{statement} SET status = 'paid'")
    run_due()
    assert Event.objects.get().actor_name == "ada"


@pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own.")
def test_statements_that_must_stand_alone_are_left_alone(order: Order) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX CONCURRENTLY zoo_of_status ON shop_order (status)")
        cursor.execute("DROP INDEX CONCURRENTLY zoo_of_status")
        cursor.execute("VACUUM shop_order")


def test_many_rows_of_executemany_name_who_wrote_them(order: Order) -> None:
    ada = get_user_model().objects.create_user("ada")
    with acting_as(ada), transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany("UPDATE shop_order SET status = %s WHERE id = %s", [("a%", order.pk), ("b", order.pk)])
    run_due()
    assert [(event.actor_name, event.context["instance"]["status"]) for event in Event.objects.order_by("id")] == [
        ("ada", "a%"),
        ("ada", "b"),
    ]


def test_a_user_that_cannot_be_read_keeps_nobody_from_writing(order: Order) -> None:
    class Broken:
        is_authenticated = True
        pk = 1

        def get_username(self) -> str:
            raise RuntimeError("no name")

    with acting_as(Broken()):
        order.status = "paid"
        order.save()
    run_due()
    assert Event.objects.get().actor_name == "<RuntimeError>"


def test_writers_to_tables_that_take_rows_along_are_named(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = SimpleNamespace(on_delete_sql=lambda editor: "CASCADE")
    monkeypatch.setattr(OrderItem._meta.get_field("order").remote_field, "on_delete", rule)
    create_rule(model=OrderItem, signals=["post_delete"], actions=[("log_message", {"message": "x"})])
    for capture in installing.captures_for(OrderItem):
        installing.install(capture, grace=0)
    refresh()
    assert writers._listening is not None
    assert writers._listening.table_in('DELETE FROM "shop_order" WHERE')
    assert not writers._listening.table_in('DELETE FROM "shop_order_items" WHERE')


def test_a_model_of_another_database_is_refused(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = router.db_for_write
    monkeypatch.setattr(
        router, "db_for_write", lambda model, **hints: "elsewhere" if model is Order else usual(model, **hints)
    )
    with pytest.raises(CommandError, match='stored in the database "elsewhere"'):
        call_command("rules_triggers", "install", "shop.order")


def test_rules_on_a_parent_hear_its_children_a_childs_its_own_table(install: Install) -> None:
    log = [("log_message", {"message": "x"})]
    create_rule(slug="parent", model=Animal, changes=[{"field": "name"}], actions=log)
    create_rule(slug="child", model=Dog, changes=[{"field": "breed"}], actions=log)
    create_rule(slug="inherited", model=Dog, changes=[{"field": "name"}], actions=log)
    dog = Dog._default_manager.create(name="a", breed="b")
    install(Animal, Dog)
    Dog._default_manager.update(name="c", breed="d")
    run_due()
    by_triggers = {(event.model, event.object_pk) for event in Event.objects.all()}
    assert by_triggers == {("zoo.animal", str(dog.pk)), ("zoo.dog", str(dog.pk))}
    dog.name = "e"
    dog.save(update_fields=["name"])
    run_due()
    assert sorted(Execution.objects.values_list("rule_slug", flat=True)) == ["child", "inherited", "parent", "parent"]


def test_a_migration_that_takes_our_tables_away_is_let_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InstalledTrigger._meta, "db_table", "rules_engine_gone")
    installing.after_migration("default")


@pytest.mark.skipif(connection.vendor != "mysql", reason="MariaDB's own.")
def test_rows_that_are_loaded_from_a_file_are_told(order: Order, tmp_path: Any) -> None:
    path = tmp_path / "rows.txt"
    path.write_text("l1\tpaid\t0\t0\t0\t0\nl2\tpaid\t0\t0\t0\t0\n")
    for folder in (tmp_path, *tmp_path.parents[:2]):  # pytest's own, which the server may not enter
        folder.chmod(0o755)
    columns = "(order_number, status, subtotal, shipping_cost, discount, total)"
    with connection.cursor() as cursor:
        cursor.execute(f"LOAD DATA INFILE '{path}' INTO TABLE shop_order {columns}")
    assert CapturedChange.objects.count() == 2
