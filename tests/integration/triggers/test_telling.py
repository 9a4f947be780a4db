"""Workers that tell rules of captured changes: in few statements, in order, once, and past what goes wrong."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import OperationalError, connection, models, transaction
from django.db.models.signals import post_migrate
from django.test.utils import CaptureQueriesContext
from psycopg.errors import SerializationFailure

from project.clinic.models import Appointment, Doctor
from project.shop.models import Order, OrderItem
from rules_engine.capture import receiver
from rules_engine.databases.triggers import triggers_of
from rules_engine.live.triggers import installing
from rules_engine.models import CapturedChange, Event, Execution, InstalledTrigger
from rules_engine.monitoring.backlog import waiting
from rules_engine.testing import create_rule, run_due
from rules_engine.work import retention, tasks
from rules_engine.work.captures import taking
from rules_engine.work.erasure.of_object import erase
from tests.factories import make_appointment, make_doctor, make_order
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)
Install = Callable[..., None]
LOG = [("log_message", {"message": "{{ instance.status }}"})]


@pytest.fixture
def order(install: Install) -> Order:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    order = make_order()
    install(Order)
    return order


def statements(rows: int) -> int:
    """Tell so many changes of appointments; returns the statements that takes, without those around each reading."""
    keys = list(Appointment.objects.order_by("pk").values_list("pk", flat=True)[:rows])
    Appointment.objects.filter(pk__in=keys).update(notes=f"for {rows}")
    with CaptureQueriesContext(connection) as queries:
        assert taking.tell_due() == rows
    return sum("SAVEPOINT" not in query["sql"] for query in queries.captured_queries)


def test_related_rows_of_all_rows_are_read_by_one_query(install: Install) -> None:
    text = "{{ instance.doctor.email }} {{ instance.patient.name }}"
    create_rule(model=Appointment, changes=[{"field": "notes"}], actions=[("log_message", {"message": text})])
    for number in range(12):
        make_appointment(doctor=make_doctor(email=f"d{number}@example.org"))
    install(Appointment)
    few, many = statements(3), statements(12)
    assert many <= few
    run_due()
    assert len({row.summary for row in Execution.objects.all() if "@example.org Tom" in row.summary}) == 12


def test_a_related_object_that_is_gone_by_then_is_read_as_none(install: Install) -> None:
    create_rule(
        model=Order,
        changes=[{"field": "status"}],
        condition={"==": [{"var": "instance.customer.username"}, None]},
        actions=LOG,
    )
    make_order()
    make_order()
    install(Order)
    Order.objects.update(status="paid")
    run_due()
    assert Event.objects.count() == 2


def test_what_many_transactions_did_to_one_object_is_told_in_order(order: Order) -> None:
    for status in ("pending", "paid", "shipped", "delivered"):
        Order.objects.update(status=status)
    run_due()
    told = [event.context["changes"]["status"]["new"] for event in Event.objects.order_by("id")]
    assert told == ["pending", "paid", "shipped", "delivered"]


def test_more_rows_than_a_batch_are_told_each_once(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking, "BATCH", 7)
    Order.objects.bulk_create([Order(order_number=f"n{number}") for number in range(30)])
    Order.objects.update(status="paid")
    run_due()
    keys = [event.object_pk for event in Event.objects.filter(operation="update")]
    assert sorted(keys) == sorted(str(pk) for pk in Order.objects.values_list("pk", flat=True))


def test_several_workers_tell_each_change_once(order: Order) -> None:
    Order.objects.bulk_create([Order(order_number=f"n{number}") for number in range(60)])
    Order.objects.update(status="paid")

    def work(_: int) -> None:
        for _ in range(20):
            taking.tell_due()

    run_together(3, work)
    taking.tell_due()
    assert not CapturedChange.objects.exists()
    keys = [event.object_pk for event in Event.objects.filter(operation="update")]
    assert len(keys) == len(set(keys)) == 61


def test_what_fails_in_the_middle_leaves_no_trace_and_is_told_later(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    Order.objects.update(status="paid")
    tell = receiver.tell

    def told_and_killed(*args: Any) -> None:
        tell(*args)
        raise RuntimeError("killed")

    monkeypatch.setattr(receiver, "tell", told_and_killed)
    taking.tell_due()
    assert Event.objects.count() == 0
    row = CapturedChange.objects.get()
    assert row.failures == 1
    assert not taking.is_any_due()
    monkeypatch.undo()
    CapturedChange.objects.update(retry_at=None)
    run_due()
    assert Event.objects.count() == 1


def test_one_row_that_cannot_be_told_holds_up_no_others(order: Order) -> None:
    orders = [make_order() for _ in range(9)]
    Order.objects.update(status="paid")
    bad = CapturedChange.objects.filter(operation="update").order_by("id")[4]
    CapturedChange.objects.filter(pk=bad.pk).update(new='{"id": "rubbish"')
    run_due()
    assert [row.pk for row in CapturedChange.objects.all()] == [bad.pk]
    assert Event.objects.filter(operation="update").count() == len(orders)


def test_what_waits_of_an_object_keeps_its_order_behind_a_row_put_back(order: Order) -> None:
    other = make_order()
    CapturedChange.objects.all().delete()
    for status in ("pending", "paid", "shipped"):
        Order.objects.update(status=status)
    first = CapturedChange.objects.filter(object_pk=str(order.pk)).order_by("id")[0]
    good = first.new
    CapturedChange.objects.filter(pk=first.pk).update(new='{"id": "rubbish"')
    Event.objects.all().delete()
    run_due()
    assert {event.object_pk for event in Event.objects.all()} == {str(other.pk)}
    waiting_rows = list(CapturedChange.objects.order_by("id"))
    assert [row.failures for row in waiting_rows] == [1, 0, 0]
    assert len({row.retry_at for row in waiting_rows}) == 1
    CapturedChange.objects.filter(pk=first.pk).update(new=good)
    CapturedChange.objects.update(retry_at=None)
    run_due()
    told = [e.context["changes"]["status"]["new"] for e in Event.objects.filter(object_pk=str(order.pk)).order_by("id")]
    assert told == ["pending", "paid", "shipped"]


def test_where_another_transaction_is_in_the_way_nothing_is_put_back(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    Order.objects.update(status="paid")
    tell, calls = receiver.tell, []

    def rival(*args: Any) -> None:
        calls.append(args)
        raise rivalry()

    monkeypatch.setattr(receiver, "tell", rival)
    assert taking.tell_due() == 0
    assert len(calls) == 1
    assert CapturedChange.objects.get().failures == 0
    monkeypatch.setattr(receiver, "tell", tell)
    assert taking.tell_due() == 1


def rivalry() -> OperationalError:
    error = OperationalError("database is locked")
    if connection.vendor == "mysql":
        error.args = (1213, "Deadlock found when trying to get lock; try restarting transaction")
    if connection.vendor == "postgresql":
        error.__cause__ = SerializationFailure("could not serialize access due to concurrent update")
    return error


@pytest.mark.skipif(connection.vendor == "sqlite", reason="It has no locks of rows.")
def test_what_a_saver_has_not_committed_is_not_waited_for(order: Order) -> None:
    other = make_order()
    CapturedChange.objects.all().delete()
    Order.objects.filter(pk=other.pk).update(status="paid")
    is_written, is_told, told = threading.Event(), threading.Event(), list[int]()

    def work(number: int) -> None:
        if number:
            assert is_written.wait(60)
            told.append(taking.tell_due())
            is_told.set()
            return
        with transaction.atomic():
            Order.objects.filter(pk=order.pk).update(status="paid")
            is_written.set()
            assert is_told.wait(60)

    run_together(2, work)
    assert told == [1]
    assert taking.tell_due() == 1


def test_a_sweep_finds_what_another_program_wrote(order: Order) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_order SET status = 'paid'")
    assert tasks.due_queues() == ["rules"]
    run_due()
    assert tasks.due_queues() == []


def test_a_worker_is_woken_by_the_commit_and_not_before(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    monkeypatch.setattr("rules_engine.outbox.hints.notify", woken.append)
    with transaction.atomic():
        Order.objects.update(status="paid")
        Order.objects.update(status="shipped")
        assert woken == []
    assert woken == ["rules"]
    Order.objects.update(status="delivered")
    assert woken == ["rules", "rules"]
    list(Order.objects.all())
    Doctor.objects.update(email="a@example.org")
    assert len(woken) == 2


def test_old_ones_are_forgotten_and_those_of_an_erased_object(order: Order, settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETENTION_DAYS": 30}
    other = make_order()
    Order.objects.update(status="paid")
    count = CapturedChange.objects.count()
    assert erase("shop.order", str(other.pk))["captured changes"] == 2
    assert CapturedChange.objects.count() == count - 2
    CapturedChange.objects.update(captured_at="2020-01-01T00:00:00Z")
    assert retention.prune()["captured changes"] == count - 2


def test_the_overview_counts_them(order: Order) -> None:
    Order.objects.update(status="paid")
    [told] = [found for found in waiting() if found.queue == "*captured"]
    assert (told.due, told.oldest) == (1, CapturedChange.objects.get().captured_at)


def drop_triggers() -> None:
    triggers = triggers_of("default")
    assert triggers is not None
    triggers.run(triggers.removal("shop_order", InstalledTrigger.objects.get().names, "default"), "default")


def test_check_names_those_that_are_missing(order: Order) -> None:
    def found() -> list[str]:
        return [message.msg for message in run_checks() if message.id == "rules_engine.W021"]

    assert found() == []
    drop_triggers()
    [message] = found()
    assert message.startswith("Database triggers of shop.order: missing")


def test_no_warning_of_cascades_that_the_triggers_see(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[str]:
        return [message.msg for message in run_checks() if message.id == "rules_engine.W015"]

    way = object()
    monkeypatch.setattr(models, "DB_CASCADE", way, raising=False)
    monkeypatch.setattr(OrderItem._meta.get_field("order").remote_field, "on_delete", way)
    create_rule(model=OrderItem, signals=["post_delete"], actions=[("log_message", {"message": "gone"})])
    assert len(found()) == 1
    install(OrderItem)
    # The foreign keys of MariaDB and MySQL fire no triggers.
    assert len(found()) == (1 if connection.vendor == "mysql" else 0)
    create_rule(model=OrderItem, signals=["pre_delete"], actions=[("log_message", {"message": "going"})])
    assert len(found()) == (2 if connection.vendor == "mysql" else 1), "No trigger tells what is before a delete."


def test_a_migration_makes_those_anew_that_it_has_taken_along(order: Order) -> None:
    drop_triggers()
    call_command("migrate", "shop", stdout=StringIO())
    Order.objects.update(status="paid")
    assert CapturedChange.objects.count() == 1
    assert post_migrate.has_listeners()


@pytest.mark.skipif("connection.vendor == 'sqlite'", reason="SQLite takes no column away that a trigger reads.")
def test_a_column_that_a_migration_takes_away_is_captured_no_more(order: Order) -> None:
    with connection.schema_editor() as editor:
        editor.execute("ALTER TABLE shop_order ADD COLUMN doomed integer")
    try:
        row = InstalledTrigger.objects.get()
        capture = row.coverage.now
        assert capture is not None
        installing.install(replace(capture, new=(*capture.new, "doomed")), grace=0)
        with connection.schema_editor() as editor:
            editor.execute("ALTER TABLE shop_order DROP COLUMN doomed")
    finally:
        installing.after_migration("default")
    Order.objects.update(status="paid")
    assert CapturedChange.objects.count() == 1
