"""Counts in the process how rules fail: no query, no lock of the database, and nothing at all of rules that do not.

A success is counted only of rules that failed lately. Every second the thread that looks for changed rules adds what
was counted to the rule's row, which all processes share (``live.breakers``).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, NamedTuple

from rules_engine import conf
from rules_engine.context.snapshot import clean_text

#: What of a rule fails: asking it at a change, or what it has done.
Part = Literal["condition", "actions"]
#: Characters of an error that are kept.
LONGEST = 500
#: Rules that are counted between two looks. More, as where a database has no disk left, are counted at the next.
MOST = 10_000


class Counted(NamedTuple):
    """Which rule, in which version, and what of it."""

    slug: str
    version: int
    part: Part


@dataclass(slots=True)
class Count:
    """What was counted of one since it was last added up. ``in_a_row`` are the failures since the last success."""

    failed: int = 0
    succeeded: int = 0
    in_a_row: int = 0
    error: str = ""
    #: What ``in_a_row`` was before the last success: that one may turn out to be none.
    _before: int = 0

    def add_failure(self, error: str, *, is_after_all: bool) -> None:
        """Count a failure; ``is_after_all``, in place of a success that was counted a moment ago."""
        if is_after_all and self.succeeded:
            self.succeeded -= 1
            self.in_a_row += self._before
            self._before = 0
        self.failed += 1
        self.in_a_row += 1
        # What no database takes would keep all that is counted from being added up.
        self.error = clean_text(error, LONGEST)

    def add_success(self) -> None:
        """Count a success."""
        self.succeeded += 1
        self._before, self.in_a_row = self.in_a_row, 0

    def add_later(self, later: Count) -> None:
        """Add what was counted after this."""
        self.in_a_row = later.in_a_row + (0 if later.succeeded else self.in_a_row)
        self.failed, self.succeeded = self.failed + later.failed, self.succeeded + later.succeeded
        self.error = later.error or self.error


_counts: dict[Counted, Count] = {}
_lock = threading.Lock()
#: The slugs of the rules that failed lately, here or elsewhere: of those successes count too. Nearly always empty.
watched: frozenset[str] = frozenset()


def note(slug: str, version: int, error: str, *, part: Part = "condition", is_after_all: bool = False) -> None:
    """Count a failure of a rule. ``is_after_all``: it was said to have succeeded a moment ago."""
    global watched
    if not slug or not conf.breaker().is_on:
        return
    key = Counted(slug, version, part)
    with _lock:
        if key not in _counts and len(_counts) >= MOST:
            return
        _counts.setdefault(key, Count()).add_failure(error, is_after_all=is_after_all)
        if slug not in watched:
            watched = watched | {slug}


def note_success(slug: str, version: int, *, part: Part = "condition") -> None:
    """Count a success of a rule, where it is one that failed lately."""
    if slug in watched:
        with _lock:
            _counts.setdefault(Counted(slug, version, part), Count()).add_success()


def take() -> dict[Counted, Count]:
    """Return what was counted, and begin anew."""
    global _counts
    with _lock:
        taken, _counts = _counts, {}
    return taken


def put_back(key: Counted, count: Count) -> None:
    """Keep for the next time what could not be added up."""
    with _lock:
        later = _counts.pop(key, None)
        if later is not None:
            count.add_later(later)
        _counts[key] = count


def watch(slugs: Collection[str]) -> None:
    """Count the successes of these rules, and of no others but those whose failures are yet to be added up."""
    global watched
    with _lock:
        watched = frozenset(slugs) | {key.slug for key, count in _counts.items() if count.failed}


def reset() -> None:
    """Forget all: for tests, and in a forked child, whose parent tells what it has counted itself."""
    global _counts, _lock, watched
    _counts, _lock, watched = {}, threading.Lock(), frozenset()


os.register_at_fork(after_in_child=reset)
