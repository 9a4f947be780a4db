"""Whatever is written, a bulk write is told as the same saves one by one: the same rules match, and read the same."""

from __future__ import annotations

from collections.abc import Callable, Collection
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine import paused, watching_bulk
from rules_engine.models import Event
from rules_engine.testing import create_rule
from tests.examples import FIXED, examples
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db

UNTIMED = settings(deadline=None, database=None, suppress_health_check=list(HealthCheck))
SETTINGS = settings(UNTIMED, max_examples=examples(60), derandomize=FIXED)
SIGNALS = frozenset({"pre_save", "post_save"})
NAMES = ("", "a", "b", "ä", "10")
LEGS = (-1, 0, 2, 4, 9)
WEIGHTS = (None, Decimal(0), Decimal("9.99"), Decimal(10), Decimal("10.01"), Decimal("99999.99"))
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(NAMES),
            "legs": st.sampled_from(LEGS),
            "weight": st.sampled_from(WEIGHTS),
            "data": st.sampled_from(({}, {"a": [1]})),
        }
    ),
    min_size=1,
    max_size=5,
)
WRITTEN = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(NAMES),
        "legs": st.sampled_from((*LEGS, F("legs") + 1, F("legs"))),
        "weight": st.sampled_from((*WEIGHTS, F("weight") * 2, "10", 10)),
        "data": st.sampled_from(({}, {"a": [1]})),
        "keeper": st.booleans(),
    },
).filter(bool)
ACTION = (
    "log_message",
    {"message": "{{ instance.name }} {{ instance.weight }} {{ old.legs }} {{ changes.weight.new }}"},
)
#: Bounds, constants, relations, what fails, what reads what was there; each asks for a change, so that "old" is read.
CONDITIONS: tuple[Any, ...] = (
    None,
    {">": [{"var": "instance.weight"}, 10]},
    {">=": [10, {"var": "instance.weight"}]},
    {"and": [{"==": [{"var": "instance.name"}, "a"]}, {"<": [{"var": "instance.legs"}, 4]}]},
    {"in": [{"var": "instance.name"}, ["b", "ä"]]},
    {"==": [{"var": "instance.keeper.name"}, "k"]},
    {"==": [{"var": "old.legs"}, {"var": "instance.legs"}]},
    {"and": [{"<": [{"+": [{"var": "instance.name"}, 1]}, 20]}, {">": [{"var": "instance.legs"}, 1]}]},
    {"!!": [{"var": "instance.data.a"}]},
)
CHANGES: tuple[Any, ...] = (
    [{"field": "legs"}],
    [{"field": "weight", "to": "10.00"}],
    [{"field": "name", "from": "a"}],
    [],
)


@pytest.fixture
def _rules() -> None:
    for number, condition in enumerate(CONDITIONS):
        for place, changes in enumerate(CHANGES):
            create_rule(
                model=Animal,
                signals=["pre_save", "post_save"] if place == 0 else ["post_save"],
                condition=condition,
                changes=changes,
                actions=[ACTION],
                slug=f"r{number}-{place}",
            )


def told(write: Callable[[], Any], signals: Collection[str] = SIGNALS) -> list[Any]:
    """What is told of a write that is undone: of each object the rules that matched or failed, and the context."""
    with transaction.atomic():
        write()
        found = [
            (
                event.signal,
                event.operation,
                event.object_pk if event.operation == "update" else "",
                {one["rule"]: one.get("detail") for one in event.evaluations if one["outcome"] != "not_matched"},
                {name: value for name, value in event.context.items() if name != "event"},
            )
            for event in Event.objects.filter(signal__in=signals).order_by("id")
        ]
        transaction.set_rollback(True)
    return sorted(found, key=repr)


@pytest.mark.usefixtures("_rules")
@given(rows=ROWS, values=WRITTEN)
@SETTINGS
def test_an_update_is_told_as_saves_are(rows: list[dict[str, Any]], values: dict[str, Any]) -> None:
    with transaction.atomic():
        keeper = Keeper.objects.create(name="k")
        if "keeper" in values:
            values = {**values, "keeper": keeper if values["keeper"] else None}
        Animal.objects.bulk_create([Animal(**row) for row in rows])

        def one_by_one() -> None:
            for animal in Animal.objects.order_by("pk"):
                for name, value in values.items():
                    setattr(animal, name, value)
                animal.save(update_fields=list(values))

        def together() -> None:
            with watching_bulk():
                Animal.objects.update(**values)

        # Before a save nobody knows what an expression will come to; after a bulk write it is there.
        known = [value for value in values.values() if not hasattr(value, "resolve_expression")]
        signals = SIGNALS if len(known) == len(values) else {"post_save"}
        assert told(together, signals) == told(one_by_one, signals)
        transaction.set_rollback(True)


@pytest.mark.usefixtures("_rules")
@given(rows=ROWS)
@SETTINGS
def test_objects_created_together_are_told_as_saves_are(rows: list[dict[str, Any]]) -> None:
    with transaction.atomic():
        keeper = Keeper.objects.create(name="k")

        def made() -> list[Animal]:
            return [Animal(**row, keeper=keeper if row["legs"] > 0 else None) for row in rows]

        def one_by_one() -> None:
            for animal in made():
                animal.save(force_insert=True)

        def together() -> None:
            with watching_bulk():
                Animal.objects.bulk_create(made())

        assert told(together) == told(one_by_one)
        transaction.set_rollback(True)


@pytest.mark.usefixtures("_rules")
def test_what_is_compared_is_not_nothing() -> None:
    with paused():
        Animal.objects.create(name="a", legs=2, weight=Decimal(20))

    def together() -> None:
        with watching_bulk():
            Animal.objects.update(legs=3)

    [(_, operation, _, rules, context), (before, *_)] = told(together)
    assert before == "pre_save"
    assert operation == "update"
    assert {"r0-0", "r1-0", "r3-0"} <= rules.keys()
    assert context["old"]["legs"] == 2
