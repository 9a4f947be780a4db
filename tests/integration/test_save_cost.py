"""What an accepted rule may cost a save: texts, rows, objects and bytes have a most, and beyond it the rule is told."""

from __future__ import annotations

import pytest

from rules_engine.models import Execution, HeldMatch, RuleError
from rules_engine.testing import create_rule
from rules_engine.texts import allowance
from tests.zoo.models import Animal, Meal

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


def test_each_text_takes_at_most_half_of_what_is_left() -> None:
    with allowance.in_save():
        left = allowance.of_save()
        assert left is not None
        with left.spent():
            pass
        assert 0 < left.left < allowance.SAVE_SECONDS
    assert allowance.of_save() is None
