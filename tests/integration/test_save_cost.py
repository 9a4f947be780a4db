"""What an accepted rule may cost a save: texts, rows, objects and bytes have a most, and beyond it the rule is told."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from rules_engine.models import Event, Execution, HeldMatch, RuleError
from rules_engine.testing import create_rule
from rules_engine.texts import allowance, render
from tests.zoo.models import Animal, Meal, Tag

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
    left = allowance.Allowance()
    with allowance.in_save(left):
        assert render("{{ a }}", {"a": 1}) == "1"
    assert 0 < left.left < allowance.SAVE_SECONDS
    assert allowance.of_save() is None


# Objects


def test_what_one_change_led_to_is_written_by_few_statements() -> None:
    create_rule(Tag, signals=["m2m_changed"], actions=[NAME], throttle_count=5, throttle_seconds=60)
    create_rule(Tag, signals=["m2m_changed"], actions=[NAME])
    statements = {}
    for count in (2, 40):
        animal = Animal.objects.create(name="a")
        tags = Tag.objects.bulk_create(Tag(name="t") for _ in range(count))
        with CaptureQueriesContext(connection) as captured:
            animal.tags.add(*tags)
        statements[count] = len(captured)
        told = Event.objects.filter(signal="m2m_changed", object_pk__in=[str(tag.pk) for tag in tags])
        assert told.count() == count
    assert statements[2] == statements[40]
    assert (Execution.objects.count(), HeldMatch.objects.count()) == (42, 42)
