"""How what came of a rule differs from what its test expects: a sentence for each difference. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from rules_engine.rules import registry
from rules_engine.rules.expected.expectation import ActionCame, Came
from rules_engine.rules.gates import sentence_of, title_of

#: Characters of a value that a sentence quotes.
QUOTED = 200


def differences(expected: Mapping[str, Any], came: Came) -> list[str]:
    """Return a sentence for each difference; none: the test passes. ``expected`` has no ``expectation_problems``."""
    return list(_differences(expected, came))


def _differences(expected: Mapping[str, Any], came: Came) -> Iterator[str]:
    outcome, gate = expected["outcome"], expected.get("gate")
    if came.outcome != outcome:
        yield gettext("Expected: %(expected)s. Now: %(came)s") % {
            "expected": outcome_words(outcome, gate or ""),
            "came": came_words(came),
        }
    elif gate and gate != came.gate:
        yield gettext('Expected that it stops at "%(expected)s". Now: %(came)s') % {
            "expected": title_of(gate),
            "came": came_words(came),
        }
    elif came.outcome != "stops":
        yield from _of_actions(expected.get("actions"), came.actions)


def outcome_words(outcome: str, gate: str = "") -> str:
    """Return what a test expects, in words: the end of "Expected: …"."""
    if outcome == "acts":
        return gettext("it acts")
    if outcome == "waits":
        return gettext("it matches and waits for more")
    return gettext('it stops at "%(gate)s"') % {"gate": title_of(gate)} if gate else gettext("it does not act")


def came_words(came: Came) -> str:
    """Return what came, as a sentence of its own."""
    if came.outcome == "error":
        return gettext("it cannot be tried: %(detail)s") % {"detail": came.detail}
    if came.outcome == "not_recorded":
        said = gettext("the sample lacks what the rule reads: %(detail)s. Add it there, or make the test anew.")
        return said % {"detail": came.detail}
    said = outcome_words(came.outcome, came.gate)
    found = sentence_of(came.detail) if came.detail else None
    reason = found[0] % {"what": found[1]} if found is not None else came.detail
    return f"{said}. {reason}" if reason else f"{said}."


def _of_actions(expected: Sequence[Mapping[str, Any]] | None, came: Sequence[ActionCame]) -> Iterator[str]:
    if expected is not None and [action["kind"] for action in expected] != [action.kind for action in came]:
        yield gettext("Expected the actions: %(expected)s. Now: %(came)s.") % {
            "expected": _kinds([action["kind"] for action in expected]),
            "came": _kinds([action.kind for action in came]),
        }
        return
    for index, action in enumerate(came):
        place = gettext("action %(number)s (%(kind)s)") % {"number": index + 1, "kind": registry.title(action.kind)}
        yield from _of_one(place, expected[index] if expected is not None else {}, action)


def _of_one(place: str, expected: Mapping[str, Any], came: ActionCame) -> Iterator[str]:
    for name, trouble in came.troubles.items():
        what = setting_title(came.kind, name)
        yield gettext('"%(setting)s" of %(action)s: %(trouble)s') % {
            "setting": what,
            "action": place,
            "trouble": trouble,
        }
    if expected.get("times") is not None and came.times is None:
        yield gettext("%(action)s: the sample does not hold the rows that it is done for.") % {"action": place}
    elif expected.get("times") is not None and expected["times"] != came.times:
        times = gettext("%(action)s is done %(came)s times, and %(expected)s were expected.")
        yield times % {"action": place, "came": came.times, "expected": expected["times"]}
    for name, value in (expected.get("settings") or {}).items():
        if name not in came.troubles and not same_json(value, came.settings.get(name)):
            yield gettext('"%(setting)s" of %(action)s: expected %(expected)s, and now it is %(came)s.') % {
                "setting": setting_title(came.kind, name),
                "action": place,
                "expected": quoted(value),
                "came": quoted(came.settings.get(name)),
            }


def _kinds(kinds: Sequence[str]) -> str:
    return ", ".join(registry.title(kind) for kind in kinds) or gettext("none")


def setting_title(kind: str, name: str) -> str:
    """Return what the rule's form calls a setting of an action; an empty name is what it is done for each of."""
    if not name:
        return gettext("Once for each of")
    action = registry.find(kind)
    keys = action.schema.get("keys", {}) if action is not None else {}
    return str(keys.get(name, {}).get("title", name))


def same_json(one: Any, other: Any) -> bool:
    """Say whether two values are the same JSON, whatever the order of their keys."""
    return _json(one) == _json(other)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def quoted(value: Any) -> str:
    """Return a value as a sentence can quote it."""
    if value is None:
        return gettext("nothing")
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = ", ".join(value)
    text = f"“{value}”" if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"
