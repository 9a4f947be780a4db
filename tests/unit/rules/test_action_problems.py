"""What is said of one action of a rule: when it acts, how often, what its config holds, and after what it comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.utils import translation

from rules_engine.rules.validation import action_problems, order_problems, rule_problems, type_problems
from rules_engine.types import ActionSpec, RuleSpec

RULE = RuleSpec(slug="r", name="R", model="zoo.animal", signals=("post_save",))
LOG = ActionSpec("log_message", {"message": "x"})
AUDIT = ActionSpec("write_audit_entry", {})
SET = ActionSpec("set_fields", {"fields": [{"field": "name", "value": "x"}]}, timing="before_save")
REJECT = ActionSpec("reject", {"message": "No."}, timing="before_save")


def said(action: ActionSpec, **rule: Any) -> dict[str, str]:
    """Return what is said of the action, by its place in it."""
    return {problem.pointer: problem.message for problem in action_problems(action, replace(RULE, **rule))}


@pytest.mark.parametrize(
    "action",
    [
        LOG,
        replace(LOG, delay=0),
        replace(LOG, delay=3600),
        replace(LOG, on_failure="stop"),
        replace(AUDIT, timing="in_transaction"),
        replace(LOG, for_each="instance.meals"),
        replace(AUDIT, config={"note": None}),
        replace(LOG, config={"message": {"var": "instance.name"}}),
    ],
)
def test_an_action_as_it_should_be_has_no_problems(action: ActionSpec) -> None:
    assert said(action) == {}


@pytest.mark.parametrize("delay", [-1, 1.5, True, "60", None, 10**12])
def test_a_delay_that_is_no_number_of_seconds_is_refused(delay: Any) -> None:
    problems = said(replace(LOG, delay=delay))
    assert list(problems) == ["/delay"]
    assert problems["/delay"].startswith("Expected a whole number of seconds up to ")
    assert problems["/delay"].endswith(f"and got {delay!r}.")


def test_the_longest_delay_is_told_with_its_thousands_apart() -> None:
    assert "," in said(replace(LOG, delay=-1))["/delay"].split("and got")[0].removesuffix(", ")
    with translation.override("de"):
        assert "." in said(replace(LOG, delay=-1))["/delay"]


@pytest.mark.parametrize("action", [replace(AUDIT, timing="in_transaction", delay=5), replace(SET, delay=5)])
def test_only_what_is_done_after_the_commit_can_be_delayed(action: ActionSpec) -> None:
    problems = said(action, signals=("pre_save", "post_save"))
    assert problems["/delay"] == "Only what is done after the commit can be delayed."


@pytest.mark.parametrize(
    ("written", "hint"), [("stopp", ' Did you mean "stop"?'), ("goon", ' Did you mean "go_on"?'), ("", "")]
)
def test_what_follows_a_failure_is_one_of_two_words(written: Any, hint: str) -> None:
    problems = said(replace(LOG, on_failure=written))
    assert problems == {"/on_failure": f"Expected go_on or stop, and got {written!r}.{hint}"}


@pytest.mark.parametrize(
    ("action", "signals"),
    [(SET, ("post_save",)), (SET, ("pre_delete",)), (REJECT, ("post_save",)), (REJECT, ("m2m_changed",))],
)
def test_what_acts_before_the_save_needs_a_signal_before_it(action: ActionSpec, signals: tuple[str, ...]) -> None:
    assert said(action, signals=signals)["/timing"] == "To act before the save, the rule has to listen to pre_save."


@pytest.mark.parametrize(
    ("action", "signals"),
    [(SET, ("pre_save",)), (REJECT, ("pre_save",)), (REJECT, ("pre_delete",))],
)
def test_a_veto_may_also_come_before_a_deletion(action: ActionSpec, signals: tuple[str, ...]) -> None:
    assert said(action, signals=signals) == {}


def test_a_timing_that_an_action_has_not_is_told_with_those_it_has() -> None:
    problems = said(replace(SET, timing="after_commit"), signals=("pre_save",))
    assert "can act before_save, not after_commit." in problems["/timing"]


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_a_veto_is_for_every_change_and_not_for_a_sample(percent: int) -> None:
    problems = said(REJECT, signals=("pre_save",), sample_percent=percent)
    assert problems["/timing"].endswith("is for every change: leave the rule's sample at 100 percent.")
    assert said(SET, signals=("pre_save",), sample_percent=percent) == {}


def test_nothing_can_be_undone_where_the_signal_is_about_no_change() -> None:
    action = replace(AUDIT, timing="in_transaction", on_failure="stop")
    problems = said(action, model="", signals=("user_logged_in",))
    assert problems == {
        "/on_failure": "user_logged_in is about no change that could be undone; let the next actions go on."
    }
    assert said(action) == {}


def test_before_the_save_there_is_one_object_and_no_loop_over_others() -> None:
    problems = said(replace(SET, for_each="instance.meals"), signals=("pre_save",))
    assert problems["/for_each"].endswith("is about the one object that is being saved.")


@pytest.mark.parametrize("each", ["instance.meels", "instance.name", "nowhere", 7, True, []])
def test_what_cannot_be_gone_through_row_by_row_is_refused(each: Any) -> None:
    problems = said(replace(LOG, for_each=each))
    assert problems
    assert all(pointer.startswith("/for_each") for pointer in problems)
    assert all(message.endswith((".", "?")) for message in problems.values())


@pytest.mark.parametrize(
    ("kind", "fragment"),
    [
        ("log_mesage", 'Did you mean "log_message"?'),
        ("", 'There is no action of the kind ""'),
        ("LOG_MESSAGE", 'There is no action of the kind "LOG_MESSAGE"'),
    ],
)
def test_an_unknown_kind_ends_the_look_and_lists_the_known(kind: str, fragment: str) -> None:
    problems = said(replace(LOG, kind=kind, delay=-1, config={"nonsense": 1}))
    assert list(problems) == ["/kind"]
    assert fragment in problems["/kind"]
    assert "log_message" in problems["/kind"]
    assert "send_email" in problems["/kind"]


def test_what_is_only_ordered_by_hand_is_not_offered_as_a_kind() -> None:
    assert "replay_executions" not in said(replace(LOG, kind="nothing"))["/kind"].split("The kinds are:")[1]


@pytest.mark.parametrize(
    ("config", "pointer", "fragment"),
    [
        ({"message": "x", "level": 3.5}, "/level", "3.5"),
        ({"message": []}, "/message", "Expected string, and got []."),
        ({"message": "x", "mesage": "y"}, "/mesage", 'This action has no "mesage". Did you mean "message"?'),
        ({"message": "x", "": 1}, "/", 'This action has no "".'),
        ({"message": "{% laod %}"}, "/message", "Line 1"),
        ({"message": {"nonsense": []}}, "/message", "nonsense"),
        ({"message": {"var": "instance.nam"}}, "/message", 'Did you mean "name"?'),
    ],
)
def test_a_config_is_told_of_at_the_key_that_is_wrong(config: Any, pointer: str, fragment: str) -> None:
    problems = said(replace(LOG, config=config))
    at = next(key for key in problems if key.startswith(f"/config{pointer}"))
    assert fragment in problems[at]


def test_values_of_a_wrong_type_keep_the_action_from_being_asked() -> None:
    problems = said(replace(LOG, config={"message": [], "level": "loud"}))
    assert set(problems) == {"/config/message"}


@pytest.mark.parametrize(
    ("before", "after", "is_wrong"),
    [
        (("after_commit", "stop"), "in_transaction", True),
        (("after_commit", "stop"), "before_save", True),
        (("in_transaction", "stop"), "before_save", True),
        (("in_transaction", "stop"), "in_transaction", False),
        (("before_save", "stop"), "after_commit", False),
        (("after_commit", "go_on"), "before_save", False),
        (("whenever", "stop"), "before_save", False),
    ],
)
def test_nothing_waits_for_an_action_that_acts_later(before: Any, after: Any, is_wrong: bool) -> None:
    first = replace(LOG, timing=before[0], on_failure=before[1], position=0)
    second = replace(LOG, timing=after, position=1)
    problems = order_problems(replace(RULE, actions=(first, second)))
    assert [problem.pointer for problem in problems] == (["/actions/1/timing"] if is_wrong else [])


@pytest.mark.parametrize("off", [0, 1])
def test_an_action_that_is_switched_off_stands_in_no_order(off: int) -> None:
    actions = [replace(LOG, on_failure="stop"), replace(LOG, timing="in_transaction", position=1)]
    actions[off] = replace(actions[off], enabled=False)
    assert order_problems(replace(RULE, actions=tuple(actions))) == []


def test_actions_are_in_order_by_position_and_not_as_listed() -> None:
    late = replace(LOG, on_failure="stop", position=5)
    early = replace(LOG, timing="in_transaction", position=1)
    assert order_problems(replace(RULE, actions=(late, early))) == []


@pytest.mark.parametrize(
    ("fields", "pointer", "fragment"),
    [
        ({"model": 7}, "/model", 'Expected a label such as "shop.order", and got 7.'),
        ({"model": None}, "/model", "and got None."),
        ({"signals": ("post_save", 3)}, "/signals/1", "Expected a name, and got 3."),
        ({"operations": (None,)}, "/operations/0", "Expected a name, and got None."),
        ({"changes": (7,)}, "/changes/0", 'Expected an object like {"field": "status", "to": "paid"}, and got 7.'),
        ({"actions": (ActionSpec(None, {}),)}, "/actions/0/kind", "Expected the name of a kind, and got None."),  # type: ignore[arg-type]
        ({"actions": (LOG, ActionSpec("reject", "x"))}, "/actions/1/config", "Expected an object, and got 'x'."),  # type: ignore[arg-type]
    ],
)
def test_what_is_of_a_wrong_type_is_told_before_all_else(fields: Any, pointer: str, fragment: str) -> None:
    rule = replace(RULE, condition={"nonsense": 1}, **fields)
    problems = {problem.pointer: problem.message for problem in type_problems(rule)}
    assert list(problems) == [pointer]
    assert fragment in problems[pointer]
    assert rule_problems(rule) == type_problems(rule)


def test_every_part_of_a_rule_is_told_of_at_once() -> None:
    rule = replace(
        RULE,
        signals=("post_sav",),
        operations=("crate",),
        condition={"==": [{"var": "instance.nam"}, 1]},
        actions=(replace(LOG, delay=-1), replace(LOG, kind="nothing", position=1)),
    )
    pointers = [problem.pointer for problem in rule_problems(rule)]
    assert pointers == [
        "/signals/0",
        "/operations/0",
        "/condition/==/0",
        "/actions/0/delay",
        "/actions/1/kind",
    ]


def test_problems_of_actions_are_told_in_german_too() -> None:
    with translation.override("de"):
        german = [*said(replace(LOG, delay=-1)).values(), *said(replace(LOG, config={"message": []})).values()]
    english = [*said(replace(LOG, delay=-1)).values(), *said(replace(LOG, config={"message": []})).values()]
    assert len(german) == len(english) == 2
    assert not set(german) & set(english)
