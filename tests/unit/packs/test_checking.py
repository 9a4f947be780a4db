"""A pack's objects, checked without a database: each mistake at its place, and nothing that stops the others."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.packs.checking import MOST_FINDINGS, MOST_OBJECTS, Pack, check, problems_of
from rules_engine.packs.fields import brief
from rules_engine.rules.validation import MOST_ACTIONS
from rules_engine.types import ActionSpec, RuleSpec


def rule(**fields: Any) -> dict[str, Any]:
    values = {"slug": "r", "name": "R", "model": "zoo.animal", "signals": ["post_save"], **fields}
    return {"model": "rules_engine.rule", "fields": values}


def action(**fields: Any) -> dict[str, Any]:
    values = {"rule": ["r"], "kind": "log_message", "config": {"message": "Hi", "level": "info"}, **fields}
    return {"model": "rules_engine.ruleaction", "fields": values}


def said(*objects: Any) -> list[str]:
    return [str(finding) for finding in check(list(objects)).problems]


def test_a_pack_becomes_its_rules_with_their_actions_in_order() -> None:
    pack = check([rule(), action(position=2), action(position=1, kind="log_message")])
    assert not pack.problems
    [made] = pack.rules
    assert (made.slug, made.signals) == ("r", ("post_save",))
    assert [spec.position for spec in made.actions] == [1, 2]


@pytest.mark.parametrize(
    ("objects", "got"),
    [({}, "an object"), ("text", "'text'"), (None, "None"), (5, "5"), ({"model": "x"}, "an object")],
)
def test_what_is_no_list_is_told_by_what_it_is(objects: Any, got: str) -> None:
    [finding] = check(objects).problems
    assert str(finding) == f"Expected a list of objects, and got {got}."


def test_a_pack_without_rules_is_no_pack() -> None:
    assert said() == ["The pack has no rules."]


@pytest.mark.parametrize(
    ("thing", "problem"),
    [
        ("text", 'object 1 Expected an object with "model" and "fields", and got \'text\'.'),
        ([], 'object 1 Expected an object with "model" and "fields", and got an empty list.'),
        (
            {"model": 5, "fields": {}},
            "object 1 /model: Expected rules_engine.rule or rules_engine.ruleaction, and got 5.",
        ),
        ({"model": "no.such", "fields": {}}, "object 1 /model: There is no model 'no.such'. A pack holds:"),
        (
            {"model": "zoo.animal", "fields": {}},
            "object 1 /model: A pack holds rules and nothing else, and this is 'zoo.animal'; remove it.",
        ),
        (
            {"model": "rules_engine.rules", "fields": {}},
            "object 1 /model: There is no model 'rules_engine.rules'. Did you mean \"rules_engine.rule\"?",
        ),
        ({"model": "rules_engine.rule", "fields": []}, "object 1 /fields: Expected an object, and got an empty list."),
        ({"model": "rules_engine.rule"}, "object 1 /fields: Expected an object, and got None."),
        ({**rule(), "pk": 7}, "object 1 /pk: Rules of a pack are known by their slug; remove the pk."),
        ({**rule(), "feilds": 7}, "object 1 'feilds' is not known here. Did you mean \"fields\"?"),
    ],
)
def test_an_object_that_cannot_be_used_is_told_at_its_place(thing: Any, problem: str) -> None:
    assert said(thing)[0].startswith(problem.removesuffix("."))


def test_a_model_may_be_written_in_any_case_as_django_takes_it() -> None:
    assert said({**rule(), "model": "rules_engine.Rule"}) == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"slug": 5}, "object 1 /slug: Expected text, and got 5."),
        ({"slug": ""}, "object 1 /slug: '' cannot stand here."),
        ({"slug": "no slug!"}, "no slug! /slug: 'no slug!' cannot stand here."),
        (
            {"signals": "post_save"},
            "r /signals: Expected a list of texts, such as [\"post_save\"], and got 'post_save'.",
        ),
        ({"signals": [5]}, "r /signals: Expected a list of texts"),
        ({"enabled": 1}, "r /enabled: Expected true or false, and got 1."),
        ({"position": True}, "r /position: Expected a whole number, and got True."),
        ({"position": 1.5}, "r /position: Expected a whole number, and got 1.5."),
        ({"throttle_count": "5"}, "r /throttle_count: Expected a whole number, or null, and got '5'."),
        ({"active_from": "soon"}, "r /active_from: Expected a time such as"),
        ({"active_from": "2026-02-31T00:00:00Z"}, "r /active_from: Expected a time such as"),
        ({"changes": ["status"]}, "r /changes: Expected a list of objects"),
        ({"author": 1}, "r /author: A pack has no author: what is installed is the operator's. Remove it."),
        ({"singals": []}, 'r /singals: A rule has no such field. Did you mean "signals"?'),
        ({"name": "x" * 1000}, "r /name: '" + "x" * 80 + "' cannot stand here."),
    ],
)
def test_a_field_of_a_rule_that_cannot_be_used_is_told(fields: dict[str, Any], problem: str) -> None:
    assert said(rule(**fields))[0].startswith(problem)


@pytest.mark.parametrize("name", ["slug", "name", "signals"])
def test_a_field_that_a_rule_must_have_is_missed(name: str) -> None:
    written = rule()
    del written["fields"][name]
    place = "object 1" if name == "slug" else "r"
    assert said(written)[0] == f'{place} /{name}: Expected "{name}", and it is missing.'


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"rule": "r"}, "object 2 /rule: Expected the slug of its rule in a list"),
        ({"rule": ["r", "s"]}, "object 2 /rule: Expected the slug of its rule in a list"),
        ({"rule": ["x"]}, "object 2 /rule/0: The pack has no rule 'x'."),
        ({"config": []}, "object 2 /config: Expected an object, and got an empty list."),
        ({"for_each": 5}, 'object 2 /for_each: Expected a path such as "instance.items", an expression, or null'),
        ({"delay": None}, "object 2 /delay: Expected a whole number, and got None."),
        ({"kinds": ""}, 'object 2 /kinds: An action has no such field. Did you mean "kind"?'),
    ],
)
def test_a_field_of_an_action_that_cannot_be_used_is_told(fields: dict[str, Any], problem: str) -> None:
    assert said(rule(), action(**fields))[0].startswith(problem)


def test_an_action_before_its_rule_is_told_that_loaddata_wants_it_after() -> None:
    assert said(action(), rule()) == [
        "object 1 /rule/0: The action stands before its rule 'r'; loaddata wants the rule first."
    ]


def test_two_rules_of_one_slug_are_one_too_many() -> None:
    assert said(rule(), rule()) == ['object 2 /slug: There is a rule "r" above; give this one another.']


def test_two_actions_of_one_position_are_one_too_many() -> None:
    assert said(rule(), action(), action()) == [
        "r /actions/1/position: The rule has an action at position 0 above; give this one another."
    ]


def test_a_rule_that_cannot_run_stops_the_pack_and_one_off_is_noted() -> None:
    wrong = action(config={"message": "{{ instance.nme }}", "level": "info"})
    pack = check([rule(), wrong])
    assert [finding.problem.pointer for finding in pack.problems] == ["/actions/0/config/message"]
    switched_off = check([rule(enabled=False), wrong])
    assert switched_off.problems == []
    assert [finding.problem.pointer for finding in switched_off.notes] == ["/actions/0/config/message"]


def test_all_mistakes_are_told_at_once() -> None:
    assert len(said(rule(slug="a", enabled=0), rule(slug="b", enabled=0), "nothing", action(rule=["c"]))) == 4


def test_a_hostile_pack_cannot_say_as_much_as_it_is_long() -> None:
    pack = check([5] * (MOST_FINDINGS + 20))
    assert len(pack.problems) == MOST_FINDINGS
    assert pack.left_out == 20


def test_a_pack_of_too_many_objects_is_not_looked_at() -> None:
    [finding] = check([rule()] * (MOST_OBJECTS + 1)).problems
    assert str(finding) == "The pack has 20,001 objects; at most 20,000 are read: split it."


def test_where_a_thousand_things_are_wrong_the_rest_is_not_looked_at() -> None:
    pack = check([5] * 2_000)
    assert pack.is_cut
    assert len(pack.problems) + pack.left_out == 2 * MOST_FINDINGS


def test_of_a_rule_with_too_many_actions_the_first_are_looked_at() -> None:
    pack = check([rule(slug="a"), *(action(rule=["a"], position=number, kind="none") for number in range(200))])
    assert [finding.problem.pointer for finding in pack.problems if "most" in finding.problem.message] == ["/actions"]
    assert len(pack.problems) == 1 + MOST_ACTIONS


def test_findings_beyond_the_most_are_counted_and_still_count_as_problems() -> None:
    pack = Pack()
    problems = check([5]).problems
    assert pack.report("x", [finding.problem for finding in problems] * (MOST_FINDINGS + 1))
    assert pack.report("y", [problems[0].problem])
    assert (len(pack.problems), pack.left_out) == (MOST_FINDINGS, 2)
    assert not pack.report("z", [])


def test_a_time_without_a_zone_is_meant_in_the_sites(settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    [made] = check([rule(active_from="2031-05-06T08:00:00", active_until="2031-05-06T08:00:00+02:00")]).rules
    assert made.active_from == datetime(2031, 5, 6, 8, tzinfo=UTC)
    assert made.active_until == datetime(2031, 5, 6, 6, tzinfo=UTC)


def test_what_dumpdata_writes_besides_is_no_mistake() -> None:
    assert said({**rule(updated_at="2026-01-01T00:00:00Z", author=None), "pk": None}) == []


def test_a_config_of_unexpected_types_is_a_problem_and_no_crash() -> None:
    spec = RuleSpec(
        slug="r",
        name="r",
        model="zoo.animal",
        signals=("post_save",),
        actions=(ActionSpec("send_email", {"to": {5: 5}}),),
    )
    assert all(problem.message for problem in problems_of(spec))


@pytest.mark.parametrize("signals", [[[]], [{}], [None]])
def test_signals_that_are_no_texts_stop_before_the_rule_is_made(signals: Any) -> None:
    pack = check([rule(signals=signals)])
    assert pack.rules == []
    assert pack.problems


@pytest.mark.parametrize(
    ("value", "words"),
    [([], "an empty list"), ([1], "a list"), ({}, "an object"), ({"a": 1}, "an object"), (None, "None"), ("x", "'x'")],
)
def test_a_value_is_quoted_as_a_sentence_can(value: Any, words: str) -> None:
    assert brief(value) == words
    assert len(brief("x" * 1000)) == 82


def kept_test(**fields: Any) -> dict[str, Any]:
    values = {
        "rule": ["r"],
        "name": "It acts",
        "signal": "post_save",
        "operation": "create",
        "occurred_at": "2031-05-06T10:30:00Z",
        "context": {"instance": {"pk": 1}},
        "expected": {"outcome": "acts"},
        **fields,
    }
    return {"model": "rules_engine.ruletest", "fields": values}


def test_the_tests_of_a_rule_come_with_it() -> None:
    pack = check([rule(), action(), kept_test(), kept_test(name="It stops", expected={"outcome": "stops"})])
    assert not pack.problems
    assert [test.name for test in pack.tests["r"]] == ["It acts", "It stops"]
    assert pack.tests["r"][0].occurred_at == datetime(2031, 5, 6, 10, 30, tzinfo=UTC)


def test_two_tests_of_one_name_cannot_be_told_apart() -> None:
    [finding] = said(rule(), action(), kept_test(), kept_test())
    assert "The rule has a test of this name above; give this one another." in finding
    # Of another rule it is another test.
    assert said(rule(), rule(slug="q"), action(), kept_test(), kept_test(rule=["q"])) == []


def test_a_test_of_a_rule_that_is_not_there_is_named() -> None:
    [finding] = said(rule(), action(), kept_test(rule=["gone"]))
    assert "gone" in finding


def test_what_a_test_may_not_expect_is_said_at_its_place() -> None:
    [finding] = said(rule(), action(), kept_test(expected={"outcome": "flies"}))
    assert "/expected/outcome" in finding
    assert "Expected one of acts, waits, stops." in finding
