"""What a trigger tells of a save is what signals tell of it, whatever the types of the columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine.models import CapturedChange, Event, Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule, run_due
from tests.examples import FIXED, examples
from tests.factories import make_animals
from tests.ways_of_saving import ReadAll, put
from tests.zoo.every_field import GUISES
from tests.zoo.models import Capsule, Enclosure, EveryField, Meal, Ticket

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning"),
]
Install = Callable[..., None]
SETTINGS = settings(
    max_examples=examples(10),
    derandomize=FIXED,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
STEPS = st.lists(
    st.lists(
        st.sampled_from(sorted(GUISES)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(GUISES[name]))),
        min_size=1,
        max_size=8,
    ).map(dict),
    min_size=1,
    max_size=4,
)


class ReadAllAtOnce(ReadAll):
    """Reads all in the process of the save, and so is told by signals."""

    kind = "read_all_at_once"
    timings = ("in_transaction",)


@pytest.fixture
def both() -> Iterator[Callable[..., None]]:
    """Makes two rules on a model that read all, of which triggers tell the one and signals the other."""
    for action in (ReadAll, ReadAllAtOnce):
        registry.register_action(action)

    def made(model: type[models.Model], more: tuple[str, ...] = ()) -> None:
        ReadAll.more = more
        for action in (ReadAll, ReadAllAtOnce):
            create_rule(model=model, signals=["post_save", "post_delete"], actions=[(action.kind, {})])

    yield made
    ReadAll.more = ()
    for action in (ReadAll, ReadAllAtOnce):
        del registry._actions[action.kind]


def told_alike(write: Callable[[], Any]) -> None:
    """Compare what is told of one write in both ways."""
    Execution.objects.all().delete()
    Event.objects.all().delete()
    write()
    [by_signal] = Event.objects.all()
    run_due()
    [by_trigger] = Event.objects.exclude(pk=by_signal.pk)
    for part in ("instance", "old", "changed", "changes", "created", "actor", "request"):
        assert by_trigger.context[part] == by_signal.context[part], part
    for name in ("signal", "operation", "model", "object_pk", "decimals", "depth"):
        assert getattr(by_trigger, name) == getattr(by_signal, name), name
    assert not CapturedChange.objects.exists()


def test_every_type_of_field(install: Install, both: Callable[..., None]) -> None:
    both(EveryField, ("blob",))
    install(EveryField)

    @SETTINGS
    @given(STEPS)
    def holds(steps: list[Mapping[str, Any]]) -> None:
        row = EveryField()
        for values in steps:
            told_alike(put(row, values).save)
            row = EveryField._base_manager.get(pk=row.pk)
        told_alike(row.delete)

    holds()


@pytest.mark.parametrize(
    ("model", "steps"),
    [
        (Ticket, [{"price": "3.5"}, {"price": "3.50"}, {"price": 4}]),
        (Meal, [{"portions": 2, "grams": 0.1 + 0.2}, {"grams": 1e-300, "discount": "0.10"}]),
        (Capsule, [{"name": "a", "mail": "A@B.C", "tags": ["x", "y"], "loud": "a"}, {"spoken": "b", "sealed": "s"}]),
        (Enclosure, [{"house": 1, "number": 2, "name": "é'\"\\%s"}, {"name": "😀\n\t"}]),
    ],
)
def test_keys_and_fields_of_their_own_kinds(
    install: Install, both: Callable[..., None], model: type[models.Model], steps: list[Mapping[str, Any]]
) -> None:
    both(model)
    install(model)
    row = model(**({"animal": make_animals("a")[0]} if model in (Ticket, Meal) else {}))
    for values in steps:
        told_alike(put(row, values).save)
        # As it is in the database: some fields save another value than they leave with the object.
        row = model._base_manager.get(pk=row.pk)
    told_alike(row.delete)
