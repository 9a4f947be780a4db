"""Recordings: what is kept of a model's events while one goes on, and what everything else costs meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models.signals import post_save, pre_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from project.clinic.models import Doctor
from project.shop.models import Order, OrderItem, Product
from rules_engine.capture import outcome, receiver
from rules_engine.live import cache
from rules_engine.models import Event, Execution, Recording, Rule, RuleError
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_order
from tests.faults.processes import python, said

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.order_number }}"})]
PAID = {"==": [{"var": "instance.status"}, "paid"]}


def record(model: str = "shop.order", **until: Any) -> Recording:
    made = Recording.objects.create(model=model, until=timezone.now() + timedelta(**until or {"hours": 1}))
    refresh()
    return made


def statements(act: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        act()
    return [one["sql"] for one in captured.captured_queries]


def test_an_event_no_rule_matched_is_recorded_with_where_each_stopped() -> None:
    rule = create_rule(Order, condition=PAID, actions=LOG)
    record()
    made = make_order(order_number="A1", total=5)
    made.discount = 2
    made.save()
    created, updated = Event.objects.order_by("id")
    assert created.evaluations == [
        {
            "rule": rule.slug,
            "version": 1,
            "outcome": "not_matched",
            "gate": "condition",
            "detail": created.evaluations[0]["detail"],
        }
    ]
    assert updated.context["instance"]["order_number"] == "A1"
    assert updated.context["old"]["discount"] == "0.00"
    assert updated.context["changes"] == {"discount": {"old": "0.00", "new": "2.00"}}
    assert not Execution.objects.exists()


def test_related_rows_are_recorded_for_rules_that_are_off_as_well() -> None:
    create_rule(Order, condition={"some": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}, enabled=False)
    record()
    made = make_order()
    OrderItem.objects.create(order=made, product=Product.objects.create(name="p", price=1), quantity=1, unit_price=1)
    made.save()
    event = Event.objects.order_by("id").last()
    assert event is not None
    assert [row["quantity"] for row in event.context["instance"]["items"]] == [1]


def test_a_matching_rule_acts_once_and_its_event_is_recorded_once() -> None:
    create_rule(Order, actions=LOG)
    record()
    make_order()
    assert Event.objects.count() == 1
    assert run_due() == 1


def test_a_delete_and_a_many_to_many_change_are_recorded_too() -> None:
    record()
    record("shop.product")
    made = make_order()
    made.delete()
    product = Product.objects.create(name="p", price=1)
    product.tags.create(name="t")
    assert list(Event.objects.order_by("id").values_list("signal", "operation")) == [
        ("post_save", "create"),
        ("post_delete", "delete"),
        ("post_save", "create"),
        ("m2m_changed", "add"),
    ]


def test_a_model_that_is_neither_watched_nor_recorded_costs_nothing() -> None:
    record("shop.product")
    assert not post_save.has_listeners(Order)
    assert len(statements(make_order)) == 1


def test_a_recording_that_is_over_records_nothing_and_costs_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    record(seconds=60)
    assert post_save.has_listeners(Order)
    later = timezone.now() - timedelta(seconds=1)
    with connection.cursor() as cursor:  # as if the minute had gone by: nothing announces that
        cursor.execute("UPDATE rules_engine_recording SET until = %s", [later])
    assert cache.refresh() is False
    now = cache.time.monotonic()
    monkeypatch.setattr(cache.time, "monotonic", lambda: now + 61)
    assert cache.refresh() is True
    assert not post_save.has_listeners(Order)
    assert not pre_save.has_listeners(Order)
    make_order()
    assert not Event.objects.exists()


def test_to_stop_a_recording_ends_it() -> None:
    record().delete()
    refresh()
    make_order()
    assert not Event.objects.exists()


def test_related_rows_that_cannot_be_read_keep_no_match_from_acting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from django.db import DatabaseError

    from rules_engine.context import subject

    create_rule(Order, condition={"==": [{"var": "instance.customer.username"}, "ada"]}, enabled=False)
    create_rule(Order, actions=LOG)
    record()
    read = subject.snapshot.read

    def failing(instance: Any, tree: Any, **more: Any) -> Any:
        if "customer" in tree:
            raise DatabaseError("no")
        return read(instance, tree, **more)

    monkeypatch.setattr(subject.snapshot, "read", failing)
    make_order()
    assert Order.objects.count() == 1
    assert run_due() == 1
    assert not RuleError.objects.exists()


#: Saves a doctor each time it is told to, once its watcher has seen what another process did.
OTHER_PROCESS = """
from django.db.models.signals import post_save
def save_once(is_recorded, slug):
    sys.stdin.readline()
    end = time.monotonic() + 30
    while post_save.has_listeners(Doctor) is not is_recorded:
        assert time.monotonic() < end, "The watcher saw nothing."
        time.sleep(0.01)
    doctor(slug)
    say(saved=slug)
say(listens=post_save.has_listeners(Doctor))
save_once(True, "recorded")
save_once(False, "not recorded")
"""


def test_a_recording_begins_and_ends_in_another_process_as_well(
    process_environment: dict[str, str],
) -> None:
    process = python(OTHER_PROCESS, process_environment)
    assert process.stdin is not None
    assert process.stdout is not None
    assert "false" in process.stdout.readline()
    made = Recording.objects.create(model="clinic.doctor", until=timezone.now() + timedelta(hours=1))
    process.stdin.write("\n")
    process.stdin.flush()
    assert "recorded" in process.stdout.readline()
    assert [one.context["instance"]["slug"] for one in Event.objects.all()] == ["recorded"]
    made.delete()
    process.stdin.write("\n")
    assert said(process) == [{"saved": "not recorded"}]
    assert Doctor.objects.count() == 2
    assert Event.objects.count() == 1


def test_a_rule_that_cannot_be_tried_says_so_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = create_rule(Order, slug="faulty", actions=LOG)
    create_rule(Order, slug="sound", actions=LOG)
    Rule.objects.filter(pk=faulty.pk).update(condition={"nonsense": [{"var": "instance.total"}]})
    record()
    for number in range(5):
        make_order(order_number=f"A{number}")
    assert Event.objects.count() == 5
    assert all(outcomes(event) == {"faulty": "error", "sound": "matched"} for event in Event.objects.all())
    assert [error.rule_slug for error in RuleError.objects.all()] == ["faulty"]
    assert len([one for one in caplog.messages if "could not be evaluated" in one]) == 1
    a_minute_on = timezone.now() + timedelta(seconds=outcome.TROUBLE_SECONDS)
    monkeypatch.setattr(receiver.timezone, "now", lambda: a_minute_on)
    make_order(order_number="later")
    assert RuleError.objects.count() == 2


def outcomes(event: Event) -> dict[str, str]:
    return {one["rule"]: one["outcome"] for one in event.evaluations}
