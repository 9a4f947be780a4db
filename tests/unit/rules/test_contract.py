"""What an action's own code is asked, it may answer with any error: that is an answer, and takes nothing else along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.errors import DuplicateRegistration, Problem, RulesEngineError, UnknownPath
from rules_engine.live.compiler import compile_rule
from rules_engine.rules import registry
from rules_engine.rules.cascades import analyse
from rules_engine.rules.contract import ANYTHING, Action, Effect, can_share, does_many
from rules_engine.rules.validation import rule_problems
from rules_engine.types import ActionContext, ActionSpec, Event, Path, RuleSpec, Unread, ask, new_id


class Broken(Action):
    """Raises whatever it is asked."""

    kind = "broken"
    label = "Broken"
    schema: Mapping[str, Any] = {"type": "object", "keys": {}}

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterator[Problem]:
        """Fail as it is looked at, and not as it is called."""
        raise ZeroDivisionError("in its check")
        yield

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        """Fail."""
        raise KeyError("in what it reads")

    def effects(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterator[Effect]:
        """Fail after the first."""
        yield Effect("shop.order", "update")
        raise OSError("in what it changes")


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> RuleSpec:
    """A rule whose one action raises whatever it is asked."""
    monkeypatch.setitem(registry._actions, "broken", Broken())
    return RuleSpec(slug="r", signals=("user_logged_in",), actions=(ActionSpec("broken", {}),))


def fail(error: Exception) -> None:
    raise error


def test_an_answer_is_given_as_it_is() -> None:
    assert ask(sorted, "ba", reverse=True) == ["b", "a"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("no number"), "ValueError: no number"),
        (RulesEngineError("It has no address."), "It has no address."),
        (UnknownPath("There is no such field."), "There is no such field."),
    ],
)
def test_an_error_is_told_by_its_own_words_where_it_has_some(error: Exception, message: str) -> None:
    answer = ask(fail, error)
    assert isinstance(answer, Unread)
    assert (answer.error, answer.message) == (error, message)


def test_what_ends_a_process_is_no_answer() -> None:
    with pytest.raises(KeyboardInterrupt):
        ask(fail, KeyboardInterrupt())  # type: ignore[arg-type]


def test_a_config_that_cannot_be_looked_at_is_a_problem_there(rule: RuleSpec) -> None:
    [problem] = rule_problems(rule)
    assert problem.pointer == "/actions/0/config"
    assert problem.message == '"Broken" cannot take this config (ZeroDivisionError: in its check).'


def test_a_rule_whose_action_cannot_say_what_it_reads_has_a_fault(rule: RuleSpec) -> None:
    compiled = compile_rule(rule, 1)
    assert (compiled.fault, compiled.actions) == ("KeyError: 'in what it reads'", ())


def test_of_an_action_that_cannot_say_what_it_changes_nothing_is_known(rule: RuleSpec) -> None:
    assert analyse([rule]).effects == {"r": (("broken", ANYTHING),)}


def action_context(context: Mapping[str, Any]) -> ActionContext:
    event_id = new_id()
    at = datetime(2031, 5, 6, tzinfo=UTC)
    event = Event(
        id=event_id, signal="post_save", operation="create", model="zoo.animal", pk=1, occurred_at=at, root_id=event_id,
        depth=0, context=context,
    )  # fmt: skip
    return ActionContext(new_id(), 1, event, "r", 1)


class Minimal(Action):
    """Says no more of itself than a kind has to."""

    kind = "minimal"
    label = "Do something"
    schema: Mapping[str, Any] = {"type": "object", "keys": {}}


def test_a_kind_is_made_known_once_and_both_who_hold_it_are_named() -> None:
    class Other(Minimal):
        """Of another place, with the same kind."""

    holder = registry.find("log_message")
    Other.kind = "log_message"
    with pytest.raises(DuplicateRegistration) as refused:
        registry.register_action(Other)
    assert "LogMessage" in str(refused.value)
    assert "Other" in str(refused.value)
    assert registry.find("log_message") is holder


def test_the_preview_of_a_kind_without_its_own_is_its_settings_filled_in() -> None:
    context = action_context({"instance": {"name": "Rex", "keeper": {"name": "Ada"}}})
    name, keeper = "{{ instance.name }}", "{{ instance.keeper.name }}"
    config = {"to": name, "lines": [keeper, 3], "more": {"a": f"{name}!"}}
    preview = Minimal().preview(context, config)
    assert preview.summary == "Do something"
    assert preview.details == {"to": "Rex", "lines": ["Ada", 3], "more": {"a": "Rex!"}}


def test_the_python_of_a_kind_without_its_own_says_what_is_to_be_written() -> None:
    lines = Minimal().python({"to": "a\nb"}, RuleSpec(slug="r", model="zoo.animal"))
    assert lines == ["# Do something (minimal): to be written by hand. It is configured as", "#   to: 'a\\nb'"]
    compile("\n".join(lines), "written", "exec")


def test_a_kind_without_a_way_of_its_own_goes_one_by_one() -> None:
    action = Minimal()
    assert not does_many(action)
    assert not can_share(action)
    assert action.rests_for({}) == 0.0
    assert action.retry_schedule({}) is None
    for work in (lambda: action.run(action_context({}), {}), lambda: action.run_many([], [])):
        with pytest.raises(NotImplementedError, match="Minimal has no run"):
            work()
