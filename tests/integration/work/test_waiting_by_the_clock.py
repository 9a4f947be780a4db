"""Rules that wait by the clock: what stays so for some time, and what does not happen for some time."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from project.shop.models import Order
from rules_engine.databases import database_of
from rules_engine.errors import InvalidRule
from rules_engine.models import Armed, Event, Execution, Pause, Rule, RuleError, Run, Schedule
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work.erasure.of_object import erase
from rules_engine.work.schedules import waiting
from rules_engine.work.schedules.waiting import folded
from tests.factories import make_animals, make_order, order_with_items
from tests.integration.noting import note
from tests.statements import statements_of, trips_of
from tests.threads import run_together
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

DAYS = {"kind": "stays", "count": 3, "unit": "days"}
HOURS = {"kind": "silent", "count": 26, "unit": "hours"}
UNPAID = {"==": [{"var": "instance.status"}, "pending"]}
NUMBER = note("{{ instance.order_number }}")


def unpaid(*actions: Any, **fields: Any) -> Rule:
    made = create_rule(
        Order, **{"slug": "unpaid", "schedule": DAYS, "condition": UNPAID, **fields}, actions=actions or [NUMBER]
    )
    run_due()
    return made


def silent(*actions: Any, **fields: Any) -> Rule:
    return create_rule(Animal, **{"slug": "silent", "schedule": HOURS, **fields}, actions=actions or [note("silence")])


def after(**span: float) -> int:
    """Have workers do what is due by then, as if so much time had passed."""
    return run_due(now=timezone.now() + timedelta(**span))


def set_status(order: Order, status: str) -> None:
    order.status = status
    order.save()


def states() -> list[str]:
    return sorted(Armed.objects.values_list("state", flat=True))


# Stays


def test_what_has_stayed_so_for_so_long_is_told_once(noted: list[str]) -> None:
    unpaid()
    make_order(order_number="A", status="pending")
    after(days=2.9)
    assert noted == []
    after(days=3.1)
    assert noted == ["A"]
    after(days=20)
    assert (noted, states()) == (["A"], ["done"])


def test_what_is_so_no_more_is_not_told(noted: list[str]) -> None:
    unpaid()
    order = make_order(status="pending")
    set_status(order, "paid")
    after(days=4)
    assert (noted, states()) == ([], [])


def test_it_begins_anew_when_it_was_not_so_in_between(noted: list[str]) -> None:
    unpaid()
    order = make_order(order_number="A", status="pending")
    run_due()
    Armed.objects.update(created_at=F("created_at") - timedelta(days=2), due_at=F("due_at") - timedelta(days=2))
    set_status(order, "paid")
    set_status(order, "pending")
    after(days=2)
    assert noted == []
    after(days=3.1)
    assert noted == ["A"]


def test_saves_while_it_stays_so_do_not_put_it_off(noted: list[str]) -> None:
    unpaid()
    order = make_order(order_number="A", status="pending")
    run_due()
    Armed.objects.update(created_at=F("created_at") - timedelta(days=2), due_at=F("due_at") - timedelta(days=2))
    for total in range(3):
        order.total = total
        order.save()
    assert Armed.objects.count() == 1
    after(days=1.1)
    assert noted == ["A"]


def test_it_acts_again_when_it_was_not_so_in_between(noted: list[str]) -> None:
    unpaid()
    order = make_order(order_number="A", status="pending")
    after(days=4)
    order.save()
    after(days=8)
    assert noted == ["A"]
    set_status(order, "paid")
    set_status(order, "pending")
    after(days=4)
    assert noted == ["A", "A"]


def test_a_change_that_nobody_heard_of_counts_when_it_is_due(noted: list[str]) -> None:
    unpaid()
    make_order(status="pending")
    Order.objects.update(status="paid")
    after(days=4)
    assert (noted, states()) == ([], [])


def test_an_object_that_is_gone_is_not_told(noted: list[str]) -> None:
    unpaid()
    make_order(status="pending").delete()
    after(days=4)
    assert (noted, states()) == ([], [])


def test_a_save_that_is_undone_begins_and_ends_nothing(noted: list[str]) -> None:
    unpaid()
    kept = make_order(order_number="A", status="pending")
    with transaction.atomic():
        make_order(order_number="B", status="pending")
        set_status(kept, "paid")
        transaction.set_rollback(True)
    after(days=4)
    assert noted == ["A"]


def test_what_is_told_is_the_object_as_it_is_then(noted: list[str]) -> None:
    unpaid(note("{{ instance.order_number }} {{ due.at|date:'Y-m-d' }} {{ instance.items|length }}"))
    order = order_with_items((1, "1"), status="pending", order_number="A")
    since = Armed.objects.get().created_at
    Order.objects.filter(pk=order.pk).update(order_number="B")
    after(days=4)
    assert noted == [f"B {(since + timedelta(days=3)):%Y-%m-%d} 1"]
    event = Event.objects.get(signal="due")
    assert (event.operation, event.object_pk) == ("", str(order.pk))
    assert Armed.objects.get().event_id == event.pk


def test_changes_to_a_value_arm_and_another_value_disarms(noted: list[str]) -> None:
    unpaid(condition=None, changes=[{"field": "status", "to": "shipped"}])
    left, there = make_order(order_number="A"), make_order(order_number="B")
    for order in (left, there):
        set_status(order, "shipped")
    left.save()
    set_status(left, "delivered")
    after(days=4)
    assert noted == ["B"]


def test_rows_of_a_relation_may_be_what_stays(noted: list[str]) -> None:
    unpaid(condition={">": [{"var": "instance.items__count"}, 1]})
    order_with_items((1, "1"), (2, "1"), order_number="A").save()
    order_with_items((1, "1"), order_number="B").save()
    after(days=4)
    assert noted == ["A"]


def test_limits_and_delays_go_with_it(noted: list[str]) -> None:
    unpaid(throttle_count=1, throttle_seconds=3_600)
    make_order(order_number="A", status="pending")
    make_order(order_number="B", status="pending")
    after(days=4)
    assert len(noted) == 1


def test_no_event_is_recorded_before_it_is_due() -> None:
    unpaid()
    make_order(status="pending")
    assert not Event.objects.exists()
    assert not Execution.objects.exists()


def test_a_condition_that_fails_is_told_and_asked_again_later(noted: list[str]) -> None:
    unpaid(condition={">": [{"var": "instance.order_number"}, 5]})
    order = make_order(order_number="7")
    Order.objects.update(order_number="many")
    after(days=4)
    assert (noted, states()) == ([], ["waiting"])
    assert RuleError.objects.filter(rule_slug="unpaid").exists()
    Order.objects.filter(pk=order.pk).update(order_number="8")
    after(days=5)
    assert noted == ["8"]


@pytest.mark.parametrize("times", [1, 3])
def test_twenty_savers_at_once_wait_once(noted: list[str], times: int) -> None:
    unpaid()
    orders = [make_order(order_number=str(number)) for number in range(4)]

    def save(number: int) -> None:
        for step in range(times):
            order = Order.objects.get(pk=orders[number % 4].pk)
            set_status(order, "paid" if step % 2 else "pending")
            if number % 5 == 0:
                waiting.tell_due()

    run_together(20, save)
    for order in orders:
        set_status(order, "pending")
    after(days=4)
    assert sorted(noted) == ["0", "1", "2", "3"]
    after(days=9)
    assert len(noted) == 4


def test_workers_at_once_tell_each_once(noted: list[str]) -> None:
    unpaid()
    for number in range(30):
        make_order(order_number=str(number), status="pending")
    late = timezone.now() + timedelta(days=4)
    run_together(6, lambda _number: waiting.tell_due(now=late))
    run_due(now=late)
    assert len(noted) == len(set(noted)) == 30


def test_a_worker_that_dies_in_between_leaves_it_to_the_next(noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    unpaid()
    make_order(order_number="A", status="pending")
    run_due()
    with monkeypatch.context() as patched:
        patched.setattr(waiting, "FORGET", None)  # after the event was written, before the row is: as if it was killed
        after(days=4)
    assert (noted, states()) == ([], ["waiting"])
    assert not Event.objects.exists()
    after(days=5)
    assert noted == ["A"]


def test_a_clock_that_goes_back_and_forth_tells_once(noted: list[str]) -> None:
    unpaid()
    make_order(order_number="A", status="pending")
    for days in (4, 1, 4, -2, 10, 3.5):
        after(days=days)
    assert noted == ["A"]


# Stays: the rule itself


def test_what_is_so_already_is_waited_for_from_then_on(noted: list[str]) -> None:
    make_order(order_number="A", status="pending")
    make_order(order_number="B", status="paid")
    unpaid()
    assert Run.objects.get().state == "done"
    assert not Event.objects.exists()
    after(days=2.9)
    assert noted == []
    after(days=3.1)
    assert noted == ["A"]


def test_a_rule_that_is_off_forgets_and_begins_anew(noted: list[str]) -> None:
    rule = unpaid()
    make_order(order_number="A", status="pending")
    run_due()
    rule.enabled = False
    rule.save()
    refresh()
    after(days=4)
    assert (noted, states()) == ([], [])
    rule.enabled = True
    rule.save()
    refresh()
    run_due()
    after(days=3.1)
    assert noted == ["A"]


def test_what_acted_does_not_act_again_when_the_rule_was_off(noted: list[str]) -> None:
    rule = unpaid()
    make_order(order_number="A", status="pending")
    after(days=4)
    for enabled in (False, True):
        rule.enabled = enabled
        rule.save()
        refresh()
        run_due()
    after(days=9)
    assert noted == ["A"]


def test_another_length_counts_for_what_waits_already(noted: list[str]) -> None:
    rule = unpaid()
    make_order(order_number="A", status="pending")
    run_due()
    rule.schedule = {**DAYS, "count": 1}
    rule.save()
    refresh()
    run_due()
    after(days=1.1)
    assert noted == ["A"]


def test_a_paused_rule_waits_until_it_goes_on(noted: list[str]) -> None:
    unpaid()
    make_order(order_number="A", status="pending")
    run_due()
    pause = Pause.objects.create(rule_slug="unpaid")
    refresh()
    after(days=4)
    assert noted == []
    pause.delete()
    refresh()
    after(days=4)
    assert noted == ["A"]


def test_what_acted_and_is_gone_is_forgotten_in_time() -> None:
    unpaid()
    make_order(status="pending")
    make_order(status="pending")
    after(days=4)
    assert states() == ["done", "done"]
    Order.objects.first().delete()  # type: ignore[union-attr]
    after(days=40)
    assert states() == ["done"]


# Silent


def test_silence_is_told_once_until_something_comes(noted: list[str]) -> None:
    silent()
    run_due()
    make_animals("a")
    after(hours=25)
    assert noted == []
    after(hours=27)
    after(hours=90)
    assert noted == ["silence"]
    make_animals("b")
    after(hours=27)
    assert noted == ["silence"] * 2


def test_each_match_puts_it_off(noted: list[str]) -> None:
    silent()
    run_due()
    make_animals("a")
    run_due()
    Armed.objects.update(created_at=F("created_at") - timedelta(hours=20), due_at=F("due_at") - timedelta(hours=20))
    make_animals("b", "c", "d")
    after(hours=20)
    assert (noted, Armed.objects.count()) == ([], 1)


def test_silence_counts_from_when_the_rule_was_switched_on(noted: list[str]) -> None:
    silent()
    run_due()
    after(hours=27)
    assert noted == ["silence"]


def test_silence_is_told_of_each_key_once_it_has_come(noted: list[str]) -> None:
    text = note("{{ instance.name }} since {{ due.date|date:'Y' }}")
    silent(text, schedule={**HOURS, "by": "{{ instance.legs }}"})
    run_due()
    assert not Armed.objects.exists()
    Animal.objects.create(name="bird", legs=2)
    Animal.objects.create(name="dog", legs=4)
    run_due()
    Armed.objects.filter(key="2").update(due_at=F("due_at") - timedelta(hours=20))
    after(hours=10)
    assert noted == [f"bird since {timezone.now():%Y}"]


def test_only_matches_break_the_silence(noted: list[str]) -> None:
    silent(condition={"==": [{"var": "instance.legs"}, 4]}, operations=["create"])
    run_due()
    Armed.objects.update(created_at=F("created_at") - timedelta(hours=20), due_at=F("due_at") - timedelta(hours=20))
    Animal.objects.create(name="bird", legs=2)
    after(hours=7)
    assert noted == ["silence"]


def test_silence_of_an_object_that_is_gone_is_told_all_the_same(noted: list[str]) -> None:
    silent(note("silence {{ instance.name }}"))
    run_due()
    make_animals("a")
    Animal.objects.all().delete()
    after(hours=27)
    assert noted == ["silence "]


def test_a_signal_without_a_model_may_be_missed(noted: list[str]) -> None:
    from django.contrib.auth.signals import user_login_failed

    create_rule(signals=["user_login_failed"], schedule=HOURS, actions=[note("nobody failed")])
    run_due()
    user_login_failed.send(sender=__name__, credentials={"username": "eve"}, request=None)
    after(hours=27)
    assert noted == ["nobody failed"]


# What it costs a save


def test_rules_that_do_not_wait_cost_no_statement_more() -> None:
    create_rule(Order, condition={"==": [{"var": "instance.status"}, "shipped"]}, actions=[NUMBER])
    order = make_order()
    plain = statements_of(order.save)
    assert not [one for one in plain if "armed" in one]
    assert len(plain) == 1


def test_a_save_that_begins_or_ends_it_adds_one_row_and_no_event() -> None:
    unpaid()
    order = make_order()
    begun = statements_of(lambda: set_status(order, "pending"))
    kept = statements_of(order.save)
    ended = statements_of(lambda: set_status(order, "paid"))
    other = statements_of(order.save)
    asked = [sum("SELECT" in one and "armed" in one for one in each) for each in (begun, kept, ended, other)]
    added = [sum("INSERT" in one and "armed" in one for one in each) for each in (begun, kept, ended, other)]
    assert (asked, added) == ([1, 1, 1, 1], [1, 0, 1, 0])
    assert not any("UPDATE" in one and "armed" in one for each in (begun, kept, ended, other) for one in each)


def test_in_a_transaction_it_costs_the_save_two_trips_more() -> None:
    database = database_of("default")
    if database.spoils_transaction and not database.sends_several("default"):
        pytest.skip("The driver sends each savepoint by itself.")
    unpaid()
    order = make_order()
    for status, trips in (("pending", 3), ("pending", 2), ("paid", 3)):
        with transaction.atomic():
            assert len(trips_of(partial(set_status, order, status))) == trips


def test_a_save_takes_no_lock_that_another_waits_for() -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time.")
    unpaid()
    [order] = [make_order(status="pending")]
    run_due()
    with transaction.atomic():
        list(Armed.objects.select_for_update())

        def save(_number: int) -> bool:
            mine = Order.objects.get(pk=order.pk)
            set_status(mine, "paid")
            return True

        assert run_together(1, save) == [True]


# What is wrong


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"schedule": {**DAYS, "count": 0}}, "/schedule/count"),
        ({"schedule": {**DAYS, "unit": "months"}}, "/schedule/unit"),
        ({"schedule": {**DAYS, "count": 4_000}}, "/schedule/count"),
        ({"schedule": {**DAYS, "by": "x"}}, "/schedule/by"),
        ({"condition": None}, "/schedule/kind"),
        ({"signals": ["pre_save"]}, "/schedule/kind"),
        ({"signals": ["post_delete"]}, "/schedule/kind"),
        ({"signals": []}, "/signals"),
        ({"condition": {"==": [{"var": "old.status"}, "draft"]}}, "/condition/==/0"),
        ({"schedule": {**HOURS, "by": "{{ instance.nme }}"}}, "/schedule/by"),
        ({"schedule": {**HOURS, "count": "2"}}, "/schedule/count"),
    ],
)
def test_what_cannot_be_waited_for_is_told_where(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRule) as caught:
        unpaid(**fields)
    assert pointer in [problem.pointer for problem in caught.value.problems]


def test_an_action_that_acts_by_the_clock_reads_no_change() -> None:
    with pytest.raises(InvalidRule) as caught:
        unpaid(note("{{ old.status }}"))
    assert "This rule acts by the clock" in str(caught.value)


@pytest.mark.parametrize(
    ("known", "marks", "kind", "begun", "gone"),
    [
        (None, [("a", True)], "stays", ["a"], []),
        (None, [("a", True), ("b", True)], "stays", ["a"], ["b"]),
        ("k", [("a", True)], "stays", [], ["a"]),
        ("k", [("a", False)], "stays", [], ["k", "a"]),
        ("k", [("a", False), ("b", True)], "stays", ["b"], ["k", "a"]),
        (None, [("a", True), ("b", False), ("c", True), ("d", True)], "stays", ["c"], ["a", "b", "d"]),
        (None, [("a", False)], "stays", [], ["a"]),
        (None, [("a", True), ("b", True)], "silent", ["b"], ["a"]),
        ("k", [("a", True)], "silent", ["a"], ["k"]),
    ],
)
def test_marks_are_taken_together(
    known: Any, marks: list[tuple[str, bool]], kind: str, begun: list[str], gone: list[str]
) -> None:
    came = folded(known, marks, kind)
    assert (came.begun, sorted(came.gone)) == (begun, sorted(gone))


def test_an_object_that_is_erased_is_waited_for_no_more() -> None:
    unpaid()
    order = make_order(status="pending")
    assert erase("shop.order", str(order.pk))["armed rules"] == 1
    assert not Armed.objects.exists()


def test_a_rule_on_time_is_looked_after_by_one_row(noted: list[str]) -> None:
    unpaid()
    row = Schedule.objects.get()
    assert row.next_look_at > datetime.now(tz=row.next_look_at.tzinfo) + timedelta(days=365)


# A rule that is paused, edited, or of many places


def test_what_came_to_be_so_during_a_pause_that_drops_is_waited_for(noted: list[str]) -> None:
    pause = Pause.objects.create(mode=Pause.Mode.DROP)
    refresh()
    make_order(order_number="A", status="pending")
    unpaid()
    make_order(order_number="B", status="pending")
    after(days=4)
    assert noted == []
    pause.delete()
    refresh()
    Run.objects.update(due_at=Now())
    run_due()
    after(days=4)
    assert sorted(noted) == ["A", "B"]


def test_matches_during_a_pause_that_drops_break_the_silence(noted: list[str]) -> None:
    silent()
    make_animals(1)
    run_due()
    Armed.objects.update(created_at=F("created_at") - timedelta(hours=20), due_at=F("due_at") - timedelta(hours=20))
    pause = Pause.objects.create(rule_slug="silent", mode=Pause.Mode.DROP)
    refresh()
    Animal.objects.create(name="Rex")
    pause.delete()
    refresh()
    after(hours=10)
    assert noted == []
    after(hours=27)
    assert noted == ["silence"]


def test_another_condition_has_the_rule_wait_for_what_it_selects(noted: list[str]) -> None:
    rule = unpaid()
    make_order(order_number="A", status="pending")
    make_order(order_number="B", status="paid")
    run_due()
    rule.condition = {"==": [{"var": "instance.status"}, "paid"]}
    rule.save()
    refresh()
    run_due()
    after(days=3.1)
    assert noted == ["B"]


def test_what_has_to_stay_so_counts_from_the_edit_that_says_so(noted: list[str]) -> None:
    rule = unpaid()
    make_order(order_number="A", status="pending")
    run_due()
    Armed.objects.update(created_at=F("created_at") - timedelta(days=2), due_at=F("due_at") - timedelta(days=2))
    rule.condition = {"in": [{"var": "instance.status"}, ["pending", "paid"]]}
    rule.save()
    refresh()
    run_due()
    after(days=2.9)
    assert noted == []
    after(days=3.1)
    assert noted == ["A"]


def test_an_edit_of_what_it_does_arms_nothing_anew() -> None:
    rule = unpaid()
    digest = Schedule.objects.get().digest
    rule.name = "Another"
    rule.save()
    assert (Schedule.objects.get().digest, Run.objects.count()) == (digest, 1)
