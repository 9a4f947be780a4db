"""An event within EVENT_BYTES: which values are cut, what is left of them, and which rules are told."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examined
from hypothesis import strategies as st

from rules_engine.context.plain_data import CUT, size_of
from rules_engine.outbox.fitting import LEFT, NEVER_CUT, blind, fitted
from rules_engine.types import CutList, CutMapping, CutText
from tests.examples import examples
from tests.unit.compiled import NOTE, compiled

MOST = 10_000
LONG, LONGER = "x" * 7_500, "y" * 8_800


@pytest.fixture(autouse=True)
def few_bytes(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "EVENT_BYTES": MOST}


@pytest.mark.parametrize("length", [0, 2_000, 9_000])
def test_an_event_that_fits_is_kept_as_it_is(length: int) -> None:
    context = {"event": {"id": "1"}, "instance": {"name": "x" * length}}
    kept, paths = fitted(context)
    assert kept is context
    assert not paths


def test_an_event_of_exactly_that_size_fits_and_one_byte_more_does_not() -> None:
    context = {"instance": {"name": ""}}
    room = MOST - size_of(context)
    assert not fitted({"instance": {"name": "x" * room}})[1]
    assert fitted({"instance": {"name": "x" * (room + 1)}})[1] == [("instance", "name")]


@pytest.mark.parametrize(
    ("value", "left", "kind"),
    [
        ("x" * 15_000, "x" * LEFT + CUT, CutText),
        ([{"name": "x" * 15_000}], [CUT], CutList),
        ({"name": "x" * 15_000}, {CUT: CUT}, CutMapping),
    ],
)
def test_what_is_left_of_a_large_value_says_that_it_was_cut(value: Any, left: Any, kind: type) -> None:
    kept, paths = fitted({"instance": {"id": 5, "notes": value}})
    assert kept == {"instance": {"id": 5, "notes": left}}
    assert type(kept["instance"]["notes"]) is kind
    assert paths == [("instance", "notes")]


def test_the_largest_is_cut_first_and_no_more_than_has_to_be() -> None:
    kept, paths = fitted({"instance": {"notes": LONG, "words": LONGER, "name": "Rex"}})
    assert paths == [("instance", "words")]
    assert kept["instance"] == {"notes": LONG, "words": "y" * LEFT + CUT, "name": "Rex"}


def test_nothing_more_is_cut_once_it_just_fits() -> None:
    context = {"instance": {"notes": "x" * 9_000, "words": ""}}
    left = size_of({"instance": {"notes": "x" * LEFT + CUT, "words": ""}})
    for more, cut in ((0, 1), (1, 2)):
        context["instance"]["words"] = "y" * (MOST - left + more)
        assert len(fitted({"instance": {**context["instance"], "notes": "x" * 9_990}})[1]) == cut


def test_where_one_is_not_enough_the_next_is_cut_as_well() -> None:
    kept, paths = fitted({"instance": {"a": "x" * 10_200, "b": "x" * 10_100}, "signal": {"c": "x" * 10_300, "d": 1}})
    assert paths == [("signal", "c"), ("instance", "a"), ("instance", "b")]
    assert kept["signal"] == {"c": "x" * LEFT + CUT, "d": 1}


def test_a_part_that_is_no_mapping_is_cut_as_a_whole() -> None:
    kept, paths = fitted({"changed": ["x" * 100] * 120, "old": None, "instance": {"id": 5}})
    assert kept == {"changed": [CUT], "old": None, "instance": {"id": 5}}
    assert paths == [("changed",)]


@pytest.mark.parametrize("part", NEVER_CUT)
def test_what_everybody_reads_is_never_cut(part: str) -> None:
    context = {part: {"path": "x" * 15_000}, "instance": {"notes": LONG}}
    kept, paths = fitted(context)
    assert kept[part] == context[part]
    assert paths == [("instance", "notes")]


@pytest.mark.parametrize("length", [1, LEFT, LEFT + 1])
def test_a_text_is_marked_only_where_some_of_it_is_gone(length: int) -> None:
    # Numbers are not cut, so that nothing but the text can give way.
    numbers = {f"number_{at}": at for at in range(600)}
    kept, _paths = fitted({"instance": {**numbers, "name": "x" * length}})
    assert kept["instance"].items() >= numbers.items()
    assert kept["instance"]["name"] == "x" * min(length, LEFT) + (CUT if length > LEFT else "")


VALUES = st.one_of(
    st.integers(0, 9),
    st.none(),
    st.builds(lambda letter, times: letter * times, st.sampled_from("aü😀"), st.integers(0, 7_000)),
    st.lists(st.text("ab", max_size=40), max_size=40),
    st.dictionaries(st.sampled_from("abc"), st.just("x" * 3_000), max_size=3),
)
PARTS = st.dictionaries(st.sampled_from(["name", "notes", "data", "legs"]), VALUES, max_size=4)


@examined(max_examples=examples(80), deadline=None)
@given(st.dictionaries(st.sampled_from(["instance", "old", "signal", "changed"]), PARTS | VALUES, max_size=4))
def test_of_what_is_kept_only_the_told_paths_differ(context: dict[str, Any]) -> None:
    before = copy.deepcopy(context)
    kept, paths = fitted(context)
    # The context is still what conditions and actions in the process read.
    assert context == before
    assert list(kept) == list(context)
    assert bool(paths) == (size_of(context) > MOST)
    for name, part in context.items():
        if (name,) in paths:
            continue
        if not isinstance(part, dict):
            assert kept[name] == part
            continue
        assert list(kept[name]) == list(part)
        assert all(kept[name][key] == value for key, value in part.items() if (name, key) not in paths)
    assert size_of(kept) <= size_of(context)


READS_NAME = compiled("name", NOTE)
READS_ALL = compiled("all", condition={"!!": {"var": "instance.notes"}})
READS_WHOLE = compiled("whole", condition={"!!": {"var": "old"}})
READS_CHANGES = compiled("changes", condition={"in": ["name", {"var": "changed"}]})


@pytest.mark.parametrize(
    ("paths", "slugs"),
    [
        ([], []),
        ([("instance", "name")], ["name"]),
        ([("instance", "notes")], ["all"]),
        ([("instance", "notes"), ("instance", "name")], ["name", "all"]),
        ([("instance", "weight")], []),
        ([("instance",)], ["name", "all"]),
        ([("changed",)], ["changes"]),
        ([("old", "name")], ["whole"]),
        ([("old",)], ["whole"]),
        ([("actor", "name")], []),
    ],
)
def test_the_rules_that_read_what_was_cut_are_told(paths: Any, slugs: list[str]) -> None:
    assert list(blind([READS_NAME, READS_ALL, READS_WHOLE, READS_CHANGES], paths)) == slugs


def test_a_rule_is_told_what_was_cut_and_which_setting_to_raise() -> None:
    told = blind([READS_NAME], [("instance", "notes"), ("instance", "name")])["name"]
    assert (told.rule_slug, told.outcome) == ("name", "error")
    assert '"instance.name", which this rule reads, was cut' in told.detail
    assert "10,000 bytes" in told.detail
    assert "EVENT_BYTES" in told.detail
