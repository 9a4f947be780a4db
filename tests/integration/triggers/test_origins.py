"""Who made a change that a trigger captured: the user, the request and the rule of the process, or the database's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.test import RequestFactory

from project.shop.models import Order, StatusHistory
from rules_engine import acting_as
from rules_engine.context.actor import in_request
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.factories import make_order

pytestmark = pytest.mark.django_db(transaction=True)
Install = Callable[..., None]
LOG = [("log_message", {"message": "{{ instance.status }}"})]


def actors() -> list[Any]:
    run_due()
    return [event.actor_name for event in Event.objects.order_by("id")]


@pytest.fixture
def order() -> Order:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    return make_order()


def test_each_of_those_who_write_in_one_transaction_is_named(install: Install, order: Order) -> None:
    ada, tom = (get_user_model().objects.create_user(name) for name in ("ada", "tom"))
    install(Order)
    with transaction.atomic():
        with acting_as(ada):
            Order.objects.update(status="pending")
            Order.objects.update(status="paid")
        with acting_as(tom):
            Order.objects.update(status="shipped")
        Order.objects.update(status="delivered")
    assert actors() == ["ada", "ada", "tom", ""]


def test_who_wrote_in_a_savepoint_that_was_undone_is_not_named_after_it(install: Install, order: Order) -> None:
    ada, tom = (get_user_model().objects.create_user(name) for name in ("ada", "tom"))
    install(Order)
    with acting_as(ada), transaction.atomic():
        Order.objects.update(status="pending")
        with pytest.raises(RuntimeError), transaction.atomic(), acting_as(tom):
            Order.objects.update(status="cancelled")
            raise RuntimeError
        Order.objects.update(status="paid")
    with acting_as(tom):
        Order.objects.update(status="shipped")
    assert actors() == ["ada", "ada", "tom"]


def test_rows_are_saved_while_others_of_them_are_read_yet(install: Install, order: Order) -> None:
    ada = get_user_model().objects.create_user("ada")
    for _ in range(3):
        make_order()
    install(Order)
    with acting_as(ada):
        for number, one in enumerate(Order.objects.order_by("pk").iterator(chunk_size=1)):
            one.status = ("pending", "paid", "shipped", "cancelled")[number]
            with transaction.atomic():  # each its own, as it is in a command
                one.save()
    with transaction.atomic(), acting_as(ada):
        for one in Order.objects.order_by("pk").iterator(chunk_size=1):
            one.status = "delivered"
            one.save()
    names = actors()
    assert len(names) >= 7
    assert set(names) == {"ada"}


def test_a_new_connection_says_who_writes_as_the_first_did(install: Install, order: Order) -> None:
    install(Order)
    with acting_as(get_user_model().objects.create_user("ada")):
        Order.objects.update(status="paid")
    if connection.vendor != "sqlite":  # a database in memory is gone with its connection
        connection.close()
    with acting_as(get_user_model().objects.create_user("tom")):
        Order.objects.update(status="shipped")
    assert actors() == ["ada", "tom"]


def test_a_rule_of_signals_and_one_of_triggers_name_the_same_request(install: Install, order: Order) -> None:
    create_rule(model=Order, signals=["pre_save"], changes=[{"field": "status"}], actions=LOG)
    request = RequestFactory().post("/pay/")
    request.user = get_user_model().objects.create_user("ada")
    install(Order)
    with in_request(request):
        order.status = "paid"
        order.save()
    run_due()
    before, after = Event.objects.order_by("signal").reverse()
    assert (before.signal, after.signal) == ("pre_save", "post_save")
    assert after.context["request"] == before.context["request"]
    assert after.context["actor"] == before.context["actor"]
    assert after.request_id == before.request_id != ""


def test_raw_sql_of_a_process_without_an_actor_names_nobody(install: Install, order: Order) -> None:
    install(Order)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_order SET status = 'paid'")
    assert actors() == [""]
    assert Event.objects.get().context["actor"] is None


def test_another_program_is_named_as_the_user_of_the_database(install: Install, order: Order) -> None:
    install(Order)
    connection.execute_wrappers.clear()  # as a program that is not Django
    Order.objects.update(status="paid")
    [name] = actors()
    assert name == ("" if connection.vendor == "sqlite" else database_user())


def test_where_triggers_fire_themselves_a_write_is_told_once(install: Install, order: Order) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("SQLite's own.")
    install(Order)
    try:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers = ON")
        with acting_as(get_user_model().objects.create_user("ada")):
            Order.objects.update(status="paid")
        connection.execute_wrappers.clear()  # a driver's own cursor, of which we do not hear
        Order.objects.update(status="shipped")
    finally:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA recursive_triggers = OFF")
    assert actors() == ["ada", ""]


def test_a_key_that_the_database_gave_is_that_of_the_row(install: Install) -> None:
    create_rule(model=Order, actions=LOG)
    install(Order)
    with acting_as(get_user_model().objects.create_user("ada")):
        first, second = make_order(), make_order()
    assert [order.order_number for order in Order.objects.filter(pk__in=(first.pk, second.pk)).order_by("pk")] == [
        first.order_number,
        second.order_number,
    ]
    run_due()
    assert list(Event.objects.order_by("id").values_list("object_pk", flat=True)) == [str(first.pk), str(second.pk)]


def database_user() -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT " + ("SUBSTRING_INDEX(USER(), '@', 1)" if connection.vendor == "mysql" else "session_user")
        )
        return str(cursor.fetchone()[0])


def test_what_an_action_writes_goes_on_with_the_chain(install: Install) -> None:
    history = [
        {"field": "order", "value": "{{ instance.pk }}"},
        {"field": "to_status", "value": "{{ instance.status }}"},
    ]
    first = create_rule(
        model=Order,
        changes=[{"field": "status"}],
        actions=[("create_object", {"model": "shop.statushistory", "values": history})],
    )
    create_rule(model=StatusHistory, actions=[("log_message", {"message": "noted"})])
    make_order()
    install(Order, StatusHistory)
    Order.objects.update(status="paid")
    run_due()
    of_order, of_history = Event.objects.order_by("id")
    assert of_history.model == "shop.statushistory"
    assert (of_history.root_id, of_history.depth) == (of_order.id, 1)
    assert of_history.cause_id == Execution.objects.get(rule_slug=first.slug).pk


def test_rules_that_set_off_each_other_come_to_an_end(install: Install, settings: Any) -> None:
    settings.RULES_ENGINE = {**getattr(settings, "RULES_ENGINE", {}), "MAX_DEPTH": 3}
    for status, following in (("paid", "shipped"), ("shipped", "paid")):
        create_rule(
            model=Order,
            changes=[{"field": "status", "to": status}],
            actions=[("update_objects", {"values": [{"field": "status", "value": following}]})],
        )
    make_order()
    install(Order)
    Order.objects.update(status="paid")
    for _ in range(10):
        run_due()
    assert [event.depth for event in Event.objects.order_by("id")] == [0, 1, 2, 3, 4]
    assert Execution.objects.count() == 4
