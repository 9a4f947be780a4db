"""What a rule on time does next, and why it does not act on an object: told beforehand, and nothing comes of it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from rules_engine.models import Event, Firing, Rule, Schedule
from rules_engine.test.timed.coming import Coming, last_firings, next_firings, selected_now
from rules_engine.test.timed.not_due import WhyNot, why_not_due
from tests.integration.schedules.clocks import BEGIN, DAY, HOUR, MINUTE, act, on, timed
from tests.integration.schedules.test_dates import fed
from tests.statements import statements_of
from tests.zoo.models import Animal, Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

FOUR_LEGS = {"==": [{"var": "instance.legs"}, 4]}


def coming(rule: Rule, after: datetime = BEGIN, most: int = 20, model: Any = Animal) -> list[Coming]:
    return next_firings(rule.spec(), after, model._default_manager.all(), most)


def names(found: list[Coming]) -> list[str]:
    return [f"{one.instance} {one.due_at:%d %H:%M}" for one in found]


def why(rule: Rule, animal: Any, now: datetime = BEGIN) -> WhyNot:
    return why_not_due(rule, animal, now, "default")


# What comes next


def test_what_is_due_next_comes_in_its_order_and_no_earlier() -> None:
    rule = timed(on())
    for name, at in (("Tom", BEGIN + DAY), ("Rex", BEGIN + HOUR), ("Old", BEGIN - 2 * HOUR)):
        fed(name, at)
    Animal.objects.create(name="Never fed")
    assert [(one.instance and one.instance.name, one.due_at) for one in coming(rule)] == [  # type: ignore[attr-defined]
        ("Rex", BEGIN + 2 * HOUR),
        ("Tom", BEGIN + DAY + HOUR),
    ]
    assert [one.instance.name for one in coming(rule, most=1) if one.instance] == ["Rex"]  # type: ignore[attr-defined]
    assert coming(rule, after=BEGIN + 40 * DAY) == []


def test_what_comes_is_what_then_happens(noted: list[str]) -> None:
    rule = timed(on("born", 1, "days", "before", at="18:00", zone="Europe/Berlin"), condition=FOUR_LEGS)
    for number in range(6):
        Animal.objects.create(name=f"A{number}", born=date(2031, 5, 7 + number), legs=4 if number % 2 else 3)
    told = [(one.instance.name, one.due_at) for one in coming(rule) if one.asked and one.asked.answer == "acts"]  # type: ignore[union-attr]
    for number in range(20):
        act(BEGIN + number * DAY)
    assert [name for name, _at in told] == noted
    assert [(name, at) for name, at in told] == [(f"A{n}", datetime(2031, 5, 6 + n, 16, tzinfo=UTC)) for n in (1, 3, 5)]


def test_the_condition_is_asked_as_it_would_be_then() -> None:
    condition = {"<": [{"now": []}, {"datetime": "2031-05-06T00:00:00Z"}]}
    rule = timed(on(), condition={"and": [FOUR_LEGS, condition]})
    for name, at in (("Today", BEGIN), ("Later", BEGIN + DAY)):
        fed(name, at, legs=4)
    assert [one.asked.answer for one in coming(rule) if one.asked] == ["acts", "stops"]


def test_conditions_on_the_due_time_itself_are_asked_too() -> None:
    rule = timed(on("born", 0, "days"), condition={"==": [{"var": "due.date"}, "2031-05-06"]})
    for day in (6, 7):
        Animal.objects.create(name="Rex", born=date(2031, 5, day))
    assert [one.asked.answer for one in coming(rule) if one.asked] == ["acts", "stops"]


def test_what_is_done_with_says_so() -> None:
    rule = timed(on())
    fed("Rex", BEGIN)
    act(BEGIN + 2 * HOUR)
    before = last_firings(rule.spec(), BEGIN, BEGIN + DAY, Animal.objects.all(), 20)
    assert [one.is_fired for one in before] == [True]
    assert last_firings(rule.spec(), BEGIN + 2 * HOUR, BEGIN + DAY, Animal.objects.all(), 20) == []


def test_objects_that_are_not_shown_are_left_out() -> None:
    rule = timed(on())
    for name in ("Rex", "Tom"):
        fed(name)
    found = next_firings(rule.spec(), BEGIN, Animal.objects.filter(name="Tom"))
    assert [one.instance.name for one in found if one.instance] == ["Tom"]  # type: ignore[attr-defined]


def test_fixed_times_come_next_without_objects() -> None:
    rule = timed(
        {"kind": "every", "each": "weekday", "at": "08:00", "zone": "UTC"}, model="", actions=[("note", {"text": "x"})]
    )
    assert [f"{one.due_at:%a %H}" for one in next_firings(rule.spec(), BEGIN, None, 5)] == [
        "Tue 08", "Wed 08", "Thu 08", "Fri 08", "Mon 08",
    ]  # fmt: skip
    assert len(last_firings(rule.spec(), BEGIN - 7 * DAY, BEGIN, None, 20)) == 5


def test_what_a_fixed_time_is_for_is_what_the_condition_selects() -> None:
    schedule = {"kind": "every", "each": "day", "at": "08:00", "of": "each"}
    rule = timed(schedule, condition=FOUR_LEGS)
    for name, legs in (("Rex", 4), ("Tweety", 2), ("Tom", 4)):
        Animal.objects.create(name=name, legs=legs)
    selected = selected_now(rule.spec(), Animal.objects.all(), BEGIN, 5)
    assert [animal.name for animal in selected.rows] == ["Rex", "Tom"]  # type: ignore[attr-defined]
    assert len(selected_now(rule.spec(), Animal.objects.all(), BEGIN, 1).rows) == 1


def test_to_look_ahead_does_nothing_and_costs_no_more_with_more_objects() -> None:
    rule = timed(on(), condition=FOUR_LEGS)
    for number in range(40):
        fed(f"A{number}", BEGIN + number * MINUTE)
    few = statements_of(lambda: coming(rule, most=5))
    many = statements_of(lambda: coming(rule, most=20))
    assert not Event.objects.exists()
    assert not Firing.objects.exists()
    # A condition is asked of each within a savepoint of its own.
    assert len(many) - len(few) <= 15 * 3


# Why not


def test_each_reason_is_told_by_its_name() -> None:
    rule = timed(on(count=1), condition=FOUR_LEGS)
    now = BEGIN + 12 * DAY
    assert why(rule, Animal.objects.create(name="Empty")).reason == "empty"
    assert why(rule, fed("Early", BEGIN - DAY, legs=4), now) == WhyNot("before", BEGIN - DAY + HOUR, BEGIN)
    late = why(rule, fed("Late", BEGIN + DAY, legs=4), now)
    assert (late.reason, late.at) == ("late", BEGIN + 8 * DAY + HOUR)
    assert why(rule, fed("Coming", now, legs=4), now) == WhyNot("coming", now + HOUR)
    assert why(rule, fed("Now", now - 2 * HOUR, legs=4), now).reason == "now"
    assert why(rule, fed("Not then", now, legs=3), now).reason == "not_then"
    assert why(rule, fed("Not now", now - 2 * HOUR, legs=3), now).reason == "not_now"


def test_what_acted_names_its_event_and_what_did_not_match_says_so() -> None:
    rule = timed(on(), condition=FOUR_LEGS)
    four, three = fed("Four", legs=4), fed("Three", legs=3)
    act(BEGIN + 2 * HOUR)
    assert (why(rule, four).reason, why(rule, three).reason) == ("acted", "stopped")
    assert why(rule, four).event_id == Event.objects.get().pk
    Animal.objects.filter(pk=four.pk).update(fed_at=BEGIN + DAY)
    assert why(rule, four).reason == "coming"
    four.delete()
    assert why(rule, Animal(pk=987_654)).reason == "gone"


def test_a_rule_that_is_off_and_a_look_in_trouble_are_told() -> None:
    rule = timed(on())
    rex = fed("Rex")
    Schedule.objects.update(error="No such zone.")
    assert why(rule, rex, BEGIN + 2 * HOUR) == WhyNot("now", BEGIN + HOUR, detail="No such zone.")
    rule.enabled = False
    rule.save()
    assert why(rule, rex).reason == "off"


def test_a_condition_that_cannot_be_asked_is_told() -> None:
    rule = timed(on(), condition={"<": [1, {"/": [{"var": "instance.legs"}, 0]}]})
    rex = fed("Rex", legs=4)
    assert why(rule, rex).reason == "error"
    assert [one.asked.answer for one in coming(rule) if one.asked] == ["error"]


def test_the_date_of_what_an_object_belongs_to_may_be_missing() -> None:
    rule = timed(on("animal.fed_at"), Ticket, actions=[("note", {"text": "x"})])
    ticket = Ticket.objects.create(animal=fed("Rex", None))
    assert why(rule, ticket).reason == "empty"
    assert coming(rule, model=Ticket) == []
