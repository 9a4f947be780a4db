"""What a pre-signal leaves for its post-signal.

It waits on the instance, because a save that fails in between must leave nothing behind: on ``instance._state``, which
every model instance has and no field name can collide with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import models

from rules_engine.texts import Allowance

if TYPE_CHECKING:
    from rules_engine.capture.decision import Decision
    from rules_engine.capture.watches import ModelWatch

#: Where it waits.
ATTRIBUTE = "rules_engine_before"
#: A save that fails leaves its entry behind; a caller that retries for ever must not pile them up.
MOST_NESTED = 8


@dataclass(slots=True)
class Before:
    """What a pre-signal leaves for its post-signal: the stored values, and the decisions that it is to write."""

    kind: str
    old: Mapping[str, Any] | None = None
    #: The parents of a child that is added which are there already, with their stored values.
    parents: Sequence[tuple[ModelWatch, Mapping[str, Any]]] = ()
    decisions: list[Decision] = field(default_factory=list)
    _allowance: Allowance | None = field(default=None, compare=False, repr=False)

    @property
    def allowance(self) -> Allowance:
        """What the texts of both signals may take together; made where there is one."""
        if self._allowance is None:
            self._allowance = Allowance()
        return self._allowance

    def __reduce__(self) -> Any:
        # Callers pickle and copy instances, in their own receivers too; what waits here stays here.
        return Before, ("copied",)


PRE_SIGNALS = {models.signals.pre_save: "save", models.signals.pre_delete: "delete"}
POST_SIGNALS = {models.signals.post_save: "save", models.signals.post_delete: "delete"}


def begin(signal: Any, sent: Mapping[str, Any]) -> Before:
    """Return what this pre-signal leaves for its post-signal, or what a post-signal's pre-signal has left for it.

    For all other signals that is nothing.
    """
    if signal in PRE_SIGNALS:
        return leave(sent["instance"], Before(PRE_SIGNALS[signal]))
    kind = POST_SIGNALS.get(signal, "")
    return (take(sent["instance"], kind) if kind else None) or Before(kind)


def leave(instance: models.Model, before: Before) -> Before:
    """Leave it on the instance for the post-signal."""
    waiting: list[Before] = instance._state.__dict__.setdefault(ATTRIBUTE, [])
    waiting.append(before)
    del waiting[:-MOST_NESTED]
    return before


def give_up(before: Before, sent: Mapping[str, Any]) -> None:
    """Forget what a pre-signal left: no post-signal will come for a change that is rejected."""
    take(sent["instance"], before.kind)


def take(instance: models.Model, kind: str) -> Before | None:
    """Take what the pre-signal of the kind has left, and whatever was left above it; None where it left nothing."""
    waiting: list[Before] | None = instance._state.__dict__.get(ATTRIBUTE)
    before = None
    while waiting and before is None:
        # Of another kind: left by a save or delete that failed. Calls nest, so it cannot be one that goes on.
        last = waiting.pop()
        before = last if last.kind == kind else None
    if not waiting:
        instance._state.__dict__.pop(ATTRIBUTE, None)
    return before


def has_left(instance: models.Model) -> bool:
    """Say whether anything waits on the instance."""
    return ATTRIBUTE in instance._state.__dict__


def last_left(instance: models.Model) -> Before | None:
    """Return what was left last, where it stays; None where nothing waits."""
    waiting = instance._state.__dict__.get(ATTRIBUTE)
    return waiting[-1] if waiting else None
