"""From a rule as written to one that can be tried: what is in a version, and that no rule breaks another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from rules_engine.live.compiler import compile_rule, content_of, digest_of
from rules_engine.rules.gates import CHANGES, DATES, OPERATIONS, SAMPLE
from rules_engine.rules.matching import CompiledChange
from rules_engine.types import ActionSpec, RuleSpec

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
RULE = RuleSpec(slug="r", name="R", model="zoo.animal", signals=("post_save",))


def log(message: str = "It changed.", **fields: Any) -> ActionSpec:
    return ActionSpec("log_message", {"message": message}, **fields)


@pytest.mark.parametrize("fields", [{"enabled": False}, {"author_id": 7}, {"each": ("instance", "tags")}])
def test_who_wrote_a_rule_and_whether_it_is_on_makes_no_version(fields: dict[str, Any]) -> None:
    assert digest_of(content_of(replace(RULE, **fields))) == digest_of(content_of(RULE))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Another"},
        {"signals": ("pre_save",)},
        {"condition": {"!!": [{"var": "instance.name"}]}},
        {"condition": {"==": [1, 1.0]}},
        {"actions": (log(),)},
        {"active_from": NOON},
        {"shadow": True},
    ],
)
def test_what_a_rule_does_makes_a_version(fields: dict[str, Any]) -> None:
    assert digest_of(content_of(replace(RULE, **fields))) != digest_of(content_of(RULE))


def test_one_moment_is_one_version_in_whatever_time_zone_it_is_written() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=9)))
    assert content_of(replace(RULE, active_from=there)) == content_of(replace(RULE, active_from=NOON))


def test_a_compiled_rule_holds_what_matching_asks() -> None:
    condition = {">": [{"var": "instance.legs"}, 3]}
    changes = ({"field": "weight", "from": None, "to": "5.5"}, {"field": "tags"})
    rule = replace(
        RULE, operations=("update",), changes=changes, condition=condition, sample_percent=25, active_from=NOON
    )
    compiled = compile_rule(rule, 3)
    assert (compiled.slug, compiled.version, compiled.fault) == ("r", 3, "")
    assert compiled.reads == {("instance", "legs")}
    assert compiled.changes == (
        CompiledChange("weight", has_old=True, old=None, has_new=True, new=Decimal("5.50")),
        CompiledChange("tags"),
    )
    assert (compiled.sample, compiled.moment_gates, compiled.change_gates) == (
        0.25,
        (DATES, SAMPLE),
        (OPERATIONS, CHANGES),
    )


def test_a_change_of_a_relation_is_compared_as_its_column_holds_it() -> None:
    [change] = compile_rule(replace(RULE, changes=({"field": "keeper", "to": "7"},)), 1).changes
    assert (change.field, change.new) == ("keeper", 7)


def test_actions_that_are_off_are_left_out_and_others_reads_are_known() -> None:
    actions = (log("{{ instance.name }}", position=1), log("{{ instance.legs }}", position=2, enabled=False))
    compiled = compile_rule(replace(RULE, actions=actions), 1)
    assert [action.position for action in compiled.actions] == [1]
    assert compiled.action_reads == {("instance", "name")}


def test_a_path_that_is_gone_does_not_keep_an_event_from_being_recorded() -> None:
    compiled = compile_rule(replace(RULE, actions=(log("{{ instance.wings }} {{ instance.name }}"),)), 1)
    assert (compiled.action_reads, compiled.fault) == ({("instance", "name")}, "")


def test_a_kind_that_is_not_here_waits_where_others_do() -> None:
    [action] = compile_rule(replace(RULE, actions=(ActionSpec("of_another_site", {}),)), 1).actions
    assert (action.queue, action.lane) == ("rules", "")


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"condition": {"=": [1, 2]}}, '"=="'),
        ({"condition": {"!!": [{"var": "instance.wings"}]}}, "no field"),
        ({"changes": ({"field": "wings"},)}, "wings"),
        ({"changes": ({"field": "legs", "to": "many"},)}, "ValidationError"),
        ({"changes": ("legs",)}, "Expected an object"),
        ({"model": 7}, "Expected a label"),
        ({"actions": (ActionSpec("log_message", "text"),)}, "Expected an object"),  # type: ignore[arg-type]
        ({"actions": (log(for_each={"nonsense": []}),)}, "nonsense"),
    ],
)
def test_whatever_is_written_in_a_rule_is_a_fault_and_never_raised(fields: dict[str, Any], fault: str) -> None:
    compiled = compile_rule(replace(RULE, **fields), 1)
    assert fault in compiled.fault
    assert (compiled.actions, compiled.condition, compiled.changes) == ((), None, ())


def test_a_fault_is_told_in_the_sites_language_whoever_loads_rules() -> None:
    broken = replace(RULE, condition={"!!": [{"var": "instance.wings"}]})
    with translation.override("de"):
        in_german = compile_rule(broken, 1).fault
    assert in_german == compile_rule(broken, 1).fault
