"""Why a rule on time does not act on an object, told by each kind of schedule without its page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from project.shop.models import Order
from rules_engine.models import Event, Rule
from rules_engine.test.timed.not_due import (
    why_not_due,
    why_not_often,
    why_not_selected,
    why_not_silent,
    why_not_waiting,
)
from rules_engine.testing import create_rule, run_due
from tests.factories import make_order

pytestmark = pytest.mark.django_db(transaction=True)
LOG = ("log_message", {"message": "Order {{ instance.pk }}"})
DAILY = {"kind": "every", "each": "day", "at": "08:00", "zone": "UTC", "of": "each"}
STAYS = {"kind": "stays", "count": 3, "unit": "days"}
OFTEN = {"kind": "often", "times": 3, "count": 10, "unit": "minutes"}
SILENT = {"kind": "silent", "count": 26, "unit": "hours"}
DATE = {"kind": "date", "path": "instance.status_changed_at", "count": 2, "unit": "days", "direction": "after"}
PAID = {"==": [{"var": "instance.status"}, "paid"]}
NOW = datetime(2031, 5, 6, 7, 0, tzinfo=UTC)
ASKED = {"stays": why_not_waiting, "every": why_not_selected, "often": why_not_often, "silent": why_not_silent}


def timed(schedule: dict[str, Any], **fields: Any) -> Rule:
    signals = ["post_save"] if schedule["kind"] in ("often", "silent", "stays") else []
    return create_rule(Order, **{"slug": "timed", "signals": signals, "schedule": schedule, "actions": [LOG], **fields})


def reason(rule: Rule, order: Order, now: datetime | None = None) -> str:
    kind = (rule.schedule or {})["kind"]
    return str(ASKED[kind](rule, order, now or timezone.now()).reason)


@pytest.mark.parametrize("schedule", [DAILY, STAYS, OFTEN, SILENT], ids=lambda schedule: schedule["kind"])
def test_a_rule_that_is_off_acts_on_nothing(schedule: dict[str, Any]) -> None:
    assert reason(timed(schedule, enabled=False, condition=PAID), make_order()) == "off"


# Every


def test_what_is_selected_when_the_time_comes_is_told_with_the_time() -> None:
    rule, order = timed(DAILY, condition=PAID), make_order(status="paid")
    said = why_not_selected(rule, order, NOW)
    assert (said.reason, said.due_at) == ("coming", NOW.replace(hour=8))
    order.status = "draft"
    said = why_not_selected(rule, order, NOW)
    assert (said.reason, said.due_at, said.stop is not None) == ("not_then", NOW.replace(hour=8), True)


def test_a_condition_of_the_time_is_asked_for_the_time_that_comes() -> None:
    late = {">": [{"now": []}, {"datetime": "2031-05-06T07:30:00Z"}]}
    assert reason(timed(DAILY, condition={"and": [PAID, late]}), make_order(status="paid"), NOW) == "coming"


def test_a_condition_that_cannot_be_evaluated_is_told_with_why() -> None:
    broken = {">": [{"+": [{"var": "instance.order_number"}, 1]}, 1]}
    said = why_not_selected(timed(DAILY, condition=broken), make_order(order_number="A-1"), NOW)
    assert said.reason == "error"
    assert said.detail


# Stays


def test_what_never_began_to_wait_is_told_by_what_keeps_it() -> None:
    rule, order = timed(STAYS, condition=PAID), make_order(status="draft")
    said = why_not_waiting(rule, order, timezone.now())
    assert said.reason == "not_waiting"
    assert said.stop is not None


def test_what_has_begun_to_wait_is_told_with_its_end() -> None:
    rule, order = timed(STAYS, condition=PAID), make_order(status="draft")
    order.status = "paid"
    order.save()
    run_due()
    said = why_not_waiting(rule, order, timezone.now())
    assert said.reason == "coming"
    assert said.due_at is not None
    assert timedelta(days=2) < said.due_at - timezone.now() <= timedelta(days=3)
    assert reason(rule, order, said.due_at) == "now"


# Often


def test_it_is_counted_how_many_have_come() -> None:
    rule = timed(OFTEN, operations=["create"])
    orders = [make_order(), make_order()]
    run_due()
    said = why_not_often(rule, orders[0], timezone.now())
    assert said.reason == "counted"
    assert said.counted is not None
    assert (said.counted.count, said.counted.times) == (2, 3)
    assert said.event_id is None


def test_what_the_rule_does_not_count_is_told_by_what_stops_it() -> None:
    said = why_not_often(timed(OFTEN, condition=PAID), make_order(status="draft"), timezone.now())
    assert said.reason == "not_counted"
    assert said.stop is not None


@pytest.mark.parametrize("schedule", [OFTEN, SILENT], ids=lambda schedule: schedule["kind"])
def test_what_is_counted_by_a_change_no_object_tells(schedule: dict[str, Any]) -> None:
    rule = timed({**schedule, "by": "{{ old.status }}"}, operations=["update"])
    assert reason(rule, make_order()) == "apart"


# Silent


def test_of_what_never_came_no_silence_began() -> None:
    order = make_order()
    assert reason(timed(SILENT), order) == "not_begun"


def test_since_when_nothing_came_is_told_with_the_end_of_it() -> None:
    rule, order = timed(SILENT), make_order()
    run_due()
    said = why_not_silent(rule, order, timezone.now())
    assert said.reason == "silent"
    assert said.due_at is not None
    assert said.at is not None
    assert said.due_at - said.at == timedelta(hours=26)
    assert reason(rule, order, said.due_at) == "now"


# Date


def dated(status_changed_at: datetime | None, now: datetime, **fields: Any) -> Any:
    rule = timed(DATE, **fields)
    order = make_order(status="paid", status_changed_at=status_changed_at)
    return why_not_due(rule, order, now, "default")


@pytest.mark.parametrize(
    ("at", "days", "fields", "reason"),
    [
        (None, 0, {}, "empty"),
        (NOW, 0, {"enabled": False}, "off"),
        (NOW, 1, {}, "coming"),
        (NOW, 1, {"condition": {"==": [{"var": "instance.status"}, "draft"]}}, "not_then"),
        (NOW, 2, {"condition": {"==": [{"var": "instance.status"}, "draft"]}}, "not_now"),
        (NOW, 2, {}, "now"),
        (NOW, 400, {}, "late"),
    ],
    ids=str,
)
def test_a_date_is_told_with_what_it_waits_for(at: Any, days: int, fields: dict[str, Any], reason: str) -> None:
    said = dated(at, NOW + timedelta(days=days), **fields)
    assert said.reason == reason
    assert (said.due_at is None) == (reason == "empty")
    assert not Event.objects.filter(signal="due").exists()
