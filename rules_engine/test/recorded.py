"""What of a recorded event a rule would read and what was not stored: the one is a verdict, the other never is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rules_engine.context.paths import ModelClass, field_of, find_model, readable_fields, steps
from rules_engine.context.plain_data import same
from rules_engine.context.signals import SAVE_SIGNALS
from rules_engine.context.visible import read_by
from rules_engine.errors import UnknownPath
from rules_engine.rules.matching import CompiledChange, CompiledRule
from rules_engine.types import EVERY_FIELD, Event, FieldChange, MatchSubject, Path


def recorded_subject(rule: CompiledRule, event: Event) -> MatchSubject:
    """Return the event as the rule is matched against it: as it saw it live, or would have."""
    stored = _Stored(event)
    changes, unknown = dict(stored.changes), set()
    for asked in rule.changes:
        change = stored.change(asked.field)
        if change is _UNKNOWN and not stored.rules_out(asked):
            unknown.add(asked.field)
        elif change is not None and change is not _UNKNOWN:
            changes[asked.field] = change
    # Live it is given nothing else: what other rules read is no business of its own.
    own = read_by(rule.reads, event.context, event.model) if rule.reads_whole else event.context
    return MatchSubject(
        signal=event.signal,
        operation=event.operation,
        changes=changes,
        now=event.occurred_at,
        context=_with_changes(own, changes),
        unknown=frozenset(unknown),
        missing=stored.missing(rule.reads),
    )


def missing_of(reads: Iterable[Path], event: Event) -> list[Path]:
    """Return those of the paths that were not stored with the event, in order."""
    return _Stored(event).missing(reads)


_UNKNOWN: Any = object()


def _with_changes(context: Mapping[str, Any], changes: Mapping[str, FieldChange]) -> Mapping[str, Any]:
    """Return the context as it would have been had this rule been among those that asked what changed."""
    if context.get("changes") is None or len(context["changes"]) == len(changes):
        return context
    told = {name: {"old": change.old, "new": change.new} for name, change in changes.items()}
    return {**context, "changes": told, "changed": list(told)}


class _Stored:
    """What an event holds."""

    def __init__(self, event: Event) -> None:
        self.event, self.context = event, event.context
        self.model: ModelClass | None = find_model(event.model) if event.model else None
        told = self.context.get("changes") or {}
        self.changes = {name: FieldChange(name, ends.get("old"), ends.get("new")) for name, ends in told.items()}
        self.is_save = event.signal in SAVE_SIGNALS

    def missing(self, paths: Iterable[Path]) -> list[Path]:
        return sorted(path for path in paths if not self.has(path))

    def change(self, name: str) -> Any:
        """Return the field's change, None where it did not change, ``_UNKNOWN`` where that was not stored."""
        if name in self.changes:
            return self.changes[name]
        if not self.is_save:
            return None
        column = self._column(name)
        if column is None or self.context.get("changed") is None:
            return _UNKNOWN
        if self.event.operation == "update":
            return None if column in (self.context.get("old") or {}) else _UNKNOWN
        return self._set_on_create(name, column)

    def rules_out(self, asked: CompiledChange) -> bool:
        """Say whether the field holds another value than it was to change to: whatever it was, that is no such change.

        Live that is found out first, and no old value is read for the rule.
        """
        now, column = self.context.get("instance") or {}, self._column(asked.field)
        return asked.has_new and column is not None and column in now and not same(now[column], asked.new)

    def _set_on_create(self, name: str, column: str) -> Any:
        now = self.context.get("instance") or {}
        if column not in now:
            return _UNKNOWN
        return None if now[column] in (None, "") else FieldChange(name, None, now[column])

    def _column(self, name: str) -> str | None:
        if self.model is None:
            return None
        try:
            return field_of(self.model, name).attname
        except UnknownPath:
            return None

    def has(self, path: Path) -> bool:
        """Say whether what the path leads to was stored; that there is nothing there counts as well."""
        root, *rest = path
        if root == "instance":
            return self._has_value(self.context.get("instance"), rest, self.model)
        if root in ("old", "changes", "changed"):
            return self._has_past(root, rest)
        if root == "m2m" and rest[:1] == ["objects"]:
            told = self.context.get("m2m")
            return told is None or "objects" in told
        return root in self.context or root in ("held", "each")

    def _has_past(self, root: str, rest: Sequence[str]) -> bool:
        if not self.is_save and root == "old":
            old = self.context.get("old")
            return not rest or old is None or rest[0] == EVERY_FIELD or rest[0] in old
        if not self.is_save:
            return True
        names = rest[:1] if rest and rest[0] != EVERY_FIELD else self._field_names()
        if root == "old" and self.event.operation == "create":
            return True
        if root == "old":
            old = self.context.get("old") or {}
            return all(self._column(name) in old for name in names)
        return all(self.change(name) is not _UNKNOWN for name in names)

    def _field_names(self) -> list[str]:
        return [field.name for field in readable_fields(self.model)] if self.model is not None else []

    def _has_value(self, value: Any, rest: Sequence[str], model: ModelClass | None) -> bool:
        if value is None or not rest:
            return True
        name, *below = rest
        if isinstance(value, list):
            below = list(rest[1:]) if name.isdigit() else list(rest)
            return all(self._has_value(row, below, model) for row in value)
        if not isinstance(value, Mapping):
            return True  # a JSON field's own content
        if name == EVERY_FIELD:
            return model is None or all(field.attname in value for field in readable_fields(model))
        if name not in value:
            return False
        step = steps(model).get(name) if model is not None else None
        return self._has_value(value[name], below, step.model if step is not None else None)
