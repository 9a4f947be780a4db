"""Every object that was touched is told once, as what it was: new or not, at each end of a relation, parent, child."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import pytest
from django.conf import LazySettings
from django.core import serializers
from django.core.exceptions import ValidationError
from django.db import connection, models
from django.db.models import Value, signals
from django.db.models.functions import Lower
from django.dispatch import Signal
from django.test.utils import CaptureQueriesContext

from rules_engine.models import Event
from rules_engine.testing import create_rule, run_due
from tests.factories import make_many
from tests.zoo.models import Animal, Cage, Club, Dog, Friend, GuardDog, Skill, Slip, Tag, Trainer, TrainerSkill

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]


def told(model: type[models.Model]) -> list[tuple[str, str, Any]]:
    """What became of the events of a model: operation, object and what changed."""
    events = Event.objects.filter(model=model._meta.label_lower).order_by("created_at", "pk")
    return [(event.operation, event.object_pk, event.context.get("changed")) for event in events]


def looks(captured: CaptureQueriesContext, model: type[models.Model]) -> list[str]:
    """The statements that read the model's table."""
    table = re.escape(connection.ops.quote_name(model._meta.db_table))
    return [one["sql"] for one in captured.captured_queries if re.match(rf"SELECT .*FROM {table}", one["sql"])]


# Is it new?


def test_an_update_that_is_forced_on_a_key_with_a_default_is_compared() -> None:
    ticket = Slip.objects.create(title="old")
    create_rule(Slip, changes=[{"field": "title"}], actions=LOG)
    Slip(id=ticket.pk, title="new").save(force_update=True)
    Slip(id=ticket.pk, title="new").save(force_update=True)
    assert told(Slip) == [("update", str(ticket.pk), ["title"])]


@pytest.mark.parametrize("title", ["new", "old"])
def test_loaded_data_over_a_row_with_a_default_key_is_compared(title: str) -> None:
    ticket = Slip.objects.create(title="old")
    create_rule(Slip, raw=True, changes=[{"field": "title"}], actions=LOG)
    text = serializers.serialize("json", [ticket]).replace("old", title)
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    assert told(Slip) == ([("update", str(ticket.pk), ["title"])] if title == "new" else [])


def test_a_rule_before_the_save_knows_a_forced_update_from_a_new_row() -> None:
    ticket = Slip.objects.create(title="old")
    create_rule(Slip, signals=["pre_save"], changes=[{"field": "title"}], actions=LOG)
    Slip(id=ticket.pk, title="new").save(force_update=True)
    Slip(title="another").save()
    assert [operation for operation, _pk, _changed in told(Slip)] == ["update", "create"]


@pytest.mark.parametrize(
    ("make", "model"),
    [
        (lambda: Cage().save(), Cage),
        (lambda: Cage.objects.create(name="x"), Cage),
        (lambda: Cage.objects.create(code="given"), Cage),
        (lambda: Slip().save(), Slip),
        (lambda: Slip.objects.create(id=uuid.uuid4()), Slip),
        (lambda: Animal.objects.create(name="a"), Animal),
        (lambda: Animal.objects.create(pk=77, name="a"), Animal),
        (lambda: Dog.objects.create(name="a"), Animal),
    ],
    ids=[
        "db_default",
        "db_default created",
        "db_default given",
        "default",
        "default given",
        "serial",
        "given",
        "child",
    ],
)
def test_an_insert_that_django_does_without_looking_is_not_looked_for(make: Any, model: type[models.Model]) -> None:
    name = {Cage: "name", Slip: "title"}.get(model, "name")
    for signal in ("post_save", "pre_save"):
        create_rule(model, signals=[signal], changes=[{"field": name}], actions=LOG)
    with CaptureQueriesContext(connection) as captured:
        make()
    # What the database has filled in is asked for once where an INSERT does not tell of it.
    is_told = connection.features.can_return_columns_from_insert or model is not Cage
    assert len(looks(captured, model)) == (0 if is_told else 1)
    assert {event.operation for event in Event.objects.all()} <= {"create"}


def test_a_copy_without_a_key_is_a_new_object_and_is_not_looked_for() -> None:
    animal = Animal.objects.create(name="a")
    create_rule(Animal, changes=[{"field": "name"}], actions=LOG)
    animal.pk = None
    with CaptureQueriesContext(connection) as captured:
        animal.save()
    assert looks(captured, Animal) == []
    assert told(Animal) == [("create", str(animal.pk), ["name"])]


# Parents and children


def test_a_parent_that_was_there_is_updated_and_not_created() -> None:
    animal = Animal.objects.create(name="pat")
    create_rule(Animal, slug="welcome", operations=["create"], actions=LOG)
    create_rule(Animal, slug="any", actions=LOG)
    create_rule(Dog, slug="dog", operations=["create"], actions=LOG)
    Dog(animal_ptr=animal, name="pat").save()
    matched = [(event.operation, one["rule"]) for event in Event.objects.all() for one in event.evaluations]
    assert sorted(pair for pair in matched if pair[1] != "welcome") == [("create", "dog"), ("update", "any")]
    assert not Event.objects.filter(executions__rule_slug="welcome").exists()


@pytest.mark.parametrize(("name", "changed"), [("pat", False), ("new", True)])
def test_a_parents_field_changes_when_it_does(name: str, changed: bool) -> None:
    animal = Animal.objects.create(name="pat")
    action = [("log_message", {"message": "{{ old.name }} {{ instance.name }}"})]
    create_rule(Animal, changes=[{"field": "name"}], actions=action)
    create_rule(Animal, signals=["pre_save"], changes=[{"field": "name", "from": "pat"}], actions=LOG)
    Dog(animal_ptr=animal, name=name).save()
    heard = [("update", "post_save"), ("update", "pre_save")] if changed else []
    assert sorted(Event.objects.values_list("operation", "signal")) == heard
    for event in Event.objects.filter(signal="post_save"):
        assert (event.context["old"]["name"], event.context["instance"]["name"]) == ("pat", "new")


def test_of_several_parents_each_is_new_or_not() -> None:
    animal = Animal.objects.create(name="pat")
    for model in (Animal, Dog, GuardDog):
        create_rule(model, slug=model._meta.model_name, actions=LOG)
    GuardDog(animal_ptr_id=animal.pk, id=animal.pk, name="pat").save()
    operations = {
        execution.rule_slug: event.operation for event in Event.objects.all() for execution in event.executions.all()
    }
    assert operations == {"animal": "update", "dog": "create", "guarddog": "create"}


def test_a_new_child_with_a_new_parent_is_one_event() -> None:
    create_rule(Animal, changes=[{"field": "name"}], actions=LOG)
    create_rule(Dog, actions=LOG)
    dog = Dog.objects.create(name="rex")
    assert [(operation, pk) for operation, pk, _changed in told(Dog)] == [("create", str(dog.pk))]


def test_a_loaded_child_does_not_empty_its_parent() -> None:
    dog = Dog.objects.create(name="rex", notes="good")
    create_rule(Animal, raw=True, changes=[{"field": "name"}], actions=LOG)
    create_rule(Animal, raw=True, actions=LOG)
    create_rule(Dog, slug="dog", raw=True, actions=[("log_message", {"message": "{{ instance.name }}"})])
    create_rule(
        Dog,
        slug="before",
        signals=["pre_save"],
        raw=True,
        condition={"==": [{"var": "instance.name"}, "rex"]},
        actions=LOG,
    )
    text = serializers.serialize("json", Dog.objects.all())  # holds the child's own columns alone
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    acted = {execution.rule_slug for event in Event.objects.all() for execution in event.executions.all()}
    assert acted == {"dog", "before"}
    run_due()
    assert {event.context["instance"].get("name") for event in Event.objects.all()} == {"rex"}
    assert Animal.objects.get(pk=dog.pk).name == "rex"


def test_a_child_that_is_loaded_beside_its_parent_has_the_parents_values() -> None:
    animal = Animal.objects.create(name="rex")
    created = {"==": [{"var": "instance.name"}, "rex"]}
    for signal in ("pre_save", "post_save"):
        create_rule(Dog, slug=signal, signals=[signal], operations=["create"], raw=True, condition=created, actions=LOG)
    text = json.dumps([{"model": "zoo.dog", "pk": animal.pk, "fields": {}}])
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    assert sorted(event.signal for event in Event.objects.all()) == ["post_save", "pre_save"]


# Relations


def test_each_object_at_the_other_end_is_told_however_many(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "ROWS_LIMIT": 3}
    tag = Tag.objects.create(name="t")
    animals = [Animal.objects.create(name=f"a{number}") for number in range(8)]
    create_rule(Animal, signals=["m2m_changed"], changes=[{"field": "tags"}], actions=LOG)
    tag.animals.add(*animals)
    assert sorted(pk for _operation, pk, _changed in told(Animal)) == sorted(str(animal.pk) for animal in animals)
    Event.objects.all().delete()
    tag.animals.clear()
    assert [operation for operation, _pk, _changed in told(Animal)] == ["clear"] * 8


@pytest.mark.parametrize("verb", ["add", "remove", "clear", "set"])
def test_both_ends_of_a_symmetrical_relation_are_told(verb: str) -> None:
    ann, bob, eve = (Friend.objects.create(name=name) for name in ("ann", "bob", "eve"))
    if verb != "add":
        ann.friends.add(bob)
    create_rule(Friend, signals=["m2m_changed"], changes=[{"field": "friends"}], actions=LOG)
    if verb == "clear":
        ann.friends.clear()
    elif verb == "set":
        ann.friends.set([eve])
    else:
        getattr(ann.friends, verb)(bob)
    ends = {
        (event.operation, event.object_pk, event.context["m2m"]["side"], *event.context["m2m"]["pks"])
        for event in Event.objects.all()
    }
    pair = {(verb, str(ann.pk), "own", bob.pk), (verb, str(bob.pk), "other", ann.pk)}
    if verb == "set":
        pair = {("remove", str(ann.pk), "own", bob.pk), ("remove", str(bob.pk), "other", ann.pk)}
        pair |= {("add", str(ann.pk), "own", eve.pk), ("add", str(eve.pk), "other", ann.pk)}
    assert ends == pair


def test_one_that_is_its_own_friend_is_told_once() -> None:
    ann = Friend.objects.create(name="ann")
    create_rule(Friend, signals=["m2m_changed"], changes=[{"field": "friends"}], actions=LOG)
    ann.friends.add(ann)
    assert len(told(Friend)) == 1


@pytest.mark.parametrize("from_other", [False, True])
def test_a_relation_with_a_direction_tells_each_end_what_it_is(from_other: bool) -> None:
    ann, bob = Friend.objects.create(name="ann"), Friend.objects.create(name="bob")
    create_rule(Friend, slug="follows", signals=["m2m_changed"], changes=[{"field": "follows"}], actions=LOG)
    create_rule(Friend, slug="followers", signals=["m2m_changed"], changes=[{"field": "followers"}], actions=LOG)
    if from_other:
        bob.followers.add(ann)
    else:
        ann.follows.add(bob)
    heard = {(event.executions.get().rule_slug, event.object_pk) for event in Event.objects.all()}
    assert heard == {("follows", str(ann.pk)), ("followers", str(bob.pk))}


@pytest.mark.parametrize("verb", ["add", "remove", "clear"])
@pytest.mark.parametrize("from_skill", [False, True])
def test_a_relation_by_another_column_tells_primary_keys(verb: str, from_skill: bool) -> None:
    trainer, skill = Trainer.objects.create(name="t"), Skill.objects.create(code="sit")
    Skill.objects.create(code="roll")
    if verb != "add":
        TrainerSkill.objects.create(trainer=trainer, skill=skill)
    for model, field in ((Trainer, "skills"), (Skill, "trainers")):
        some = {"some": [{"var": "m2m.objects"}, {"!=": [{"var": "pk"}, 0]}]}
        create_rule(model, signals=["m2m_changed"], changes=[{"field": field}], condition=some, actions=LOG)
    end, other = (skill.trainers, trainer) if from_skill else (trainer.skills, skill)
    end.clear() if verb == "clear" else getattr(end, verb)(other)
    ends = {(event.model, event.object_pk, *event.context["m2m"]["pks"]) for event in Event.objects.all()}
    assert ends == {("zoo.trainer", str(trainer.pk), skill.pk), ("zoo.skill", str(skill.pk), trainer.pk)}


def test_a_large_change_is_told_by_statements_of_bounded_size() -> None:
    club = Club.objects.create(name="c")
    animals = make_many([Animal(name=str(number)) for number in range(2_500)])
    create_rule(Club, signals=["m2m_changed"], changes=[{"field": "members"}], actions=LOG)
    club.members.add(*animals)
    [event] = Event.objects.all()
    assert event.context["m2m"]["count"] == 2_500


@pytest.mark.parametrize("heard", [signals.post_save, signals.m2m_changed])
def test_what_a_receiver_does_while_data_is_loaded_is_no_loading(heard: Signal) -> None:
    animal, other = Animal.objects.create(name="a"), Animal.objects.create(name="b")
    tag = Tag.objects.create(name="t")
    animal.tags.add(tag)
    text = serializers.serialize("json", [animal])
    animal.tags.clear()
    create_rule(Animal, signals=["m2m_changed"], changes=[{"field": "tags"}], actions=LOG)

    def tag_the_other(instance: models.Model, **_: Any) -> None:
        if instance.pk == animal.pk:
            other.tags.add(tag)

    heard.connect(tag_the_other)
    try:
        for loaded in serializers.deserialize("json", text):
            loaded.save()
    finally:
        heard.disconnect(tag_the_other)
    assert list(animal.tags.all()) == [tag]
    assert {(operation, pk) for operation, pk, _changed in told(Animal)} == {("add", str(other.pk))}


def test_another_objects_save_does_not_say_what_a_validation_is() -> None:
    tag = Tag.objects.create(name="old")
    veto = [("reject", {"message": "No changes."})]
    create_rule(Tag, signals=["pre_save"], operations=["update"], actions=veto)
    refused = []

    def validate_the_tag(**_: Any) -> None:
        with pytest.raises(ValidationError, match="No changes"):
            Tag(pk=tag.pk, name="new").full_clean(validate_unique=False)
        refused.append(tag)

    signals.post_save.connect(validate_the_tag, sender=Animal)
    try:
        Animal(name="a").save(force_insert=True)
    finally:
        signals.post_save.disconnect(validate_the_tag, sender=Animal)
    assert refused == [tag]


def test_what_no_rule_on_the_child_asks_for_is_not_read_of_it() -> None:
    animal = Animal.objects.create(name="pat")
    create_rule(Animal, changes=[{"field": "name"}], actions=LOG)
    dog = Dog(animal_ptr=animal, name=Lower(Value("NEW")))
    with CaptureQueriesContext(connection) as captured:
        dog.save()
    # Once, to see whether that row is there; the value that the database works out is read for the parent.
    assert len(looks(captured, Dog)) == 1
    assert [operation for operation, _pk, _changed in told(Dog)] == ["update"]
