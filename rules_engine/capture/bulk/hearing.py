"""Who hears of a write of many rows. Nearly always nobody, which is found out without a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import models

from rules_engine.capture import receiver
from rules_engine.capture.origins import writers
from rules_engine.capture.watches import SAVES, ModelWatch, Table
from rules_engine.context import actor
from rules_engine.live import watcher
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import Operation

#: Whether a write that rules are told of is being carried out: what it calls of itself is not told again.
_is_inside: ContextVar[bool] = ContextVar("rules_engine_inside_bulk", default=False)
#: The signals that are told of the writes made just now; those before have been told by whoever calls.
_signals: ContextVar[Sequence[str]] = ContextVar("rules_engine_bulk_signals", default=SAVES)


@dataclass(frozen=True, slots=True)
class Hearing:
    """The rules on the model that is written, and the database that it is written in."""

    table: Table
    watch: ModelWatch
    using: str
    #: The names of the signals that are told.
    signals: Sequence[str]

    def rules(self, *operations: Operation) -> list[CompiledRule]:
        """Return the rules that hear some of these operations."""
        return [
            rule
            for signal in self.signals
            for rule in self.watch.rules.get(signal, ())
            if not rule.operations or not rule.operations.isdisjoint(operations)
        ]

    def heard(self, signal: str, *operations: Operation) -> list[tuple[str, Sequence[CompiledRule]]]:
        """Return the signal, where it is told, with the rules that hear some of these operations by it."""
        rules = self.watch.rules.get(signal, ()) if signal in self.signals else ()
        hears = [rule for rule in rules if not rule.operations or not rule.operations.isdisjoint(operations)]
        return [(signal, hears)] if hears else []


def hearing_of(rows: models.QuerySet[Any]) -> Hearing | None:
    """Return who hears of a write through this queryset; None where nobody does.

    The one place where that is decided for all bulk writes.
    """
    origin = actor.origin()
    if origin.is_paused or _is_inside.get():
        return None
    if not watcher.has_loaded() and not watcher.is_test_environment():
        # No connection was opened yet, which loads the rules else.
        watcher.ensure_loaded()
    table = receiver.table(rows.model)
    watch = table.models.get(rows.model)
    if watch is None or (origin.is_loading and not table.hears_raw):
        return None
    rows._for_write = True  # type: ignore[attr-defined]
    return Hearing(table, watch, rows.db, _signals.get())


@contextmanager
def told_already(number: int | None = None) -> Iterator[None]:
    """Carry out a write inside of which rules are told by whoever calls, those of the rule set of that number."""
    token = _is_inside.set(True)
    try:
        with writers.telling_by(number):
            yield
    finally:
        _is_inside.reset(token)


@contextmanager
def told_before() -> Iterator[None]:
    """Carry out a write of which the rules on ``pre_save`` were told already."""
    token = _signals.set(("post_save",))
    try:
        yield
    finally:
        _signals.reset(token)
