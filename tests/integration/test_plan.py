"""A save looks at the rules that can match it, and reads what those want: against a database."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import F
from django.db.models.signals import pre_save
from django.test.utils import CaptureQueriesContext

from rules_engine.capture import receiver
from rules_engine.live import plan
from rules_engine.logic.metering import Metered
from rules_engine.models import Event, Rule, RuleAction
from rules_engine.rules import matching
from rules_engine.test import why
from rules_engine.testing import create_rule, refresh, reset
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]
PAID = [{"field": "name", "to": "paid"}]


def statements(act: Callable[[], Any]) -> int:
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        act()
        return len(captured)


def outcomes() -> dict[str, str]:
    return {said["rule"]: said["outcome"] for event in Event.objects.all() for said in event.evaluations}


@contextmanager
def heard_by(hear: Callable[..., None]) -> Iterator[None]:
    pre_save.connect(hear, sender=Animal)
    try:
        yield
    finally:
        pre_save.disconnect(hear, sender=Animal)


@pytest.mark.parametrize(
    "asked",
    [
        {"changes": PAID},
        {"changes": [{"field": "name"}], "condition": {"==": [{"var": "instance.legs"}, 3]}},
        {"condition": {"and": [{"==": [{"var": "instance.name"}, "paid"]}, {"var": "instance.keeper.name"}]}},
        {"signals": ["pre_save"], "changes": PAID},
        {"condition": {"in": [{"var": "instance.name"}, ["paid", "sent"]]}, "reads": "old"},
    ],
    ids=["to", "equal", "related", "before", "in"],
)
def test_a_constant_that_rules_a_match_out_costs_no_statement(asked: dict[str, Any]) -> None:
    text = "{{ old.name }}" if asked.pop("reads", "") else "{{ instance.name }}"
    made = Animal.objects.create(name="open", keeper=Keeper.objects.create(name="Ann"))
    animal = Animal.objects.get(pk=made.pk)
    create_rule(Animal, actions=[("log_message", {"message": text})], **asked)
    assert statements(animal.save) == 1
    animal.name, animal.legs = "paid", 3
    assert statements(animal.save) > 1


def test_what_another_receiver_makes_of_the_object_is_compared() -> None:
    create_rule(Animal, slug="paid", changes=PAID, actions=LOG)
    animal = Animal.objects.create(name="open")

    def pay(instance: Animal, **_: Any) -> None:
        instance.name = "paid"

    with heard_by(pay):
        animal.save()
    assert outcomes() == {"paid": "matched"}
    assert Event.objects.get().context["changes"]["name"] == {"old": "open", "new": "paid"}


def test_what_a_rule_makes_of_the_object_is_compared() -> None:
    setting = ("set_fields", {"fields": [{"field": "name", "value": "paid"}]})
    create_rule(Animal, slug="sets", signals=["pre_save"], actions=[(*setting, {"timing": "before_save"})])
    create_rule(Animal, slug="paid", changes=PAID, operations=["update"], actions=LOG)
    animal = Animal.objects.create(name="open")
    Animal.objects.update(name="open")
    animal.name = "open"
    animal.save()
    assert outcomes()["paid"] == "matched"


def test_what_a_failed_save_left_is_not_taken_for_that_of_the_next() -> None:
    create_rule(Animal, slug="paid", changes=PAID, actions=LOG)
    animal = Animal.objects.create(name="open")
    Animal.objects.create(pk=animal.pk + 1)
    animal.name = "paid"
    with pytest.raises(DatabaseError), transaction.atomic():
        animal.save(force_insert=True)
    animal.name = "open"
    animal.save()
    assert outcomes() == {}
    animal.name = "paid"
    animal.save()
    assert outcomes() == {"paid": "matched"}
    assert Event.objects.get().context["old"]["name"] == "open"


def thousand(**asked: Callable[[int], Any]) -> None:
    rules = [
        Rule(
            slug=f"r{number:03}",
            name="one of many",
            model="zoo.animal",
            signals=["post_save"],
            **{name: make(number) for name, make in asked.items()},
        )
        for number in range(1_000)
    ]
    Rule.objects.bulk_create(rules)
    rule = Rule.objects.get(slug="r777")
    RuleAction.objects.create(rule=rule, position=0, kind=LOG[0][0], config=LOG[0][1])
    refresh()


BY_CHANGE = {"changes": lambda number: [{"field": "name", "to": f"s{number}"}]}
BY_EQUALITY = {"condition": lambda number: {"and": [{"==": [{"var": "instance.name"}, f"s{number}"]}, True]}}


@pytest.mark.parametrize("asked", [BY_CHANGE, BY_EQUALITY], ids=["change", "equality"])
def test_one_of_a_thousand_rules_is_tried(asked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    thousand(**asked)
    tried: list[int] = []
    conditions: list[Any] = []
    of_matching, of_conditions = matching.tried, Metered.evaluated

    def count(rules: Any, subject: Any) -> Any:
        tried.append(len(rules))
        return of_matching(rules, subject)

    def evaluated(self: Metered, data: Any) -> Any:
        conditions.append(data)
        return of_conditions(self, data)

    monkeypatch.setattr(matching, "tried", count)
    monkeypatch.setattr(Metered, "evaluated", evaluated)
    animal = Animal.objects.create(name="open")
    animal.save()
    assert (tried, conditions) == ([], [])
    animal.name = "s777"
    animal.save()
    assert (sum(tried), len(conditions) <= 1) == (1, True)
    assert [(said["rule"], said["outcome"]) for said in Event.objects.get().evaluations] == [("r777", "matched")]


def test_of_few_rules_an_event_tells_where_each_stopped() -> None:
    create_rule(Animal, slug="a-paid", changes=PAID, actions=LOG)
    create_rule(Animal, slug="b-three", condition={"==": [{"var": "instance.legs"}, 3]}, actions=LOG)
    create_rule(Animal, slug="c-every", actions=LOG, stop_processing=True)
    create_rule(Animal, slug="d-unasked", actions=LOG)
    Animal.objects.create(name="open")
    told = [(said["rule"], said["outcome"], said.get("gate")) for said in Event.objects.get().evaluations]
    assert told == [
        ("a-paid", "not_matched", "changes"),
        ("b-three", "not_matched", "condition"),
        ("c-every", "matched", None),
    ]


def test_of_many_rules_the_rest_is_worked_out_from_what_was_stored() -> None:
    for number in range(plan.FEW):
        create_rule(Animal, slug=f"changed-{number}", changes=[{"field": "name", "to": f"s{number}"}], actions=LOG)
        create_rule(Animal, slug=f"equal-{number}", condition={"==": [{"var": "instance.name"}, f"s{number}"]})
    create_rule(Animal, slug="every", actions=LOG)
    animal = Animal.objects.create(name="open")
    Event.objects.all().delete()
    animal.save()
    event = Event.objects.get()
    assert [said["rule"] for said in event.evaluations] == ["every"]
    [told] = why.tell([event], list(why.rules_on({"zoo.animal"})))
    said = {one.slug: (one.verdict, one.gate) for one in told.said}
    assert (said["every"], said["changed-3"]) == (("matched", ""), ("not_matched", "changes"))
    assert said["equal-3"] == ("not_matched", "condition")


NAMES = ["open", "paid", "1", "", "2026-01-01"]


def random_rule(chance: random.Random, number: int) -> None:
    """A rule that asks for something of what ``random_save`` does."""
    name = {"==": [{"var": "instance.name"}, chance.choice(NAMES)]}
    legs = {chance.choice(["==", "===", ">"]): [{"var": "instance.legs"}, chance.choice([0, 3, 4, "3"])]}
    keeper = {"==": [{"var": "instance.keeper.name"}, "Ann"]}
    condition = chance.choice([None, name, legs, {"and": [name, legs]}, {"and": [legs, name]}, {"and": [name, keeper]}])
    to = [{"field": "name", "to": chance.choice(NAMES)}]
    origin = [{"field": "legs", "from": chance.choice([3, 4])}]
    signal = chance.choice(["post_save", "post_save", "pre_save", "post_delete"])
    create_rule(
        Animal,
        slug=f"r{number}",
        signals=[signal],
        operations=None if signal == "post_delete" else chance.choice([None, ["update"], ["create"]]),
        changes=chance.choice([[], [], to, origin, [{"field": "born"}], [*to, *origin]]),
        condition=condition,
        stop_processing=chance.random() < 0.1,
        actions=LOG,
    )


def random_save(chance: random.Random, animal: Animal) -> None:
    animal.name, animal.legs = chance.choice(NAMES), chance.choice([0, 3, 4, "3", F("legs")])
    animal.born = chance.choice([None, date(2026, 1, 1), "2026-01-01"])
    fields = chance.choice([None, None, ["name"], ["legs", "born"]])
    animal.save(update_fields=fields)


def told_of(seed: int) -> list[tuple[str, str, list[tuple[str, str]], Any]]:
    """What events of random saves say of random rules: what matched or failed."""
    chance = random.Random(seed)
    Rule.objects.all().delete()
    reset()
    for model in (Event, Animal, Keeper):
        model.objects.all().delete()
    keeper = Keeper.objects.create(pk=7, name="Ann")
    animals = [Animal.objects.create(name="open", keeper=chance.choice([None, keeper])) for _ in range(2)]
    for number in range(6):
        random_rule(chance, number)
    for _ in range(12):
        animal = chance.choice(animals)
        again = chance.choice([animal, Animal.objects.get(pk=animal.pk), Animal.objects.only("legs").get(pk=animal.pk)])
        random_save(chance, again)
    Animal.objects.create(name=chance.choice(NAMES), keeper=keeper).delete()
    return [
        (
            event.signal,
            event.operation,
            [(said["rule"], said["outcome"]) for said in event.evaluations if said["outcome"] != "not_matched"],
            event.context.get("instance"),
        )
        for event in Event.objects.order_by("created_at", "id")
    ]


@pytest.mark.parametrize("seed", range(8))
def test_with_a_plan_the_same_is_told_as_without(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = told_of(seed)
    monkeypatch.setattr(plan, "keys_of", lambda rule, model: ())
    monkeypatch.setattr(plan, "targets_of", lambda rule, model: ())
    monkeypatch.setattr(receiver, "_found", lambda *sent: None)
    assert told_of(seed) == found
