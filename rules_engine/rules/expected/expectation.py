"""What a test expects of a rule, as JSON has it::

    {"outcome": "acts", "actions": [{"kind": "send_email", "settings": {"subject": "Order 2 is paid"}}]}
    {"outcome": "stops", "gate": "condition"}

``actions`` are all that it does, in order; without the key it is not asked what. Of ``settings`` those that are named
are compared, with their texts filled in and their expressions worked out; ``times`` is how often, for an action that
is done for each of some rows. Pure: no database, no settings, no clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from django.utils.translation import gettext

from rules_engine.errors import Problem, did_you_mean
from rules_engine.logic.shape import pointer, shape_problems
from rules_engine.rules.gates import GATES

#: What a test can ask for. A rule that waits matches, and is then held for others that may come.
OUTCOMES = ("acts", "waits", "stops")
#: What came besides: the rule cannot be tried, or the sample lacks what it reads.
Outcome = Literal["acts", "waits", "stops", "error", "not_recorded"]
KEYS = ("outcome", "gate", "actions")
ACTION_KEYS = ("kind", "settings", "times")
#: Actions of one rule are fewer.
MOST_ACTIONS = 100


@dataclass(frozen=True, slots=True)
class ActionCame:
    """An action as the rule would do it with the sample. ``troubles`` are sentences, by the setting they are about."""

    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    times: int | None = None
    troubles: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a rule with a sample. ``gate`` is where it stopped, and ``detail`` why."""

    outcome: Outcome
    gate: str = ""
    detail: str = ""
    actions: Sequence[ActionCame] = ()


def expectation_of(came: Came) -> dict[str, Any]:
    """Return what a test expects for which this is right: what came, as the rule is now."""
    if came.outcome in ("acts", "waits"):
        return {"outcome": came.outcome, "actions": [_as_expected(action) for action in came.actions]}
    return {"outcome": "stops", **({"gate": came.gate} if came.gate else {})}


def _as_expected(action: ActionCame) -> dict[str, Any]:
    times = {} if action.times is None else {"times": action.times}
    return {"kind": action.kind, **times, "settings": dict(action.settings)}


def expectation_problems(expected: Any) -> list[Problem]:
    """Say what is wrong with what a test expects, with pointers into it. Never raises for what stands there."""
    return shape_problems(expected) or list(_problems(expected))


def _problems(expected: Any) -> Iterator[Problem]:
    if not isinstance(expected, Mapping):
        yield Problem("", gettext('Expected an object, such as {"outcome": "acts"}.'))
        return
    yield from _unknown_keys(expected, KEYS, "")
    outcome, gate = expected.get("outcome"), expected.get("gate")
    if outcome not in OUTCOMES:
        yield Problem("/outcome", gettext("Expected one of %(known)s.") % {"known": ", ".join(OUTCOMES)})
    names = [gate.name for gate in GATES]
    if gate is not None and outcome in ("acts", "waits"):
        yield Problem("/gate", gettext("A rule that acts stops at no gate; remove this."))
    elif gate is not None and gate not in names:
        yield Problem("/gate", gettext("Expected one of %(known)s.") % {"known": ", ".join(names)})
    if "actions" in expected:
        yield from _actions_problems(expected["actions"], outcome)


def _actions_problems(actions: Any, outcome: Any) -> Iterator[Problem]:
    if outcome == "stops":
        yield Problem("/actions", gettext("A rule that stops does nothing; remove this."))
    if not isinstance(actions, list) or len(actions) > MOST_ACTIONS:
        yield Problem("/actions", gettext('Expected a list of actions, such as [{"kind": "send_email"}].'))
        return
    for index, action in enumerate(actions):
        at = pointer("actions", index)
        if not isinstance(action, Mapping) or not isinstance(action.get("kind"), str):
            yield Problem(at, gettext('Expected an action, such as {"kind": "send_email", "settings": {…}}.'))
            continue
        yield from _unknown_keys(action, ACTION_KEYS, at)
        if not isinstance(action.get("settings", {}), Mapping):
            yield Problem(f"{at}/settings", gettext("Expected an object with settings of the action."))
        times = action.get("times")
        if times is not None and (not isinstance(times, int) or isinstance(times, bool)):
            yield Problem(f"{at}/times", gettext("Expected a whole number."))


def _unknown_keys(value: Mapping[str, Any], known: Sequence[str], at: str) -> Iterator[Problem]:
    for key in value:
        if key not in known:
            message = gettext('There is no "%(key)s" here.%(hint)s Known are: %(known)s.')
            words = {"key": key[:100], "hint": did_you_mean(key[:100], known), "known": ", ".join(known)}
            yield Problem(f"{at}{pointer(key[:100])}", message % words)
