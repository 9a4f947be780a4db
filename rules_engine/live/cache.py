"""The compiled rule set of this process, and how it is exchanged for a newer one."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import DatabaseError, connections, router, transaction
from django.utils import timezone

from rules_engine.context.actor import paused
from rules_engine.live.compiler import compile_rule
from rules_engine.live.known import Reading, read
from rules_engine.live.paused import Paused, paused_rules
from rules_engine.live.recorders import recorders
from rules_engine.live.versions import number_versions
from rules_engine.models import Pause, Rule, RuleSetVersion
from rules_engine.models.captures.captured import Coverage, InstalledTrigger
from rules_engine.rules.matching import CompiledRule

logger = logging.getLogger("rules_engine")

NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """All live rules, in the order they are tried. ``number`` is the rule set version they were read at."""

    number: int
    rules: tuple[CompiledRule, ...] = ()
    #: From then on, by ``time.monotonic()``, it is to be read again, whatever its number.
    stale_at: float = NEVER
    #: What records the events of models that are recorded; tried before all rules.
    recorders: tuple[CompiledRule, ...] = ()
    #: The rules as they were read, those that a pause leaves out among them: what did not change is taken over.
    reading: Reading | None = None
    #: Those that a pause stops, with what it leaves of them.
    paused: Paused = field(default_factory=dict)
    #: What database triggers capture, by the label of a table's model.
    captures: Mapping[str, Coverage] = field(default_factory=dict)

    def find(self, slug: str) -> CompiledRule | None:
        """Return the live rule of that slug, or None."""
        return next((rule for rule in self.rules if rule.slug == slug), None)


EMPTY = RuleSet(number=-1)

_current = EMPTY
_on_change: list[Callable[[RuleSet], None]] = []
_lock = threading.RLock()
#: A fork waits this long for a refresh in another thread to end; one that hangs on its database is not waited for.
FORK_WAITS_SECONDS = 1.0
_is_locked_over_fork = False


def _before_fork() -> None:
    # The child has none of its parent's threads, and whatever lock one of them held (ours, or a signal's while we
    # connect to it) would never be released there.
    global _is_locked_over_fork
    _is_locked_over_fork = _lock.acquire(timeout=FORK_WAITS_SECONDS)


def _after_fork_in_parent() -> None:
    if _is_locked_over_fork:
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def current() -> RuleSet:
    """Return the rule set this process works by."""
    return _current


def on_change(listener: Callable[[RuleSet], None]) -> None:
    """Call ``listener`` with each new rule set: how the receiver learns what to connect to."""
    _on_change.append(listener)


def alias() -> str:
    """Return the database that rules and outbox live in."""
    return router.db_for_write(Rule)


def refresh(*, force: bool = False) -> bool:
    """Exchange the rule set if the stored one is newer, or part of it has ended; else one query. Returns whether.
    ``force`` reads and compiles all rules anew; else those that changed (``known``).

    In a transaction it reads inside a savepoint, so that a missing table costs the caller nothing. Before the first
    ``migrate`` the rule set is empty. Raises ``DatabaseError`` when the tables exist and cannot be read.
    """
    using = alias()
    with _lock:
        try:
            with transaction.atomic(using=using):
                number = RuleSetVersion.current(using)
                if number == _current.number and not force and time.monotonic() < _current.stale_at:
                    return False
                loaded = load(number, using, None if force else _current)
        except DatabaseError:
            if _tables_exist(using):
                raise
            loaded = EMPTY
        install(loaded)
    return True


def is_behind(number: int | None) -> bool:
    """Say whether the rule set is another than the one of that number (None: none was stored), or part of it has
    ended."""
    return (number or 0) != _current.number or time.monotonic() >= _current.stale_at


def catch_up(number: int) -> None:
    """Exchange the rule set if it is older than that one; nothing is asked of the database where it is not.

    Raises ``DatabaseError`` where the rules cannot be read.
    """
    if number > _current.number:
        with paused():  # that it connects is no event
            refresh()


def _tables_exist(using: str) -> bool:
    with transaction.atomic(using=using):
        return Rule._meta.db_table in connections[using].introspection.table_names()


def load(number: int, using: str, last: RuleSet | None = None) -> RuleSet:
    """Read the enabled rules at that number, and compile those that are not as they were in the ``last`` rule set."""
    reading = read(number, using, None if last is None else last.reading)
    pauses = list(Pause.objects.using(using).current())
    rules = [known.rule for known in reading.rules.values()]
    stopped = paused_rules(rules, pauses, {} if last is None else last.paused)
    left = (stopped[rule.slug][1] if rule.slug in stopped else rule for rule in rules)
    live = tuple(rule for rule in left if rule is not None)
    recording = recorders(using, rules)
    captures = InstalledTrigger.coverages(using)
    return RuleSet(number, live, _first_end(pauses, recording), recording, reading, stopped, captures)


def _first_end(pauses: Sequence[Pause], recording: Sequence[CompiledRule]) -> float:
    """Say when the first pause, or recording, ends by itself, by this process's clock: nobody announces that."""
    now = timezone.now()
    left = [pause.seconds_left for pause in pauses]
    ends = (recorder.active_until for recorder in recording)
    left += [(end - now).total_seconds() for end in ends if end is not None]
    return time.monotonic() + min((seconds for seconds in left if seconds is not None), default=NEVER)


def compile_one(rule: Rule) -> CompiledRule:
    """Compile one rule as the database has it now, enabled or not, numbered by its latest version."""
    spec = rule.spec()
    return compile_rule(spec, number_versions([spec], alias())[spec.slug])


def install(rule_set: RuleSet) -> None:
    """Make this the rule set of the process and tell whoever listens."""
    global _current
    with _lock:
        for rule in rule_set.rules:
            if rule.fault:
                logger.error("The rule %s cannot be tried: %s", rule.slug, rule.fault)
        for listener in _on_change:
            listener(rule_set)
        # Last: a listener that fails leaves the number as it was, and the next look tries again.
        _current = rule_set


def reset() -> None:
    """Forget all rules: for tests, after which nothing of one may be left to the next."""
    install(EMPTY)
