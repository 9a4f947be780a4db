"""An object of a model that inherits is one object, under whichever of its models it was recorded."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils.html import strip_tags

from rules_engine.admin.reading.on_object import rules_of_object
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal, Dog, Exhibit, GuardDog, OldAnimal, Statue

pytestmark = pytest.mark.django_db(transaction=True)

AUDIT = ("write_audit_entry", {"note": "x"})
LOG = ("log_message", {"message": "x"})
ALL_DOGS = ["zoo.dog", "zoo.animal", "zoo.guarddog", "zoo.oldanimal"]


def asked_by_root(rf: RequestFactory) -> Any:
    request = rf.get("/")
    request.user = get_user_model()(is_superuser=True, is_active=True)
    return request


def run(*arguments: str) -> str:
    said = StringIO()
    call_command(*arguments, stdout=said)
    return said.getvalue()


def recorded_dog() -> Dog:
    """A dog that was saved as each of its models, once with a rule that remembers it, and another one beside it."""
    create_rule(Animal, slug="audit", actions=[AUDIT])
    create_rule(GuardDog, slug="once", once=True, actions=[LOG])
    create_rule(OldAnimal, slug="once-old", once=True, actions=[LOG])
    dog = Dog.objects.create(name="Rex")
    for model in (Animal, OldAnimal, GuardDog):
        model.objects.get(pk=dog.pk).save()
    Dog.objects.create(name="Other")
    run_due()
    return dog


@pytest.mark.parametrize("label", ALL_DOGS)
@pytest.mark.parametrize("is_gone", [False, True])
def test_erasing_looks_under_every_model_of_the_object(label: str, is_gone: bool) -> None:
    dog = recorded_dog()
    pk = str(dog.pk)
    if is_gone:
        dog.delete()
        run_due()
    run("rules_erase", label, pk, "--no-input")
    for model in (Event, AuditEntry):
        assert model.objects.exists()
        assert not model.objects.filter(object_pk=pk).exists()
    assert not Execution.objects.filter(event__object_pk=pk).exists()
    assert not HeldMatch.objects.filter(once_key__endswith=f":{pk}").exists()


@pytest.mark.parametrize("label", ALL_DOGS)
def test_an_explanation_looks_under_every_model_of_the_object(label: str) -> None:
    dog = recorded_dog()
    create_rule(Dog, slug="on-dogs", condition={"==": [{"var": "instance.name"}, "x"]}, actions=[LOG])
    Dog.objects.get(pk=dog.pk).save()
    said = run("rules_explain", label, str(dog.pk))
    assert said.count("post_save (") == 5
    assert said.count("on-dogs") >= 1
    # As an animal it was saved twice, and a rule on dogs hears neither.
    as_animal = [part for part in re.split(r"\n(?=\d{4}-)", said) if "zoo.animal" in part.splitlines()[0]]
    assert all("on-dogs" not in part for part in as_animal)


@pytest.mark.parametrize("label", ALL_DOGS)
def test_the_page_that_says_why_looks_under_every_model(label: str, admin_client: Client) -> None:
    dog = recorded_dog()
    response = admin_client.get(reverse("admin:rules_engine_rule_why"), {"model": label, "pk": str(dog.pk)})
    page = strip_tags(response.content.decode())
    assert page.count("was updated") + page.count("was created") == 4
    assert "audit" in page


@pytest.mark.parametrize("model", [Dog, Animal, GuardDog, OldAnimal])
def test_the_objects_own_page_looks_under_every_model(model: Any, rf: RequestFactory) -> None:
    dog = recorded_dog()
    create_rule(GuardDog, slug="guards", actions=[LOG])
    shown = rules_of_object(model.objects.get(pk=dog.pk), asked_by_root(rf))
    assert [change.event.model for change in shown["changes"]] == ["zoo.dog", "zoo.animal", "zoo.animal"]
    assert [one.outcome for change in shown["changes"] for one in change.verdicts if one.name == "audit"] == [
        "acted"
    ] * 3
    assert {each["rule"].slug for each in shown["rules"]} == {"audit", "once", "once-old", "guards"}


def test_the_page_of_an_animal_that_is_no_dog_names_no_rules_on_dogs(rf: RequestFactory) -> None:
    recorded_dog()
    cat = Animal.objects.create(name="Tom")
    assert {each["rule"].slug for each in rules_of_object(cat, asked_by_root(rf))["rules"]} == {"audit", "once-old"}


@pytest.mark.parametrize(("label", "is_statue"), [("zoo.statue", True), ("zoo.exhibit", False)])
def test_a_child_with_a_key_of_its_own_is_found_by_its_link(label: str, is_statue: bool) -> None:
    create_rule(Exhibit, slug="audit", actions=[AUDIT])
    Exhibit.objects.create(title="first")
    statue = Statue.objects.create(title="David", number="D-1")
    Exhibit.objects.get(pk=statue.exhibit_id).save()
    run_due()
    run("rules_erase", label, "D-1" if is_statue else str(statue.exhibit_id), "--no-input")
    assert Event.objects.count() == AuditEntry.objects.count() == 1
    assert Event.objects.get().context["instance"]["title"] == "first"


@pytest.mark.parametrize("pk", ["x", "9" * 40, "", "(1, 2)"])
def test_a_key_that_no_row_can_have_is_nothing_recorded(pk: str) -> None:
    assert "Nothing is recorded of" in run("rules_erase", "zoo.exhibit", pk)
    assert "not recorded" in run("rules_explain", "zoo.statue", pk)
