"""Two forms of a rule in words: what differs, a row each, such as *Limit: none → at most once an hour per customer*."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.words import WORDS
from rules_engine.admin.parts.rendering import MASK, masked
from rules_engine.admin.prose.condition import prose
from rules_engine.admin.prose.doing import done
from rules_engine.admin.prose.holding import dates, limited, waiting
from rules_engine.admin.prose.marks import Words, code, cut, shown, words_of
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.prose.timed import when
from rules_engine.admin.reading.sentence import typed
from rules_engine.rules import registry
from rules_engine.types import ActionSpec, RuleSpec

LONGEST_TEXT = 300


@dataclass(frozen=True, slots=True)
class Row:
    """What differs at one place. Where both sides read alike, the words leave out what changed."""

    title: str
    before: Words
    after: Words

    @property
    def is_alike(self) -> bool:
        """Whether the JSON alone tells the difference."""
        return str(self.before) == str(self.after)


def _condition(rule: RuleSpec) -> str:
    return "" if rule.condition is None else prose(rule.condition, Titles.of(rule.model))


def _yes(value: bool) -> str:
    return str(WORDS["yes"] if value else WORDS["no"])


#: What is told together, the columns that it is made of, and how: each rule's words, empty for none.
PLACES: tuple[tuple[str | Promise, tuple[str, ...], Callable[[RuleSpec], str]], ...] = (
    (_("Name"), ("name",), lambda rule: shown(rule.name)),
    (_("Description"), ("description",), lambda rule: shown(rule.description, LONGEST_TEXT)),
    (_("When"), ("model", "signals", "operations", "changes", "schedule"), when),
    (_("Only if"), ("condition",), _condition),
    (_("Limit"), ("throttle_count", "throttle_seconds", "throttle_by"), limited),
    (_("Wait"), ("coalesce_seconds", "coalesce_by", "debounce"), waiting),
    (_("Once per object"), ("once",), lambda rule: _yes(rule.once)),
    (_("Dates"), ("active_from", "active_until"), dates),
    (_("Sample, in percent"), ("sample_percent",), lambda rule: shown(rule.sample_percent)),
    (_("Also when data is loaded"), ("raw",), lambda rule: _yes(rule.raw)),
    (_("Shadow"), ("shadow",), lambda rule: _yes(rule.shadow)),
    (_("Order among rules"), ("position",), lambda rule: shown(rule.position)),
    (_("Stop processing"), ("stop_processing",), lambda rule: _yes(rule.stop_processing)),
)
#: What an action is besides its settings, which have rows of their own.
AROUND = ("kind", "enabled", "timing", "delay", "on_failure", "for_each", "at", "zone", "asks_again")


def compared(old: RuleSpec, new: RuleSpec, reader: Reader) -> list[Row]:
    """What differs, in the order in which a rule is read: its own fields, then its actions by their places."""
    before, after = typed(old), typed(new)
    rows = [
        _row(title, words(before), words(after))
        for title, names, words in PLACES
        if any(getattr(old, name) != getattr(new, name) for name in names)
    ]
    return [*rows, *_actions(before, after, reader)]


def _row(title: str | Promise, before: str, after: str) -> Row:
    return Row(str(title), _side(before), _side(after))


def _side(marked: str) -> Words:
    return words_of(cut(marked) if marked.strip("\x00") else gettext("none"))


def _actions(old: RuleSpec, new: RuleSpec, reader: Reader) -> Iterator[Row]:
    before, after = ({action.position: action for action in rule.actions} for rule in (old, new))
    for number, place in enumerate(sorted({*before, *after}), start=1):
        title = gettext("Action %(number)s") % {"number": number}
        one, other = before.get(place), after.get(place)
        if one is None or other is None or any(getattr(one, name) != getattr(other, name) for name in AROUND):
            yield _row(title, _said(one, old, reader), _said(other, new, reader))
        if one is not None and other is not None and one.kind == other.kind:
            yield from _settings(title, one, other, reader)


def _said(action: ActionSpec | None, rule: RuleSpec, reader: Reader) -> str:
    return "" if action is None else done(action, rule, reader, is_last=action is rule.actions[-1])


def _settings(title: str, old: ActionSpec, new: ActionSpec, reader: Reader) -> Iterator[Row]:
    if not isinstance(old.config, Mapping) or not isinstance(new.config, Mapping):
        return
    known = registry.find(old.kind)
    keys = known.schema.get("keys", {}) if known is not None else {}
    for key in dict.fromkeys((*keys, *old.config, *new.config)):
        before, after = old.config.get(key), new.config.get(key)
        if before != after:
            name = str(keys.get(key, {}).get("title") or key)
            sides = (_setting(key, value, old.kind, reader) for value in (before, after))
            yield _row(gettext("%(action)s, %(setting)s") % {"action": title, "setting": name}, *sides)


def _setting(key: str, value: Any, kind: str, reader: Reader) -> str:
    if value in (None, "", [], {}):
        return ""
    known, told = registry.find(kind), masked({key: value})[key]
    if known is not None and told != MASK and (title := reader.title(known, key, told)):
        return title
    if isinstance(told, bool):
        return _yes(told)
    if isinstance(told, list) and all(isinstance(one, str) for one in told):
        return shown(", ".join(told), LONGEST_TEXT)
    return shown(told, LONGEST_TEXT) if isinstance(told, str | int | float) else code(told)
