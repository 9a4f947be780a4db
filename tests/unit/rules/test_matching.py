from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rules_engine.errors import ConditionError
from rules_engine.rules.matching import CompiledChange, CompiledRule, Contexts, early_stops, evaluate, match
from rules_engine.types import FieldChange, MatchSubject

#: A context without anything, for all rules.
EMPTY = Contexts({})
NOW = datetime(2026, 5, 6, tzinfo=UTC)


@dataclass
class Says:
    answer: bool | Exception

    def matches(self, data: Any, /) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Sees:
    """Holds where the rules share their context."""

    def matches(self, data: Any, /) -> bool:
        return bool(data["is_shared"])


def rule(slug: str, **given: Any) -> CompiledRule:
    return CompiledRule(slug=slug, version=1, model="zoo.animal", signals=frozenset({"post_save"}), **given)


def subject(changes: dict[str, FieldChange] | None = None) -> MatchSubject:
    return MatchSubject("post_save", "update", changes or {}, NOW)


def outcomes(
    rules: Sequence[CompiledRule],
    changes: dict[str, FieldChange] | None = None,
    contexts: Contexts = EMPTY,
) -> list[tuple[str, str, str | None]]:
    asked = [*rules, rule("always")]
    early, _ = early_stops(asked, subject(changes))
    found = match(asked, early, contexts)[: len(rules)]
    return [(one.rule_slug, one.outcome, one.gate) for one in found]


PAID = {"status": FieldChange("status", "draft", "paid")}


def test_a_rule_with_no_gates_matches() -> None:
    assert outcomes([rule("a")]) == [("a", "matched", None)]


def test_each_gate_says_where_a_rule_stopped() -> None:
    rules = [
        rule("a", operations=frozenset({"create"})),
        rule("b", changes=(CompiledChange("status"),)),
        rule("c", condition=Says(False)),
        rule("d", condition=Says(True)),
    ]
    assert outcomes(rules) == [
        ("a", "not_matched", "operations"),
        ("b", "not_matched", "changes"),
        ("c", "not_matched", "condition"),
        ("d", "matched", None),
    ]


def test_all_change_conditions_must_hold() -> None:
    both = (CompiledChange("status"), CompiledChange("total"))
    assert outcomes([rule("a", changes=both)], PAID) == [("a", "not_matched", "changes")]


def test_from_and_to_are_compared_only_where_they_are_given() -> None:
    rules = [
        rule("any", changes=(CompiledChange("status"),)),
        rule("to", changes=(CompiledChange("status", has_new=True, new="paid"),)),
        rule("from", changes=(CompiledChange("status", has_old=True, old="open"),)),
        rule("null", changes=(CompiledChange("status", has_old=True, old=None),)),
    ]
    assert [one[1] for one in outcomes(rules, PAID)] == ["matched", "matched", "not_matched", "not_matched"]


def test_a_condition_that_fails_is_an_error_of_its_rule_alone() -> None:
    rules = [rule("a", condition=Says(ConditionError("no"))), rule("b", condition=Says(True))]
    assert outcomes(rules) == [("a", "error", "condition"), ("b", "matched", None)]


def test_a_rule_that_cannot_be_tried_is_an_error_at_every_event() -> None:
    assert outcomes([rule("a", fault="its field is gone")]) == [("a", "error", "condition")]


def test_one_rule_alone_is_always_explained() -> None:
    assert evaluate(rule("a", condition=Says(False)), subject()).gate == "condition"


def test_a_context_is_read_only_for_rules_that_reach_their_condition() -> None:
    unchanged = rule("a", changes=(CompiledChange("x"),), condition=Says(True))
    _, left = early_stops([unchanged, rule("b"), rule("c", condition=Says(True))], subject())
    assert [asked.slug for asked in left] == ["c"]


def test_a_context_that_could_not_be_read_is_an_error_of_its_rule_alone() -> None:
    rules = [rule("a", condition=Says(True)), rule("b", condition=Says(True))]
    contexts = Contexts({}, {"a": ConditionError("gone")})
    assert outcomes(rules, contexts=contexts) == [("a", "error", "condition"), ("b", "matched", None)]


def test_a_rule_is_asked_about_its_own_context_where_it_has_one() -> None:
    rules = [rule("a", condition=Sees()), rule("b", condition=Sees())]
    contexts = Contexts({"is_shared": True}, {"a": {"is_shared": False}})
    assert [outcome for _, outcome, _ in outcomes(rules, contexts=contexts)] == ["not_matched", "matched"]


def test_there_is_nothing_to_tell_where_no_rule_matched_and_none_failed() -> None:
    rules = [rule("a", condition=Says(False))]
    assert match(rules, [None], Contexts({})) == []


def test_the_first_match_that_stops_processing_is_the_last_rule_tried() -> None:
    rules = [
        rule("a", condition=Says(False), stop_processing=True),
        rule("b", stop_processing=True),
        rule("c"),
    ]
    assert [one[0] for one in outcomes(rules)] == ["a", "b"]
