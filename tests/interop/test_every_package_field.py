"""The fields of other packages, written in every way of saving: told is what the database says before and after."""

from __future__ import annotations

import datetime
import zoneinfo
from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import cycle, islice
from typing import Any

import pytest
from django.utils import translation
from djmoney.money import Money
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine.models import Event, RuleError
from rules_engine.rules import registry
from rules_engine.testing import create_rule
from tests.examples import examples
from tests.interop.models import Colors, Packaged, PackagedChild, PackagedProxy
from tests.ways_of_saving import INHERITED, WAYS, Kinds, ReadAll, differences, stored

pytestmark = pytest.mark.django_db
KINDS = Kinds(Packaged, PackagedChild, PackagedProxy)
GUISES: Mapping[str, list[Any]] = {
    "title": ["", "one", "two"],
    "title_de": [None, "eins"],
    "phone": ["", "030 123456", "+49 30 123456", "+493012345"],
    "zone": ["UTC", zoneinfo.ZoneInfo("UTC"), "Europe/Berlin"],
    # With their currency: django-money itself cannot save a bare amount where the currency was deferred.
    "fee": [Money(0, "EUR"), Money("1.5", "EUR"), Money(Decimal("1.50"), "EUR"), Money(2, "USD")],
    "fee_currency": ["EUR", "USD"],
    "colors": [Colors(), Colors(color="blue"), {"color": "blue"}, Colors(shades=2)],
    "body": [[], [("line", "a")], '[{"type": "line", "value": "b", "id": "1"}]', [("day", datetime.date(2026, 3, 1))]],
    "sealed": [None, "", "a", "b"],
}
STEPS = st.lists(
    st.tuples(
        st.sampled_from(sorted(INHERITED)),
        st.sampled_from(["en", "de"]),
        st.lists(
            st.sampled_from(sorted(GUISES)).flatmap(
                lambda name: st.tuples(st.just(name), st.integers(0, len(GUISES[name]) - 1))
            ),
            min_size=1,
            max_size=4,
        ),
    ),
    min_size=1,
    max_size=4,
)


@pytest.fixture(autouse=True)
def _rule() -> Iterator[None]:
    registry.register_action(ReadAll)
    ReadAll.more = ()
    create_rule(model=Packaged, signals=["post_save"], raw=True, actions=[(ReadAll.kind, {})])
    yield
    del registry._actions[ReadAll.kind]


def write(row: Any, way: str, values: Mapping[str, Any], language: str) -> None:
    """Write the values in that way, and compare what is told with what the database says.

    Not ``title`` by ``update_fields``: django-modeltranslation then writes the column of a language as well, which
    is not among the fields that Django says are written.
    """
    if way == "child's update_fields":
        values = {name: value for name, value in values.items() if name != "title"} or {"zone": "UTC"}
    before = stored(KINDS, row.pk)
    Event.objects.all().delete()
    with translation.override(language):
        (INHERITED if isinstance(row, PackagedChild) else WAYS)[way](KINDS, row.pk, values)
    assert not RuleError.objects.exists()
    after = stored(KINDS, row.pk)
    assert differences(KINDS, after if way == "save twice" else before, after) == []


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", sorted(GUISES))
def test_each_guise_of_a_value_is_told_as_it_is_stored(name: str, language: str) -> None:
    row = Packaged.objects.create()
    ways = cycle(WAYS)
    for value in GUISES[name]:
        for way in islice(ways, 4):
            write(row, way, {name: value}, language)


@settings(
    max_examples=examples(40), derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
@given(is_child=st.booleans(), steps=STEPS)
def test_many_values_at_once_are_told_as_they_are_stored(is_child: bool, steps: list[Any]) -> None:
    row = (PackagedChild if is_child else Packaged).objects.create()
    for way, language, values in steps:
        write(
            row, way if is_child or way in WAYS else "save", {name: GUISES[name][at] for name, at in values}, language
        )
