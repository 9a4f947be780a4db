"""Every type of field, written in every way of saving: told is what the database says before and after.

``PROPERTY_EXAMPLES`` runs more examples, each time others; the fixed set is always the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import cycle, islice
from typing import Any

import pytest
from django.db import connection, models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine.models import Event, RuleError
from rules_engine.rules import registry
from rules_engine.testing import create_rule
from tests.examples import FIXED, examples
from tests.ways_of_saving import INHERITED, WAYS, Kinds, ReadAll, differences, is_same, stored
from tests.zoo.every_field import GUISES
from tests.zoo.models import EveryChild, EveryField, EveryProxy

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.filterwarnings("ignore:DateTimeField:RuntimeWarning"),
]
SETTINGS = settings(
    max_examples=examples(40),
    derandomize=FIXED,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
KINDS = Kinds(EveryField, EveryChild, EveryProxy)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(INHERITED)),
        st.lists(
            st.sampled_from(sorted(GUISES)).flatmap(
                lambda name: st.tuples(st.just(name), st.integers(0, len(GUISES[name]) - 1))
            ),
            min_size=1,
            max_size=6,
        ),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(autouse=True)
def _rule() -> Iterator[None]:
    registry.register_action(ReadAll)
    ReadAll.more = ("blob",)
    create_rule(model=EveryField, signals=["post_save"], raw=True, actions=[(ReadAll.kind, {})])
    yield
    del registry._actions[ReadAll.kind]


def kept(value: Any) -> Any:
    """The value, or one of 64 bits for a wider number in JSON, of which MySQL (not MariaDB) keeps a float."""
    is_wide = type(value) is int and value >= 2**64
    return 2**53 + 1 if is_wide and connection.vendor == "mysql" and not connection.mysql_is_mariadb else value


def written(row: models.Model, way: str, values: Mapping[str, Any]) -> None:
    """Write the values in that way, and compare what is told with what the database says."""
    before = stored(KINDS, row.pk)
    Event.objects.all().delete()
    ways = INHERITED if isinstance(row, EveryChild) else WAYS
    ways[way](KINDS, row.pk, {name: kept(value) for name, value in values.items()})
    assert not RuleError.objects.exists()
    if way == "save twice":
        before = stored(KINDS, row.pk) | {"touched": before["touched"]}
    assert [line for line in differences(KINDS, before, stored(KINDS, row.pk)) if not _is_time(way, line)] == []


def _is_time(way: str, line: str) -> bool:
    # What stamps itself has changed in between.
    return way == "save twice" and line.startswith("touched")


@pytest.mark.parametrize("name", sorted(GUISES))
def test_each_guise_of_a_value_is_told_as_it_is_stored(name: str) -> None:
    row = EveryField.objects.create()
    ways = cycle(WAYS)
    for value in GUISES[name]:
        for way in islice(ways, 4):
            written(row, way, {name: value})


@SETTINGS
@given(is_child=st.booleans(), steps=STEPS)
def test_many_values_at_once_are_told_as_they_are_stored(is_child: bool, steps: list[Any]) -> None:
    row = (EveryChild if is_child else EveryField).objects.create()
    for way, values in steps:
        written(row, way if is_child or way in WAYS else "save", {name: GUISES[name][at] for name, at in values})


@pytest.mark.parametrize("name", sorted(GUISES))
def test_a_new_object_is_told_as_it_is_stored(name: str) -> None:
    for value in GUISES[name]:
        Event.objects.all().delete()
        row = EveryField.objects.create(**{name: kept(value)})
        told = Event.objects.get().captured().context["instance"]
        after = stored(KINDS, row.pk)
        assert [column for column in after if column in told and not is_same(told[column], after[column])] == []
