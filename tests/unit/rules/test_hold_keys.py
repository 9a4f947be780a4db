"""The keys by which matches are counted and taken together: as long as an index takes, and one for each text."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.rules.holding import LONGEST_HOLD_KEY, hold_of, key_of_text, object_key
from rules_engine.types import Event, RuleSpec
from tests.examples import examples

ID = uuid.UUID(int=1)
AT = datetime(2031, 5, 6, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=40) | st.builds(
    lambda letter, number, last: letter * number + last,
    st.sampled_from("aü😀"),
    st.integers(180, 300),
    st.sampled_from("xyz"),
)
ENDINGS = st.sampled_from(["", "@1", "@1234567890"])


def event(**fields: Any) -> Event:
    values = {"model": "zoo.animal", "pk": 7, "context": {"instance": {"name": "Rex", "legs": 4}}, **fields}
    return Event(ID, "post_save", "update", occurred_at=AT, root_id=ID, depth=0, **values)


def keys(rule: dict[str, Any], transaction: str = "9", **fields: Any) -> dict[str, str]:
    hold = hold_of(RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), **rule))
    assert hold is not None
    return hold.keys("zoo.animal", event(**fields), transaction)


@settings(max_examples=examples(150), deadline=None)
@given(TEXTS, TEXTS, ENDINGS)
def test_each_text_has_a_key_of_its_own_that_fits_its_column(one: str, other: str, ending: str) -> None:
    key = key_of_text(one, ending)
    assert len(key) <= LONGEST_HOLD_KEY
    assert key.endswith(ending)
    # A longer one keeps its beginning, for people; two that begin alike are told apart all the same.
    assert one.startswith(key.removesuffix(ending).rpartition("#")[0] if len(one + ending) > LONGEST_HOLD_KEY else "")
    assert (key == key_of_text(other, ending)) == (one == other)


@pytest.mark.parametrize(("length", "is_cut"), [(255, False), (256, True), (5_000, True)])
def test_a_key_is_cut_just_where_its_column_ends(length: int, is_cut: bool) -> None:
    key = key_of_text("x" * length)
    assert len(key) == LONGEST_HOLD_KEY
    assert ("#" in key) is is_cut
    assert key.startswith("x" * 190)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"throttle_count": 1, "throttle_seconds": 60}, {}),
        ({"throttle_count": 1, "throttle_seconds": 60, "throttle_by": "{{ instance.name }}"}, {"throttle_key": "Rex"}),
        ({"coalesce_seconds": 60}, {"coalesce_key": "zoo.animal:7"}),
        ({"coalesce_seconds": 60, "coalesce_by": "all"}, {"coalesce_key": "all"}),
        # What is taken together at once is so within one transaction.
        ({"coalesce_seconds": 0}, {"coalesce_key": "zoo.animal:7@9"}),
        ({"coalesce_seconds": 0, "coalesce_by": "{{ instance.legs }}"}, {"coalesce_key": "4@9"}),
        ({"once": True}, {"once_key": "zoo.animal:7"}),
        (
            {"once": True, "throttle_count": 1, "throttle_seconds": 1, "throttle_by": "a"},
            {"once_key": "zoo.animal:7", "throttle_key": "a"},
        ),
    ],
)
def test_what_is_counted_and_taken_together_goes_by_its_text(rule: Any, expected: dict[str, str]) -> None:
    assert keys(rule) == {"throttle_key": "", "coalesce_key": "", "once_key": ""} | expected


@pytest.mark.parametrize(
    "rule",
    [{"throttle_count": 1, "throttle_seconds": 60}, {"coalesce_seconds": 60, "coalesce_by": "all"}, {"once": True}],
)
def test_what_happens_in_two_schemas_is_counted_by_itself(rule: dict[str, Any]) -> None:
    places = ["", '"one"', '"two"']
    assert len({str(keys(rule, surroundings=place)) for place in places}) == 3


def test_an_object_is_the_same_one_by_the_rules_model() -> None:
    assert object_key("zoo.Animal", event(model="zoo.dog")) == "zoo.animal:7"
    assert object_key("", event(model="zoo.dog", pk="a/b")) == "zoo.dog:a/b"
    assert object_key("", event(model="", pk=None)) == object_key("zoo.animal", event(model="", pk=None)) == ""


@pytest.mark.parametrize(
    "fields",
    [{}, {"throttle_count": 5}, {"throttle_seconds": 5}, {"debounce": True}, {"throttle_by": "a", "coalesce_by": "b"}],
)
def test_what_lacks_its_number_holds_nothing_back(fields: dict[str, Any]) -> None:
    assert hold_of(RuleSpec(slug="r", model="zoo.animal", signals=("post_save",), **fields)) is None
