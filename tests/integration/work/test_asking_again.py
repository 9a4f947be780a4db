"""Actions that act later: only if the condition still holds for the object as it is then, and at a time of day."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from project.shop.models import Order
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Attempt, Event, Execution, HeldMatch, RuleAction
from rules_engine.outbox.releasing import release_due
from rules_engine.rules.schedules.later import NO_LONGER, OBJECT_GONE
from rules_engine.rules.schedules.time_of_day import next_moment, time_of
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work import sequence
from tests.factories import make_animals, make_order, order_with_items
from tests.integration.noting import note
from tests.statements import statements_of
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

UNPAID = {"==": [{"var": "instance.status"}, "pending"]}
AGAIN = {"asks_again": True, "delay": 7_200}


def on_order(*actions: Any, **fields: Any) -> None:
    create_rule(Order, **{"slug": "unpaid", "condition": UNPAID, **fields}, actions=actions)


def let_hours_pass() -> None:
    """As if what waits by the clock had waited long enough."""
    Execution.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=Now())


def ended() -> list[tuple[str, str]]:
    return list(Execution.objects.order_by("id").values_list("state", "error"))


# Only if it still holds


def test_what_still_holds_is_done_when_it_is_due(noted: list[str]) -> None:
    on_order(note("{{ instance.order_number }}", **AGAIN))
    make_order(order_number="A", status="pending")
    run_due()
    assert noted == []
    let_hours_pass()
    run_due()
    assert noted == ["A"]


def test_what_does_not_hold_any_more_is_cancelled_and_says_so(noted: list[str]) -> None:
    on_order(note("reminded", **AGAIN), note("told anyway", delay=7_200))
    order = make_order(status="pending")
    order.status = "paid"
    order.save()
    let_hours_pass()
    run_due()
    assert noted == ["told anyway"]
    assert ended() == [("cancelled", NO_LONGER), ("succeeded", "")]
    assert Attempt.objects.count() == 1, "No attempt was charged for it."


def test_an_object_that_is_gone_is_cancelled_and_says_so(noted: list[str]) -> None:
    on_order(note("reminded", **AGAIN))
    make_order(status="pending").delete()
    let_hours_pass()
    run_due()
    assert (noted, ended()) == ([], [("cancelled", OBJECT_GONE)])


def test_what_nobody_heard_of_counts_all_the_same(noted: list[str]) -> None:
    on_order(note("{{ instance.pk }}", **AGAIN))
    kept, paid = make_order(status="pending"), make_order(status="pending")
    Order.objects.filter(pk=paid.pk).update(status="paid")
    let_hours_pass()
    run_due()
    assert noted == [str(kept.pk)]


def test_what_holds_once_more_is_done(noted: list[str]) -> None:
    on_order(note("reminded", **AGAIN), changes=[{"field": "status"}])
    order = make_order(status="pending")
    for status in ("paid", "pending"):
        Order.objects.filter(pk=order.pk).update(status=status)
    let_hours_pass()
    run_due()
    assert noted == ["reminded"]


def test_related_rows_are_read_as_they_are_then(noted: list[str]) -> None:
    large = {">": [{"var": "instance.items__quantity__sum"}, 5]}
    on_order(note("{{ instance.pk }}", **AGAIN), condition=large, operations=["update"])
    first, second = order_with_items((6, "1")), order_with_items((6, "1"))
    first.save()
    second.save()
    first.items.all().delete()
    let_hours_pass()
    run_due()
    assert noted == [str(second.pk)]


def test_the_value_that_a_field_had_to_change_to_is_asked_for_too(noted: list[str]) -> None:
    on_order(note("{{ instance.pk }}", **AGAIN), condition=None, changes=[{"field": "status", "to": "shipped"}])
    lost, there = make_order(), make_order()
    for order in (lost, there):
        order.status = "shipped"
        order.save()
    Order.objects.filter(pk=lost.pk).update(status="cancelled")
    let_hours_pass()
    run_due()
    assert noted == [str(there.pk)]


def test_what_was_before_and_who_did_it_stay_as_they_were(noted: list[str]) -> None:
    was_draft = {"and": [{"==": [{"var": "old.status"}, "draft"]}, {"==": [{"var": "instance.status"}, "pending"]}]}
    on_order(note("reminded", **AGAIN), condition=was_draft, changes=[{"field": "status"}])
    order = make_order(status="draft")
    order.status = "pending"
    order.save()
    Order.objects.filter(pk=order.pk).update(order_number="touched")
    let_hours_pass()
    run_due()
    assert noted == ["reminded"]


def test_texts_go_on_telling_of_the_event(noted: list[str]) -> None:
    on_order(note("{{ instance.order_number }}", **AGAIN))
    order = make_order(status="pending", order_number="then")
    Order.objects.filter(pk=order.pk).update(order_number="now")
    let_hours_pass()
    run_due()
    assert noted == ["then"]


def test_it_is_asked_at_each_attempt(noted: list[str]) -> None:
    on_order(note("x", fails=True, passing=True, **AGAIN))
    order = make_order(status="pending")
    let_hours_pass()
    run_due()
    assert ended()[0][0] == "retryable"
    Order.objects.filter(pk=order.pk).update(status="paid")
    let_hours_pass()
    run_due()
    assert ended() == [("cancelled", NO_LONGER)]


def test_the_condition_is_that_of_the_version_which_matched(noted: list[str]) -> None:
    on_order(note("reminded", **AGAIN))
    make_order(status="pending")
    rule = RuleAction.objects.get().rule
    rule.condition = {"==": [{"var": "instance.status"}, "shipped"]}
    rule.save()
    refresh()
    let_hours_pass()
    run_due()
    assert noted == ["reminded"]


def test_one_that_cannot_be_asked_is_an_attempt_that_failed(noted: list[str]) -> None:
    matches_then_fails = {">": [{"var": "instance.order_number"}, 5]}
    on_order(note("reminded", **AGAIN), condition=matches_then_fails)
    order = make_order(order_number="7")
    Order.objects.filter(pk=order.pk).update(order_number="many")
    let_hours_pass()
    run_due()
    [(state, error)] = ended()
    assert (noted, state) == ([], "retryable")
    assert error
    assert Attempt.objects.get().outcome == "failed"


def test_actions_of_one_match_are_asked_about_once(noted: list[str]) -> None:
    on_order(*[note(str(number), **AGAIN) for number in range(3)])
    make_order(status="pending")
    make_order(status="pending")
    let_hours_pass()
    statements = statements_of(run_due)
    table = Order._meta.db_table
    assert len(noted) == 6
    assert sum(f"FROM {table}" in one.replace('"', "").replace("`", "") for one in statements) == 1


def test_what_asks_nothing_costs_a_worker_nothing(noted: list[str]) -> None:
    on_order(note("at once"))
    make_order(status="pending")
    assert not [one for one in statements_of(run_due) if "shop_order" in one or "ruleversion" in one]
    assert noted == ["at once"]


def test_a_match_that_was_held_asks_again_too(noted: list[str]) -> None:
    on_order(note("{{ instance.pk }}", asks_again=True), throttle_count=9, throttle_seconds=60)
    kept, paid = make_order(status="pending"), make_order(status="pending")
    Order.objects.filter(pk=paid.pk).update(status="paid")
    run_due()
    assert noted == [str(kept.pk)]
    assert sorted(state for state, _error in ended()) == ["cancelled", "succeeded"]


def test_what_comes_for_each_of_some_rows_asks_again(noted: list[str]) -> None:
    items = {"for_each": "instance.items", "asks_again": True}
    on_order(note("{{ each.quantity }}", **items), condition={"!=": [{"var": "instance.status"}, "paid"]})
    order = order_with_items((1, "1"), (2, "1"))
    order.save()
    release_due()
    Order.objects.filter(pk=order.pk).update(status="paid")
    run_due()
    assert noted == []
    assert set(ended()) == {("cancelled", NO_LONGER)}


def test_what_is_not_done_stops_those_after_it(noted: list[str]) -> None:
    on_order(note("first", on_failure="stop", **AGAIN), note("second"))
    order = make_order(status="pending")
    Order.objects.filter(pk=order.pk).update(status="paid")
    let_hours_pass()
    run_due()
    assert noted == []
    assert [state for state, _error in ended()] == ["cancelled", "cancelled"]


# Wait until a time of day


def due_and_written() -> list[tuple[Any, Any]]:
    return list(Execution.objects.order_by("id").values_list("next_attempt_at", "created_at"))


@pytest.mark.parametrize(("delay", "zone"), [(0, "Europe/Berlin"), (7_200, "Asia/Kathmandu"), (86_400, "")])
def test_an_action_waits_for_the_next_such_time_of_day(delay: int, zone: str, settings: Any) -> None:
    settings.TIME_ZONE = "America/New_York"
    on_order(note("x", at="18:30", zone=zone, delay=delay))
    make_order(status="pending")
    [(due, written)] = due_and_written()
    place, at = ZoneInfo(zone or "America/New_York"), time_of("18:30")
    assert at is not None
    assert due == next_moment(written + timedelta(seconds=delay), at, place)
    assert due.astimezone(place).strftime("%H:%M") == "18:30"
    assert run_due() == 0


def test_several_times_and_delays_are_each_their_own() -> None:
    on_order(note("a", at="06:00", zone="UTC"), note("b", delay=60), note("c", at="23:00", zone="UTC"), note("d"))
    make_order(status="pending")
    [(first, _), (second, written), (third, _), (fourth, _)] = due_and_written()
    assert (first.hour, third.hour) == (6, 23)
    assert timedelta(seconds=55) < second - written < timedelta(seconds=65)
    assert abs(fourth - written) < timedelta(seconds=5)


def test_nothing_of_it_is_left_by_a_save_that_is_undone() -> None:
    on_order(note("x", at="18:00", zone="UTC"))
    with transaction.atomic():
        make_order(status="pending")
        transaction.set_rollback(True)
    assert not Execution.objects.exists()
    assert not Event.objects.exists()


def test_an_action_after_another_waits_from_that_ones_end(noted: list[str]) -> None:
    on_order(note("first", on_failure="stop"), note("second", at="18:00", zone="UTC"))
    make_order(status="pending")
    run_due()
    assert noted == ["first"]
    waiting = Execution.objects.get(state="pending")
    assert waiting.next_attempt_at is not None
    assert (waiting.next_attempt_at.hour, waiting.next_attempt_at > timezone.now()) == (18, True)
    assert sequence.settle_forgotten() == 0
    let_hours_pass()
    run_due()
    assert noted == ["first", "second"]


def test_a_held_match_waits_for_the_time_once_it_is_released() -> None:
    on_order(note("x", at="18:00", zone="UTC", asks_again=True), coalesce_seconds=60)
    make_order(status="pending")
    HeldMatch.objects.update(due_at=Now())
    release_due()
    execution = Execution.objects.get()
    assert execution.next_attempt_at is not None
    assert execution.next_attempt_at.hour == 18
    assert execution.given is not None
    assert execution.given["asks_again"]
    assert execution.given["context"]["held"]["count"] == 0


def test_a_held_match_of_the_last_release_is_released_as_ever(noted: list[str]) -> None:
    on_order(note("x"), coalesce_seconds=60)
    make_order(status="pending")
    match = HeldMatch.objects.get()
    assert "later" not in match.actions[0]
    HeldMatch.objects.update(due_at=seconds_from_now(-1), waits_since=F("created_at"))
    run_due()
    assert noted == ["x"]


def test_a_save_pays_for_a_time_of_day_only_where_it_is_asked_for() -> None:
    create_rule(Animal, actions=[note("x")])
    make_animals("warm")
    plain = len(statements_of(lambda: make_animals("a")))
    RuleAction.objects.update(asks_again=True)
    refresh()
    assert len(statements_of(lambda: make_animals("b"))) == plain
    RuleAction.objects.update(at="18:00", zone="UTC")
    refresh()
    make_animals("c")
    assert len(statements_of(lambda: make_animals("d"))) <= plain + 4, (
        "One reads when it would be due, one puts it off."
    )
