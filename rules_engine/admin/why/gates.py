"""Where a rule stopped, in words: what was there, and what it has to be. And its gates in full, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.reasons import reasons
from rules_engine.admin.conditions.trace_tree import drawn
from rules_engine.admin.parts.labels import OPERATION_WORDS, detail_words
from rules_engine.admin.prose.condition import prose
from rules_engine.admin.prose.marks import words_of
from rules_engine.admin.why.speaker import Speaker, capital, value_words
from rules_engine.errors import not_read
from rules_engine.models import Rule
from rules_engine.rules.gates import ChangeSeen, GateSeen, title_of
from rules_engine.test.verdicts import Verdict
from rules_engine.types import Unread

STATES = {
    "open": _("holds"),
    "shut": _("does not hold"),
    "error": _("could not be evaluated"),
    "not_recorded": _("not recorded"),
}


def gate_words(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    """Why a rule did not match: of a condition what decided, of change conditions those that do not hold."""
    said = verdict.said
    stop = said.stop if speaker.is_rule_seen and speaker.is_object_seen else None
    if said.gate == "operations" and speaker.rule is not None and speaker.rule.operations:
        return (_operations(said.detail, speaker.rule),)
    if stop is not None and stop.changes:
        changes = (_change(change, speaker.titles) for change in stop.changes if change.state == "shut")
        return (capital("; ".join(changes)),)
    if stop is not None and stop.tree is not None and (found := reasons(stop.tree, speaker.titles)):
        return (capital(gettext("; and ").join(found)),)
    if stop is not None and stop.missing and speaker.rule is not None:
        return _unrecorded(stop, speaker.rule, speaker.titles)
    return (detail_words(said.detail),)


def _unrecorded(stop: GateSeen, rule: Rule, titles: Titles) -> Sequence[str]:
    """What the condition asks for, where the record of the change does not hold what was there."""
    asked = str(words_of(prose(rule.condition, titles)))
    names = ", ".join(titles.title(".".join(path)) for path in stop.missing)
    return gettext("This did not hold: %s") % asked, gettext("Not on record of this change: %s") % names


def _operations(detail: str, rule: Rule) -> str:
    asked = ", ".join(str(OPERATION_WORDS.get(name, name)) for name in rule.operations)
    return gettext("%(seen)s It is for what is: %(asked)s.") % {"seen": detail_words(detail), "asked": asked}


def _change(change: ChangeSeen, titles: Titles) -> str:
    name = f"instance.{change.field}"

    def shown(value: Any) -> str:
        return not_read(value.error) if isinstance(value, Unread) else value_words(titles, name, value)

    asked = change.asked
    if "from" in asked and "to" in asked:
        has_to = gettext("it has to change from %(from)s to %(to)s")
    elif "to" in asked:
        has_to = gettext("it has to change to %(to)s")
    elif "from" in asked:
        has_to = gettext("it has to change from %(from)s")
    else:
        has_to = gettext("it has to change")
    has_to %= {key: shown(value) for key, value in asked.items()}
    if change.change is None:
        return gettext("%(field)s did not change; %(has_to)s") % {"field": titles.field(change.field), "has_to": has_to}
    return gettext("%(field)s changed from %(old)s to %(new)s; %(has_to)s") % {
        "field": titles.field(change.field),
        "old": shown(change.change.old),
        "new": shown(change.change.new),
        "has_to": has_to,
    }


def shown_gate(gate: GateSeen, titles: Titles) -> dict[str, Any]:
    """A gate for the template, with names called as the rule's form calls them."""
    return {
        "state": gate.state,
        "title": title_of(gate.name),
        "words": STATES[gate.state],
        "detail": detail_words(gate.detail),
        "changes": [
            {
                "field": titles.field(change.field),
                "asked": _asked(change, titles),
                "seen": _seen(change, titles),
                "state": change.state,
                "words": STATES[change.state],
            }
            for change in gate.changes
        ],
        "tree": drawn(gate.tree, titles) if gate.tree else None,
        "missing": [titles.title(".".join(path)) for path in gate.missing],
    }


def _asked(change: ChangeSeen, titles: Titles) -> str:
    asked, name = change.asked, f"instance.{change.field}"
    old = gettext("from %s") % titles.value(name, asked["from"]) if "from" in asked else ""
    new = gettext("to %s") % titles.value(name, asked["to"]) if "to" in asked else ""
    return " ".join(part for part in (old, new) if part) or gettext("changes at all")


def _seen(change: ChangeSeen, titles: Titles) -> str:
    if change.change is None:
        return gettext("did not change")
    return " → ".join(
        not_read(value.error) if isinstance(value, Unread) else titles.value(f"instance.{change.field}", value)
        for value in (change.change.old, change.change.new)
    )
