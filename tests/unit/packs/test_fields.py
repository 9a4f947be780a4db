"""What may stand in the fields of a pack's objects, and what is said of all else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import models

from rules_engine.models import Rule, RuleAction, RuleTest
from rules_engine.packs.fields import ACTION_FIELDS, RULE_FIELDS, brief, field_problems, value_problems

RULE = {"slug": "rule", "name": "Rule", "signals": ["post_save"]}
ACTION = {"rule": ["rule"], "kind": "log_message"}
OF_SCHEDULE = 'Expected an object such as {"kind": "every", "each": "day", "at": "08:00"}, or null, and got '
OF_CHANGES = 'Expected a list of objects, such as [{"field": "status", "to": "paid"}], and got '


def told(model: type[models.Model], values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(problem.pointer, problem.message) for problem in field_problems(model, values)]


@pytest.mark.parametrize(("model", "values"), [(Rule, RULE), (RuleAction, ACTION)])
def test_what_is_required_is_enough(model: type[models.Model], values: dict[str, Any]) -> None:
    assert told(model, values) == []
    for name in values:
        rest = {key: value for key, value in values.items() if key != name}
        assert told(model, rest) == [(f"/{name}", f'Expected "{name}", and it is missing.')]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slug", "a-b_1"),
        ("description", ""),
        ("enabled", False),
        ("signals", []),
        ("changes", [{"field": "a"}]),
        ("condition", None),
        ("condition", {"==": [1, 1]}),
        ("position", 0),
        ("sample_percent", 100),
        ("active_from", None),
        ("active_from", "2031-05-06T08:00:00Z"),
        ("active_until", datetime(2031, 5, 6, tzinfo=UTC)),
        ("throttle_count", None),
        ("throttle_seconds", 60),
        ("coalesce_seconds", 0),
        ("debounce", True),
    ],
)
def test_what_a_field_takes_is_taken(name: str, value: Any) -> None:
    assert list(value_problems(Rule, name, value)) == []


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("slug", None, "Expected text, and got None."),
        ("slug", 5, "Expected text, and got 5."),
        ("name", ["a"], "Expected text, and got a list."),
        ("enabled", 1, "Expected true or false, and got 1."),
        ("enabled", "true", "Expected true or false, and got 'true'."),
        ("position", True, "Expected a whole number, and got True."),
        ("position", 1.5, "Expected a whole number, and got 1.5."),
        ("throttle_count", "5", "Expected a whole number, or null, and got '5'."),
        ("throttle_count", False, "Expected a whole number, or null, and got False."),
        ("signals", "post_save", "Expected a list of texts, such as [\"post_save\"], and got 'post_save'."),
        ("signals", ["a", 1], 'Expected a list of texts, such as ["post_save"], and got a list.'),
        ("signals", {}, 'Expected a list of texts, such as ["post_save"], and got an object.'),
        ("schedule", "daily", f"{OF_SCHEDULE}'daily'."),
        ("schedule", [{"kind": "every"}], f"{OF_SCHEDULE}a list."),
        ("labels", "billing", "Expected a list of texts, such as [\"billing\"], or null, and got 'billing'."),
        ("labels", [1], 'Expected a list of texts, such as ["billing"], or null, and got a list.'),
        ("changes", {"field": "status"}, f"{OF_CHANGES}an object."),
        ("changes", ["status"], f"{OF_CHANGES}a list."),
    ],
)
def test_a_value_of_another_type_is_said(name: str, value: Any, message: str) -> None:
    [problem] = value_problems(Rule, name, value)
    assert (problem.pointer, problem.message) == (f"/{name}", message)


@pytest.mark.parametrize("value", ["soon", "2031-13-01T00:00:00Z", 5, True, [], {}, ""])
def test_a_time_that_is_none_is_refused(value: Any) -> None:
    [problem] = value_problems(Rule, "active_from", value)
    assert problem.message.startswith('Expected a time such as "2031-05-06T08:00:00Z", or null, and got')


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slug", "a b"),
        ("slug", "<b>"),
        ("slug", "x" * 101),
        ("slug", ""),
        ("name", "x" * 201),
        ("sample_percent", -1),
        ("position", 2**70),
        ("throttle_count", -1),
    ],
)
def test_what_the_column_cannot_take_is_refused(name: str, value: Any) -> None:
    [problem] = value_problems(Rule, name, value)
    assert problem.pointer == f"/{name}"
    assert " cannot stand here. " in problem.message
    assert len(problem.message) < 400


@pytest.mark.parametrize("value", [["rule"], [""]])
def test_an_action_names_its_rule_by_its_slug(value: Any) -> None:
    assert list(value_problems(RuleAction, "rule", value)) == []


@pytest.mark.parametrize("value", ["rule", 1, [], ["a", "b"], [1], None, {"slug": "a"}])
def test_an_action_names_its_rule_in_no_other_way(value: Any) -> None:
    [problem] = value_problems(RuleAction, "rule", value)
    assert problem.message.startswith('Expected the slug of its rule in a list, such as ["welcome-mail"], and got')


@pytest.mark.parametrize(
    ("value", "is_well"), [(None, True), ("instance.items", True), ({}, True), ([], False), (1, False)]
)
def test_rows_are_a_path_an_expression_or_nothing(value: Any, is_well: bool) -> None:
    assert (not list(value_problems(RuleAction, "for_each", value))) is is_well


def test_a_pack_has_no_author() -> None:
    assert told(Rule, {**RULE, "author": None}) == []
    [(pointer, message)] = told(Rule, {**RULE, "author": 1})
    assert pointer == "/author"
    assert message == "A pack has no author: what is installed is the operator's. Remove it."


def test_what_dumpdata_writes_besides_is_ignored() -> None:
    assert told(Rule, {**RULE, "updated_at": "anything"}) == []
    assert [pointer for pointer, _ in told(RuleAction, {**ACTION, "updated_at": "anything"})] == ["/updated_at"]


@pytest.mark.parametrize(
    ("name", "pointer", "hint"),
    [
        ("enabeld", "/enabeld", 'Did you mean "enabled"?'),
        ("a/b", "/a~1b", ""),
        ("<b>", "/<b>", ""),
        ("x" * 500, "/" + "x" * 100, ""),
    ],
)
def test_a_field_that_is_not_known_is_said_with_those_that_are(name: str, pointer: str, hint: str) -> None:
    [(place, message)] = told(Rule, {**RULE, name: 1})
    assert place == pointer
    assert message.startswith("A rule has no such field.")
    assert hint in message
    assert message.endswith(f"It has: {', '.join(RULE_FIELDS)}.")
    [(_, of_action)] = told(RuleAction, {**ACTION, name: 1})
    assert of_action.endswith(f"It has: {', '.join(ACTION_FIELDS)}.")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "an empty list"),
        ([1], "a list"),
        ({}, "an object"),
        (None, "None"),
        (1.5, "1.5"),
        ("a", "'a'"),
        ("x" * 500, repr("x" * 80)),
        ("\x1b[2J\n", "'\\x1b[2J\\n'"),
    ],
)
def test_a_value_is_quoted_short_and_safe(value: Any, words: str) -> None:
    assert brief(value) == words


@pytest.mark.parametrize("value", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "9998-12-31T00:00:00Z"])
@pytest.mark.parametrize(("model", "name"), [(Rule, "active_until"), (RuleTest, "occurred_at")])
def test_a_time_at_an_end_of_the_calendar_is_refused(model: type[models.Model], name: str, value: str) -> None:
    [problem] = value_problems(model, name, value)
    assert problem.message.startswith('Expected a time such as "2031-05-06T08:00:00Z"')
    assert not list(value_problems(model, name, f"9997{value[4:]}"))
