"""Which rules an event matches. Pure: no database, no settings, no clock.

A rule passes the gates of ``rules.gates`` in turn, and matching takes the first that stops it. The cheap ones come
first, and a context is read only for the rules that get as far as their condition: ``tried``, ``early_stops``, then,
once it is read, ``match``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from rules_engine.context.plain_data import same
from rules_engine.errors import ConditionError
from rules_engine.rules import gates
from rules_engine.rules.gates import CONDITION, Gate, Stop, first_stop
from rules_engine.types import Evaluation, FieldChange, MatchSubject, OnFailure, Path, Timing, Unread, shared

if TYPE_CHECKING:
    from rules_engine.rules.holding import Hold
    from rules_engine.rules.repetition import Each
    from rules_engine.rules.schedules.arms import Arms


class Predicate(Protocol):
    """What matching needs of a compiled condition."""

    def matches(self, data: Any, /) -> bool:
        """Say whether it holds for the data; raises ``ConditionError`` when that cannot be said."""


@dataclass(frozen=True, slots=True)
class CompiledChange:
    """A change condition whose values are in the form that events carry."""

    field: str
    has_old: bool = False
    old: Any = None
    has_new: bool = False
    new: Any = None

    def holds(self, changes: Mapping[str, FieldChange]) -> bool:
        """Say whether the field changed, and from and to what was asked."""
        change = changes.get(self.field)
        if change is None or type(change.old) is Unread or type(change.new) is Unread:
            return False
        return (not self.has_old or same(change.old, self.old)) and (not self.has_new or same(change.new, self.new))

    def unread(self, changes: Mapping[str, FieldChange]) -> Unread | None:
        """Return what keeps from saying whether it holds; None where that can be said."""
        change = changes.get(self.field)
        if change is None or not change.is_unread:
            return None
        if isinstance(change.old, Unread):
            return (
                None if self.has_new and not isinstance(change.new, Unread) and change.new != self.new else change.old
            )
        return None if self.has_old and change.old != self.old else change.new


@dataclass(frozen=True, slots=True)
class CompiledAction:
    """An action ready to be written to the outbox."""

    position: int
    kind: str
    config: Mapping[str, Any]
    timing: Timing
    queue: str
    lane: str = ""
    order_key: str = ""
    delay: int = 0
    on_failure: OnFailure = "go_on"
    each: Each | None = None
    #: What its execution keeps of a time of day that it waits for, and of asking again; None for most.
    later: Mapping[str, Any] | None = None
    #: What it reads of the context itself; None: what is read for its rule.
    reads: frozenset[Path] | None = None


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to be tried. ``fault`` says why it cannot be: then every evaluation of it is an error."""

    slug: str
    version: int
    model: str
    signals: frozenset[str]
    operations: frozenset[str] = frozenset()
    changes: tuple[CompiledChange, ...] = ()
    condition: Predicate | None = None
    reads: frozenset[Path] = frozenset()
    #: Whether the condition looks at objects as wholes, and so would see of them what other rules read.
    reads_whole: bool = False
    actions: tuple[CompiledAction, ...] = ()
    action_reads: frozenset[Path] = frozenset()
    #: What is read to find out whether, and how often, it acts.
    match_reads: frozenset[Path] = frozenset()
    shadow: bool = False
    stop_processing: bool = False
    author_id: Any = None
    fault: str = ""
    raw: bool = False
    #: The share of events it is tried on, 1.0 for all.
    sample: float = 1.0
    active_from: datetime | None = None
    active_until: datetime | None = None
    hold: Hold | None = None
    #: When it acts by the clock, as written.
    schedule: Mapping[str, Any] | None = None
    #: What a match begins, where it waits by the clock; and the rule that ends it again.
    arms: Arms | None = None
    ending: CompiledRule | None = None
    #: Those that it holds in alone; empty: in all.
    surroundings: str = ""
    #: Whether it is paused; its matches are kept, and what acts in the process of the save does not.
    is_paused: bool = False

    #: The gates that it has, so that matching asks no others.
    moment_gates: tuple[Gate, ...] = field(init=False, repr=False, compare=False)
    change_gates: tuple[Gate, ...] = field(init=False, repr=False, compare=False)
    #: What a match asks of its actions: which wait for workers, whether some act in the transaction of the change, and
    #: whether some act for each of some rows.
    later_actions: tuple[CompiledAction, ...] = field(init=False, repr=False, compare=False)
    acts_in_transaction: bool = field(init=False, repr=False, compare=False)
    has_each: bool = field(init=False, repr=False, compare=False)
    #: What is read for its condition and its actions together.
    all_reads: frozenset[Path] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        later = [action for action in self.actions if action.timing == "after_commit" and not self.shadow]
        is_read_anyway = self.reads <= self.action_reads
        found = {
            "moment_gates": tuple(gate for gate in gates.OF_THE_MOMENT if gate.is_of(self)),
            "change_gates": _change_gates(self),
            "later_actions": self.actions if len(later) == len(self.actions) else tuple(later),
            "acts_in_transaction": any(action.timing == "in_transaction" for action in self.actions),
            "has_each": any(action.each is not None for action in self.actions),
            "all_reads": self.action_reads if is_read_anyway else shared(self.action_reads | self.reads),
        }
        for name, value in found.items():
            object.__setattr__(self, name, value)


def _change_gates(rule: CompiledRule) -> tuple[Gate, ...]:
    """Return the gates before its context is built; for a rule with a fault its condition is one, which reads
    nothing."""
    own = [gate for gate in gates.OF_THE_CHANGE if gate.is_of(rule)]
    return (*own, CONDITION) if rule.fault else tuple(own)


class Contexts(NamedTuple):
    """What the conditions of some rules are given: one context for all, and for some rules one of their own.

    ``own`` is by the rules' slugs; an error in it says why the rule's context could not be read.
    """

    shared: Any = None
    own: Mapping[str, Any] = MappingProxyType({})


def tried(rules: Sequence[CompiledRule], subject: MatchSubject) -> Sequence[CompiledRule]:
    """Return those of the rules that are tried on the subject; that the others were not is told nowhere."""
    if subject.caused_by is not None or subject.is_loading:
        rules = [rule for rule in rules if first_stop(rule, subject, gates.OF_THE_ORIGIN) is None]
    left = []
    for rule in rules:
        for gate in rule.moment_gates:
            if gate.stop(rule, subject) is not None:
                break
        else:
            left.append(rule)
    return left


def early_stops(rules: Sequence[CompiledRule], subject: MatchSubject) -> tuple[list[Stop | None], list[CompiledRule]]:
    """Return where each rule stops before its condition, and the rules that come to it: a context is read for those.

    No call is made for each rule.
    """
    stops: list[Stop | None] = []
    left: list[CompiledRule] = []
    for rule in rules:
        stop = None
        for gate in rule.change_gates:
            stop = gate.stop(rule, subject)
            if stop is not None:
                break
        if stop is None and rule.condition is not None:
            left.append(rule)
        stops.append(stop)
    return stops, left


def match(rules: Sequence[CompiledRule], early: Sequence[Stop | None], contexts: Contexts) -> list[Evaluation]:
    """Ask the conditions of the rules that did not stop before: one evaluation each, up to a match that ends it.

    Empty where no rule matched and none failed: then there is nothing to tell, and that is the case that must be fast.
    A condition that cannot be evaluated is an "error" evaluation of its rule alone.
    """
    stops, is_told = all_stops(rules, early, contexts)
    evaluations: list[Evaluation] = []
    if is_told:
        evaluations += map(_evaluation, rules, stops)
    return evaluations


def all_stops(
    rules: Sequence[CompiledRule], early: Sequence[Stop | None], contexts: Contexts
) -> tuple[list[Stop | None], bool]:
    """Return where each rule stopped, in order, and whether any matched or failed; see ``match``."""
    stops: list[Stop | None] = []
    is_told = False
    for rule, stop in zip(rules, early, strict=True):
        if stop is None and rule.condition is not None:
            data = contexts.own.get(rule.slug, contexts.shared)
            if isinstance(data, ConditionError):
                stop = Stop(CONDITION, str(data), "error")
            else:
                try:
                    stop = None if rule.condition.matches(data) else CONDITION.shut
                except ConditionError as error:
                    stop = Stop(CONDITION, str(error), "error")
        stops.append(stop)
        is_told = is_told or stop is None or stop.outcome == "error"
        if stop is None and rule.stop_processing and ends(rule):
            break
    return stops, is_told


def ends(rule: CompiledRule) -> bool:
    """Say whether a match of the rule ends the processing of those after it."""
    # A rule in shadow changes nothing, and so not what the others do.
    return rule.stop_processing and not rule.shadow


def _evaluation(rule: CompiledRule, stop: Stop | None) -> Evaluation:
    if stop is None:
        return Evaluation(rule.slug, rule.version, "matched")
    return Evaluation(rule.slug, rule.version, stop.outcome, stop.gate.name, stop.detail)


def ruled_out(rule: CompiledRule, subject: MatchSubject) -> Evaluation:
    """Return where a rule stops that is known not to match: at its condition, where no gate stops it before."""
    stop = first_stop(rule, subject, gates.OF_THE_CHANGE)
    return _evaluation(rule, CONDITION.shut if stop is None else stop)


def failed(rule: CompiledRule, detail: str) -> Evaluation:
    """Return the error of a rule that cannot be tried on a subject at all."""
    return Evaluation(rule.slug, rule.version, "error", None, detail)


def evaluate(rule: CompiledRule, subject: MatchSubject) -> Evaluation:
    """Return what one rule says of a subject with its context, whatever it says, and whenever that was."""
    return _evaluation(rule, first_stop(rule, subject, (*gates.OF_THE_CHANGE, CONDITION)))
