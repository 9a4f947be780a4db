"""What an accepted rule may cost a save: texts, rows, objects and bytes have a most, and beyond it the rule is told."""

from __future__ import annotations

import json

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from project.accounts.models import User
from rules_engine import acting_as
from rules_engine.capture import decision, large_changes
from rules_engine.capture.earlier.waiting import Before
from rules_engine.context import snapshot
from rules_engine.context.actor import Cause, caused_by
from rules_engine.models import Event, Execution, HeldMatch, LargeChange, RuleError
from rules_engine.outbox import writing
from rules_engine.rules import repetition
from rules_engine.testing import create_rule, run_due
from rules_engine.texts import allowance, render
from rules_engine.types import new_id
from rules_engine.work.large_changes import tell_due
from tests.factories import make_many
from tests.zoo.models import Animal, Keeper, Meal, Tag

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

NAME = ("note", {"text": "{{ instance.name }}"})
#: A hundred rows give it more steps than a text may take in any case.
LONG = "{% for meal in instance.meals %}{{ meal.portions }}{% endfor %}"


def fed(meals: int) -> Animal:
    animal = Animal.objects.create(name="a")
    Meal.objects.bulk_create(Meal(animal=animal) for _ in range(meals))
    return animal


# Texts


def test_a_long_key_is_an_error_of_its_rule_and_the_others_act(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "SAVE_SECONDS", 0.0)
    animal = fed(100)
    throttled = {"throttle_count": 1, "throttle_seconds": 60, "actions": [NAME]}
    create_rule(Animal, slug="long", throttle_by=LONG, **throttled)
    create_rule(Animal, slug="short", throttle_by="{{ instance.pk }}", **throttled)
    create_rule(Animal, slug="plain", actions=[NAME])
    animal.save()
    assert list(HeldMatch.objects.values_list("rule_slug", "throttle_key")) == [("short", str(animal.pk))]
    assert list(Execution.objects.values_list("rule_slug", flat=True)) == ["plain"]
    error = RuleError.objects.get()
    assert error.rule_slug == "long"
    assert "takes too long while somebody waits for the save" in error.message
    assert "loop over fewer rows" in error.message


def test_texts_before_a_save_share_the_same_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "SAVE_SECONDS", 0.0)
    animal = fed(100)
    texts = [{"field": "notes", "value": LONG}]
    create_rule(Animal, signals=["pre_save"], slug="long", actions=[("set_fields", {"fields": texts})])
    animal.save()
    animal.refresh_from_db()
    assert animal.notes == ""
    assert "takes too long while somebody waits" in Execution.objects.get().error


def test_what_a_text_takes_is_taken_from_those_after_it() -> None:
    save = Before("save")
    token = allowance.SAVE.set(save)
    assert render("{{ a|add:1 }}", {"a": 1}) == "2"
    allowance.SAVE.reset(token)
    assert 0 < save.allowance.left < allowance.SAVE_SECONDS
    assert allowance.of_save() is None


# Objects


def test_what_one_change_led_to_is_written_by_few_statements() -> None:
    create_rule(Tag, signals=["m2m_changed"], actions=[NAME], throttle_count=5, throttle_seconds=60)
    create_rule(Tag, signals=["m2m_changed"], actions=[NAME])
    statements = {}
    for count in (2, 40):
        animal = Animal.objects.create(name="a")
        tags = make_many([Tag(name="t") for _ in range(count)])
        with CaptureQueriesContext(connection) as captured:
            animal.tags.add(*tags)
        statements[count] = len(captured)
        told = Event.objects.filter(signal="m2m_changed", object_pk__in=[str(tag.pk) for tag in tags])
        assert told.count() == count
    assert statements[2] == statements[40]
    assert (Execution.objects.count(), HeldMatch.objects.count()) == (42, 42)


def large_change(**rule: object) -> list[Tag]:
    """Make a change of more objects than are told at once, which a rule on those hears."""
    create_rule(Tag, signals=["m2m_changed"], **{"actions": [NAME], **rule})
    animal = Animal.objects.create(name="a")
    tags = make_many([Tag(name=f"t{number}") for number in range(5)])
    animal.tags.add(*tags)
    return tags


@pytest.fixture
def two_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_changes, "AT_ONCE", 2)
    monkeypatch.setattr(large_changes, "PART", 3)


@pytest.mark.usefixtures("two_at_once")
def test_of_a_large_change_a_worker_tells_each_object(noted: list[str]) -> None:
    user = User.objects.create(username="ann")
    with acting_as(user):
        tags = large_change(condition={"!=": [{"var": "instance.name"}, "t1"]})
    assert (Event.objects.count(), LargeChange.objects.count()) == (0, 2)
    run_due()
    assert sorted(noted) == ["t0", "t2", "t3", "t4"]
    assert not LargeChange.objects.exists()
    event = Event.objects.get(object_pk=str(tags[0].pk))
    assert event.context["actor"] == {"id": user.pk, "username": "ann"}
    assert (event.operation, event.context["m2m"]["side"], event.context["m2m"]["count"]) == ("add", "other", 1)


@pytest.mark.usefixtures("two_at_once")
def test_what_a_save_does_for_a_large_change_does_not_grow_with_it() -> None:
    create_rule(Tag, signals=["m2m_changed"], actions=[("note", {"text": "{{ instance.name }}{{ instance.animals }}"})])
    statements = []
    for count in (4, 40):
        animal = Animal.objects.create(name="a")
        tags = make_many([Tag(name="t") for _ in range(count)])
        with CaptureQueriesContext(connection) as captured:
            animal.tags.add(*tags)
        statements.append(len(captured))
    assert statements[0] == statements[1]


@pytest.mark.usefixtures("two_at_once")
def test_a_large_change_that_is_undone_is_told_by_nobody() -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        large_change()
        raise RuntimeError
    run_due()
    assert not LargeChange.objects.exists()
    assert not Event.objects.exists()


@pytest.mark.usefixtures("two_at_once")
def test_a_rule_in_the_transaction_says_that_a_change_is_too_large() -> None:
    create_rule(Tag, slug="later", signals=["m2m_changed"], actions=[NAME])
    entry = ("write_audit_entry", {}, {"timing": "in_transaction"})
    large_change(slug="early", actions=[entry])
    error = RuleError.objects.get()
    assert error.rule_slug == "early"
    assert error.message.startswith("This change concerns 5 objects. More than 2 are told by a worker")
    run_due()
    assert set(Execution.objects.values_list("rule_slug", "state")) == {("later", "succeeded")}


@pytest.mark.usefixtures("two_at_once")
def test_a_large_change_that_no_rule_can_hear_writes_nothing() -> None:
    large_change(operations=["remove"])
    assert not LargeChange.objects.exists()


@pytest.mark.usefixtures("two_at_once")
def test_a_part_that_cannot_be_written_is_tried_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    large_change()

    def full(*_: object) -> None:
        raise OperationalError("disk full")

    with monkeypatch.context() as while_full:
        while_full.setattr(writing, "write", full)
        assert tell_due() == 0
    assert list(LargeChange.objects.values_list("failures", flat=True)) == [1, 1]
    assert not Event.objects.exists()
    LargeChange.objects.update(due_at=Now())
    assert tell_due() == 2
    assert Event.objects.count() == 5


@pytest.mark.usefixtures("two_at_once")
def test_a_large_change_by_a_rule_goes_on_its_chain() -> None:
    root = new_id()
    with caused_by(Cause(root, 3, "another", None, new_id())):
        large_change()
    run_due()
    assert set(Event.objects.values_list("root_id", "depth")) == {(root, 4)}


# Bytes


@pytest.fixture
def small_events(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "EVENT_BYTES": 10_000}


def kept_animals(count: int, notes: str) -> Keeper:
    keeper = Keeper.objects.create(name="k")
    Animal.objects.bulk_create(Animal(name="a", keeper=keeper, notes=notes) for _ in range(count))
    return keeper


@pytest.mark.usefixtures("small_events")
def test_a_condition_over_too_many_bytes_of_rows_says_so() -> None:
    keeper = kept_animals(5, "x" * 3_000)
    named = {"some": [{"var": "instance.animals"}, {"==": [{"var": "notes"}, "y"]}]}
    create_rule(Keeper, slug="blind", condition=named, actions=[NAME])
    create_rule(Keeper, slug="plain", actions=[NAME])
    keeper.save()
    error = RuleError.objects.get()
    assert error.rule_slug == "blind"
    assert "3 that are read, which come to 10,000 bytes (EVENT_BYTES" in error.message
    assert list(Execution.objects.values_list("rule_slug", flat=True)) == ["plain"]


def test_of_long_rows_no_more_are_read_than_an_event_keeps(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "EVENT_BYTES": 50_000}
    keeper = kept_animals(300, "x" * 2_000)
    create_rule(Keeper, actions=[("note", {"text": "{{ instance.animals|length }}"})])
    read: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        tell = snapshot._row
        patch.setattr(snapshot, "_row", lambda row, *how: read.append(row) or tell(row, *how))
        keeper.save()
    assert 10 < len(read) < 50


@pytest.mark.usefixtures("small_events")
def test_of_an_event_that_is_too_large_the_largest_values_are_cut() -> None:
    animal = Animal.objects.create(name="a")
    create_rule(Animal, slug="blind", actions=[("note", {"text": "{{ instance.data }}"})])
    create_rule(Animal, slug="plain", actions=[("note", {"text": "{{ instance.name }}"})])
    animal.data = {"long": ["x" * 2_000] * 10}
    animal.save()
    event = Event.objects.get()
    assert len(json.dumps(event.context)) < 10_000
    assert event.context["instance"]["data"] == {"…": "…"}
    assert list(Execution.objects.values_list("rule_slug", flat=True)) == ["plain"]
    error = RuleError.objects.get()
    assert error.rule_slug == "blind"
    assert 'and "instance.data", which this rule reads, was cut' in error.message


# Rows


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "AT_ONCE", 2)
    monkeypatch.setattr(decision, "AT_ONCE", 2)


EACH = ("note", {"text": "{{ each.name }} {{ each.weight }} {{ each.keeper.name }}"})


@pytest.mark.usefixtures("two_rows")
@pytest.mark.parametrize(
    ("for_each", "expected"),
    [
        ("instance.animals", ["a0 1.10 k", "a1 1.10 k", "a2 1.10 k", "a3 1.10 k"]),
        (
            {"filter": [{"var": "instance.animals"}, {"!=": [{"var": "name"}, "a1"]}]},
            ["a0 1.10 k", "a2 1.10 k", "a3 1.10 k"],
        ),
    ],
)
def test_of_many_rows_a_save_writes_the_keys_and_a_worker_reads_them(
    noted: list[str], for_each: object, expected: list[str]
) -> None:
    keeper = Keeper.objects.create(name="k")
    Animal.objects.bulk_create(Animal(name=f"a{n}", weight="1.10", keeper=keeper) for n in range(4))
    create_rule(Keeper, actions=[(*EACH, {"for_each": for_each})])
    keeper.save()
    [action] = HeldMatch.objects.get().actions
    assert len(action["rows"]["keys"]) == 4
    assert "a1" not in json.dumps(action["rows"]["rest"])
    run_due()
    assert noted == expected


@pytest.mark.usefixtures("two_rows")
def test_of_many_rows_those_that_are_gone_are_left_out(noted: list[str]) -> None:
    keeper = kept_animals(4, "")
    create_rule(Keeper, actions=[("note", {"text": "{{ each.pk }}"}, {"for_each": "instance.animals"})])
    keeper.save()
    gone = keeper.animals.order_by("pk").first()
    Animal.objects.filter(pk=gone.pk).delete()
    run_due()
    assert noted == [str(pk) for pk in keeper.animals.order_by("pk").values_list("pk", flat=True)]


@pytest.mark.usefixtures("two_rows")
def test_many_rows_in_the_transaction_are_a_failure_that_says_what_to_do() -> None:
    keeper = kept_animals(4, "")
    create_rule(
        Keeper, actions=[("write_audit_entry", {}, {"for_each": "instance.animals", "timing": "in_transaction"})]
    )
    keeper.save()
    error = Execution.objects.get().error
    assert "more than 2 rows" in error
    assert "have it act after the commit" in error


@pytest.mark.usefixtures("two_rows")
def test_rows_of_what_is_deleted_are_read_before_they_are_gone(noted: list[str]) -> None:
    keeper = kept_animals(4, "")
    each = ("note", {"text": "{{ each.name }}"}, {"for_each": "instance.animals"})
    create_rule(Keeper, signals=["pre_delete"], actions=[each])
    keeper.delete()
    run_due()
    assert noted == ["a"] * 4


def test_a_save_makes_no_more_objects_of_rows_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    tell = snapshot._row
    monkeypatch.setattr(snapshot, "_row", lambda row, *how: read.append(row) or tell(row, *how))
    keeper = kept_animals(1_000, "")
    create_rule(Keeper, actions=[("note", {"text": "{{ each.name }}"}, {"for_each": "instance.animals"})])
    with CaptureQueriesContext(connection) as captured:
        keeper.save()
    assert len(read) == repetition.AT_ONCE + 1
    assert sum("zoo_animal" in query["sql"] for query in captured) == 2
    assert HeldMatch.objects.get().actions[0]["rows"]["keys"]


def test_what_several_rules_read_of_the_same_rows_is_read_once() -> None:
    animal = fed(3)
    some = {"some": [{"var": "instance.meals"}, {"==": [{"var": "portions"}, 1]}]}
    for _ in range(3):
        create_rule(Animal, condition=some, actions=[NAME])
    text = [{"field": "notes", "value": LONG}]
    create_rule(Animal, signals=["pre_save"], actions=[("set_fields", {"fields": text})] * 2)
    with CaptureQueriesContext(connection) as captured:
        animal.save()
    assert animal.notes == "111"
    assert sum("zoo_meal" in query["sql"] for query in captured) == 2, "once for each of the two signals"


def test_rows_that_are_fetched_in_parts_are_all_there_and_each_once(settings: LazySettings, noted: list[str]) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "EVENT_BYTES": 60_000}
    keeper = kept_animals(25, "x" * 1_000)
    Animal.objects.bulk_create(Animal(name=f"b{number % 3}", keeper=keeper) for number in range(60))
    names = "{% for one in instance.animals %}{{ one.name }} {% endfor %}"
    named = {"all": [{"var": "instance.animals"}, {"!=": [{"var": "name"}, "c"]}]}
    create_rule(Keeper, condition=named, actions=[("note", {"text": names})])
    keeper.save()
    run_due()
    assert sorted(noted[0].split()) == ["a"] * 25 + ["b0"] * 20 + ["b1"] * 20 + ["b2"] * 20
    assert not RuleError.objects.exists()
