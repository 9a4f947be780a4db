"""Each gate by itself, and that all who use the gates take the same ones: matching, test pages, Python, records."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules_engine.admin.records import events
from rules_engine.logic import jsonlogic
from rules_engine.rules.gates import (
    CHANGES,
    CONDITION,
    DATES,
    DRAW_BITS,
    GATES,
    LOADED_DATA,
    OPERATIONS,
    OWN_CHANGE,
    SAMPLE,
    SIGNALS,
    Gate,
    first_stop,
    sentence_of,
    title_of,
)
from rules_engine.rules.matching import CompiledChange, CompiledRule, Contexts, all_stops, early_stops, match, tried
from rules_engine.source import gates as in_python
from rules_engine.test import why
from rules_engine.test.gates_seen import all_seen, first_shut, state_of
from rules_engine.types import FieldChange, GateName, MatchSubject

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "rules.md"
NOW = datetime(2026, 5, 6, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
PAID = {"status": FieldChange("status", "draft", "paid")}
IS_PAID = jsonlogic.compile_condition({"==": [{"var": "instance.status"}, "paid"]})
IS_BIG = jsonlogic.compile_condition({">": [{"var": "instance.total"}, 100]})
#: Adding to a null is an error, not a false.
FAILS = jsonlogic.compile_condition({">": [{"+": [{"var": "instance.missing"}, 1]}, 100]})


def rule(slug: str = "r", **fields: Any) -> CompiledRule:
    return CompiledRule(slug=slug, version=1, model="shop.order", signals=frozenset({"post_save"}), **fields)


def subject(**fields: Any) -> MatchSubject:
    usual = {"signal": "post_save", "operation": "update", "changes": PAID, "now": NOW}
    return MatchSubject(**{**usual, "context": {"instance": {"status": "paid", "total": 5}}, **fields})


@dataclass(frozen=True)
class Example:
    """A rule and a subject that one gate alone keeps apart, and what that gate says."""

    gate: Gate
    rule: CompiledRule
    subject: MatchSubject
    detail: str


def example(gate: Gate, detail: str, asked: Mapping[str, Any], happened: Mapping[str, Any]) -> Example:
    return Example(gate, rule(**asked), subject(**happened), detail)


SHUT = [
    example(SIGNALS, "It does not listen to post_delete.", {}, {"signal": "post_delete"}),
    example(OWN_CHANGE, "Its own action made the change, and no rule sets off itself.", {}, {"caused_by": "r"}),
    example(LOADED_DATA, "Data was loaded, and it does not listen to that.", {}, {"is_loading": True}),
    example(DATES, "It is not active at that time.", {"active_from": NOW + MINUTE}, {}),
    example(DATES, "It is not active at that time.", {"active_until": NOW}, {}),
    example(SAMPLE, "By chance it is not in the sample.", {"sample": 0.0}, {"draw": 7}),
    example(OPERATIONS, "This was: update.", {"operations": frozenset({"create"})}, {}),
    example(OPERATIONS, "This was: a signal without operation.", {"operations": {"create"}}, {"operation": None}),
    example(CHANGES, "total did not change as asked.", {"changes": (CompiledChange("total"),)}, {}),
    example(CONDITION, "The condition is false.", {"condition": IS_BIG}, {}),
]
OPEN = [
    example(SIGNALS, "", {}, {}),
    example(OWN_CHANGE, "", {}, {"caused_by": "another"}),
    example(LOADED_DATA, "", {"raw": True}, {"is_loading": True}),
    example(DATES, "", {"active_from": NOW, "active_until": NOW + MINUTE}, {}),
    example(SAMPLE, "", {"sample": 0.0}, {"draw": None}),
    example(SAMPLE, "", {"sample": 0.01}, {"draw": 0}),
    example(OPERATIONS, "", {"operations": frozenset({"create", "update"})}, {}),
    example(CHANGES, "", {"changes": (CompiledChange("status", has_new=True, new="paid"),)}, {}),
    example(CONDITION, "", {"condition": IS_PAID}, {}),
]


def names(gates: Any) -> list[str]:
    return [gate.name for gate in gates]


@pytest.mark.parametrize("shut", SHUT, ids=lambda shut: shut.gate.name)
def test_a_gate_stops_a_rule_and_says_why(shut: Example) -> None:
    stop = first_stop(shut.rule, shut.subject)
    assert stop is not None
    assert (stop.gate, stop.outcome, stop.detail) == (shut.gate, "not_matched", shut.detail)
    assert stop.why() == shut.detail


@pytest.mark.parametrize("shut", SHUT, ids=lambda shut: shut.gate.name)
def test_a_page_shows_the_gate_that_is_shut_and_the_others_open(shut: Example) -> None:
    seen = all_seen(shut.rule, shut.subject)
    assert [gate.gate for gate in seen if gate.state != "open"] == [shut.gate]
    assert state_of(seen) == "shut"


@pytest.mark.parametrize("opened", OPEN, ids=lambda opened: opened.gate.name)
def test_a_gate_is_open_to_a_rule_that_asks_for_what_happened(opened: Example) -> None:
    assert opened.gate.stop(opened.rule, opened.subject) is None
    assert state_of(all_seen(opened.rule, opened.subject)) == "open"


def test_every_gate_is_tested_shut_and_open() -> None:
    assert {shut.gate for shut in SHUT} == {opened.gate for opened in OPEN} == set(GATES)


def test_a_gate_has_one_name_one_title_and_one_sentence() -> None:
    assert names(GATES) == list(get_args(GateName))
    assert len({gate.title for gate in GATES}) == len({gate.sentence for gate in GATES}) == len(GATES)


@pytest.mark.parametrize("shut", SHUT, ids=lambda shut: shut.gate.name)
def test_a_stored_detail_leads_back_to_its_sentence(shut: Example) -> None:
    found = sentence_of(shut.detail)
    assert found is not None
    sentence, what = found
    assert (sentence, sentence % {"what": what}) == (shut.gate.sentence, shut.detail)


@pytest.mark.parametrize("detail", ["", "Division by zero.", "This was: .", " did not change as asked."])
def test_any_other_detail_is_no_sentence_of_a_gate(detail: str) -> None:
    assert sentence_of(detail) is None


def test_what_is_no_gate_is_called_by_its_name() -> None:
    assert (title_of("dates"), title_of("weather"), title_of("")) == ("Its dates", "weather", "")


# Those who use them


#: Matching need not ask about signals: the receiver is not connected to others.
ASKED_BY_MATCHING = [shut for shut in SHUT if shut.gate is not SIGNALS]


@pytest.mark.parametrize("shut", ASKED_BY_MATCHING, ids=lambda shut: shut.gate.name)
def test_matching_stops_where_the_gate_is_shut(shut: Example) -> None:
    rules = tried([shut.rule, rule("always", raw=True)], shut.subject)
    early, _ = early_stops(rules, shut.subject)
    evaluations = match(rules, early, Contexts(jsonlogic.data_handle(dict(shut.subject.context))))
    said = {evaluation.rule_slug: (evaluation.gate, evaluation.detail) for evaluation in evaluations}
    assert said.get("r") == ((shut.gate.name, shut.detail) if shut.gate.is_recorded else None)
    assert said["always"] == (None, "")


def test_python_is_written_of_every_gate_or_why_not() -> None:
    tables = [in_python.CODE, in_python.COMMENTS, in_python.UNWRITTEN]
    assert sorted(name for table in tables for name in table) == sorted(names(GATES))


def test_the_record_of_an_event_calls_every_gate_it_may_name() -> None:
    assert list(events.GATES) == names(gate for gate in GATES if gate.is_recorded)


def test_the_reference_tells_of_every_gate_in_the_order_they_are_passed() -> None:
    _, _, section = REFERENCE.read_text(encoding="utf-8").partition("\n## Gates\n")
    assert re.findall(r"^\| `(\w+)` \|", section.partition("\n## ")[0], re.MULTILINE) == names(GATES)


def test_the_further_a_rule_came_the_nearer_it_was_to_acting() -> None:
    distances = [why.DISTANCES[gate.name] for gate in GATES]
    assert distances == sorted(distances, reverse=True)
    assert all(0 < distance < why.FARTHEST for distance in distances)


def test_a_rule_asks_only_the_gates_that_it_has() -> None:
    assert rule().moment_gates == rule().change_gates == ()
    whole = rule(sample=0.5, active_from=NOW, operations=frozenset({"create"}), changes=(CompiledChange("a"),))
    assert (whole.moment_gates, whole.change_gates) == ((DATES, SAMPLE), (OPERATIONS, CHANGES))


def test_a_rule_that_does_not_match_costs_no_new_stop() -> None:
    shut = SHUT[-2]
    assert shut.gate.stop(shut.rule, shut.subject) is shut.gate.stop(shut.rule, shut.subject)


# What they look at


def test_a_change_condition_is_shown_beside_what_happened() -> None:
    asked = CompiledChange("status", has_old=True, old="open", has_new=True, new="paid")
    [seen] = all_seen(rule(changes=(asked, CompiledChange("total"))), subject())
    assert [(change.asked, change.change, change.state) for change in seen.changes] == [
        ({"from": "open", "to": "paid"}, PAID["status"], "shut"),
        ({}, None, "shut"),
    ]


def test_a_condition_is_shown_with_its_trace() -> None:
    [seen] = all_seen(rule(condition=IS_PAID), subject())
    assert (seen.name, seen.state, bool(seen.tree)) == ("condition", "open", True)
    stop = first_shut(rule(condition=IS_BIG), subject())
    assert stop is not None
    assert stop.tree is None


def test_a_condition_that_fails_is_an_error_and_no_verdict() -> None:
    stop = first_stop(rule(condition=FAILS), subject())
    assert stop is not None
    assert (stop.gate, stop.outcome) == (CONDITION, "error")
    [seen] = all_seen(rule(condition=FAILS), subject())
    assert (seen.state, seen.detail) == ("error", stop.detail)


def test_a_rule_with_a_fault_is_an_error_at_its_condition() -> None:
    [seen] = all_seen(rule(fault="Its field is gone."), subject())
    assert (seen.name, seen.state, seen.detail, seen.tree) == ("condition", "error", "Its field is gone.", None)


def test_what_was_not_stored_gives_no_verdict() -> None:
    unknown = subject(changes={}, unknown=frozenset({"status"}))
    assert state_of(all_seen(rule(changes=(CompiledChange("status"),)), unknown)) == "not_recorded"
    missing = subject(missing=[("instance", "total")])
    [seen] = all_seen(rule(condition=IS_BIG), missing)
    assert (seen.state, seen.missing) == ("not_recorded", [("instance", "total")])


def test_one_change_that_is_known_not_to_hold_decides_for_all() -> None:
    asked = (CompiledChange("status"), CompiledChange("total"))
    known = subject(changes={}, unknown=frozenset({"status"}))
    assert state_of(all_seen(rule(changes=asked), known)) == "shut"


# Chance


def in_sample(slug: str, share: float) -> set[int]:
    """Of a thousand draws those that fall into the share of this rule."""
    draws = [random.Random(number).getrandbits(DRAW_BITS) for number in range(1000)]
    asked = rule(slug, sample=share)
    return {draw for draw in draws if SAMPLE.stop(asked, subject(draw=draw)) is None}


def test_a_sample_is_of_its_share() -> None:
    assert 200 < len(in_sample("a", 0.25)) < 300
    assert in_sample("a", 0.25) < in_sample("a", 0.75)


def test_the_samples_of_two_rules_are_not_of_the_same_events() -> None:
    assert 150 < len(in_sample("a", 0.5) & in_sample("b", 0.5)) < 350


# Matching and the pages that test agree

FIELDS = st.sampled_from(["status", "total"])
VALUES = st.sampled_from(["draft", "paid", 5, None])
ENDS = st.fixed_dictionaries({"has_old": st.booleans(), "old": VALUES, "has_new": st.booleans(), "new": VALUES})
TIMES = st.none() | st.sampled_from([NOW - MINUTE, NOW, NOW + MINUTE])
ASKED = st.fixed_dictionaries(
    {
        "operations": st.frozensets(st.sampled_from(["create", "update", "delete"]), max_size=2),
        "changes": st.lists(st.builds(lambda name, ends: CompiledChange(name, **ends), FIELDS, ENDS), max_size=2).map(
            tuple
        ),
        "condition": st.sampled_from([None, IS_PAID, IS_BIG, FAILS]),
        "raw": st.booleans(),
        "sample": st.sampled_from([1.0, 0.5, 0.0]),
        "active_from": TIMES,
        "active_until": TIMES,
        "reads_whole": st.booleans(),
    }
)
SOUND = st.builds(lambda slug, asked: rule(slug, **asked), st.sampled_from(["a", "b"]), ASKED)
FAULTY = st.builds(lambda slug: rule(slug, fault="It cannot be compiled."), st.sampled_from(["a", "b"]))
HAPPENED = st.fixed_dictionaries(
    {
        "operation": st.sampled_from(["create", "update", "delete", None]),
        "changes": st.dictionaries(FIELDS, st.tuples(VALUES, VALUES), max_size=2).map(
            lambda ends: {name: FieldChange(name, old, new) for name, (old, new) in ends.items()}
        ),
        "caused_by": st.sampled_from([None, "a", "c"]),
        "is_loading": st.booleans(),
        "draw": st.none() | st.integers(0, 2**DRAW_BITS - 1),
        "context": st.fixed_dictionaries({"status": VALUES, "total": st.sampled_from([5, 500, None])}).map(
            lambda instance: {"instance": instance}
        ),
    }
)


@given(st.lists(SOUND | FAULTY, max_size=4), HAPPENED)
def test_the_first_stop_of_matching_is_the_first_shut_gate_of_the_page(
    rules: list[CompiledRule], happened: dict[str, Any]
) -> None:
    event = subject(**happened)
    shown = [(asked, first_shut(asked, event)) for asked in rules]
    left = tried(rules, event)
    assert list(left) == [asked for asked, seen in shown if seen is None or seen.gate.is_recorded]
    early, _ = early_stops(left, event)
    stops, _ = all_stops(left, early, Contexts(jsonlogic.data_handle(dict(event.context))))
    by_page = [seen for _, seen in shown if seen is None or seen.gate.is_recorded]
    outcomes = {"shut": "not_matched", "error": "error"}
    assert [stop and (stop.gate, stop.outcome) for stop in stops] == [
        seen and (seen.gate, outcomes[seen.state]) for seen in by_page
    ]
