"""What a match costs in the process, as calls of the engine's functions: bounded, with a fifth to spare."""

from __future__ import annotations

import pytest

from rules_engine import watching_bulk
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule
from tests.calls import calls_of
from tests.factories import make_many
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.name }}"})]


def create_rule_on_names(actions: int = 1) -> None:
    create_rule(
        Animal,
        changes=[{"field": "name", "to": "matched"}],
        condition={">": [{"var": "instance.legs"}, 0]},
        actions=LOG * actions,
    )


def calls_of_save() -> int:
    """Count those of a save that matches, once all is loaded and kept that one needs."""
    first, second = make_many([Animal(name="a"), Animal(name="b")])
    first.name = second.name = "matched"
    first.save()
    return calls_of(second.save)


def calls_of_update(rows: int) -> int:
    """Count those of a bulk write whose rows all match, once all is loaded and kept that one needs."""
    made = [make_many([Animal(name="a", weight="1.10") for _ in range(count)]) for count in (1, rows)]
    before = Event.objects.count()
    with watching_bulk():
        first, second = (Animal.objects.filter(pk__in=[animal.pk for animal in animals]) for animals in made)
        first.update(name="matched")
        calls = calls_of(lambda: second.update(name="matched"))
    assert Event.objects.count() == before + rows + 1
    return calls


def test_a_save_that_matches_calls_few_functions() -> None:
    create_rule_on_names()
    calls = calls_of_save()
    assert Event.objects.count() == 2
    assert calls <= 215


def test_a_rule_more_with_nine_actions_calls_few_functions() -> None:
    create_rule_on_names()
    one = calls_of_save()
    create_rule_on_names(actions=9)
    both = calls_of_save()
    assert Execution.objects.count() == 22
    assert both - one <= 100


def test_a_matched_row_of_a_bulk_write_calls_few_functions() -> None:
    create_rule_on_names()
    assert calls_of_update(60) - calls_of_update(20) <= 40 * 145
