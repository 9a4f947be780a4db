"""Two forms of a rule side by side: what differs, field by field and action by action."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from rules_engine.types import ActionSpec, RuleSpec

Content = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs at one place. ``lines`` are ``("same" | "gone" | "new", text)``."""

    place: str
    lines: Sequence[tuple[str, str]]


def differences(old: Content, new: Content) -> list[Difference]:
    """The fields that differ, then the actions, each by its place in the rule."""
    names = [name for name in dict.fromkeys((*old, *new)) if name != "actions"]
    pairs = [(name, old.get(name), new.get(name)) for name in names]
    before, after = _by_place(old), _by_place(new)
    for place in sorted({*before, *after}):
        earlier, later = before.get(place, {}), after.get(place, {})
        keys = dict.fromkeys((*earlier, *later))
        pairs += [(f"actions/{place}/{key}", earlier.get(key), later.get(key)) for key in keys if key != "position"]
    return [Difference(place, list(_lines(earlier, later))) for place, earlier, later in pairs if earlier != later]


def _by_place(content: Content) -> dict[int, Mapping[str, Any]]:
    return {int(action.get("position", 0)): action for action in content.get("actions") or ()}


def _lines(old: Any, new: Any) -> Iterator[tuple[str, str]]:
    words = {"  ": "same", "- ": "gone", "+ ": "new"}
    for line in difflib.ndiff(_text(old), _text(new)):
        if line[:2] in words:
            yield words[line[:2]], line[2:]


def _text(value: Any) -> list[str]:
    if value in (None, "", [], {}):
        return []
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)
    return text.splitlines()


def spec_of(content: Content, **others: Any) -> RuleSpec:
    """A rule of the plain form that versions store. What a form from before some field lacks has its default."""
    known = {column.name for column in fields(RuleSpec)}
    given = {name: value for name, value in content.items() if name in known and name != "actions"}
    for name in ("signals", "operations", "changes"):
        given[name] = tuple(given.get(name) or ())
    for name in ("active_from", "active_until"):
        if isinstance(given.get(name), str):
            given[name] = datetime.fromisoformat(given[name])
    own = {column.name for column in fields(ActionSpec)}
    rows = content.get("actions") or ()
    actions = tuple(ActionSpec(**{name: value for name, value in row.items() if name in own}) for row in rows)
    return RuleSpec(**{**given, **others}, actions=actions)
