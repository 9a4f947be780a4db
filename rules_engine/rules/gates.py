"""Every reason for which a rule does not match an event: one gate each, in the order in which a rule passes them.

Matching takes the first that stops a rule, the pages that test and explain take all of them, and "Show as Python"
writes one after the other. So a new gate is a class here, a place in ``GATES``, and its lines of Python in
``source.gates``; the tests fail until all three are there. Pure: no database, no settings, no clock, no chance.

What is no gate: a rule that is switched off, or dropped by a pause, is not in the rule set at all; one behind a match
that ends the processing is not come to; shadow, a pause that keeps, and holding back decide what becomes of a match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from django.utils import translation

# Marked for the catalogues and left in English here: a stop is stored as that, and translated for whoever reads it.
from django.utils.translation import gettext_noop as _

from rules_engine.errors import ConditionError, not_read
from rules_engine.logic.evaluator import data_handle
from rules_engine.rules.schedules.kinds import DUE
from rules_engine.types import FieldChange, GateName, MatchSubject, Outcome, Path

if TYPE_CHECKING:
    from rules_engine.rules.matching import CompiledChange, CompiledRule

#: What came of a gate: one that reads what was not stored has no verdict.
State = Literal["open", "shut", "error", "not_recorded"]


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a rule stopped. ``what`` is what the gate's sentence is about, or the error."""

    gate: Gate
    what: str = ""
    outcome: Outcome = "not_matched"

    @property
    def detail(self) -> str:
        """Why, in the English that events store; ``sentence_of`` finds the sentence again, to translate it."""
        return self.what if self.outcome == "error" else self.gate.sentence % {"what": self.what}

    def why(self) -> str:
        """Say why, in the language of whoever asks."""
        return self.what if self.outcome == "error" else translation.gettext(self.gate.sentence) % {"what": self.what}


@dataclass(frozen=True, slots=True)
class ChangeSeen:
    """A change condition beside what happened to its field; ``change`` is None where it did not change."""

    field: str
    asked: Mapping[str, Any]
    change: FieldChange | None
    state: State


@dataclass(frozen=True, slots=True)
class GateSeen:
    """A gate with what it looked at. ``tree`` is the trace of a condition, where one was asked for."""

    gate: Gate
    state: State
    #: Why it is not open, as a stop has it; empty where ``changes`` or ``tree`` show more.
    detail: str = ""
    changes: Sequence[ChangeSeen] = ()
    tree: Mapping[str, Any] | None = None
    missing: Sequence[Path] = ()

    @property
    def name(self) -> GateName:
        """The gate's name."""
        return self.gate.name


class Gate:
    """One reason for which a rule stops. There is one object of each kind, which keeps the stops that it has made: a
    rule that does not match costs no new one."""

    name: ClassVar[GateName]
    #: What people call it, to be translated.
    title: ClassVar[str]
    #: Why a rule stops here, to be translated; what it is about stands for ``%(what)s``.
    sentence: ClassVar[str]
    #: Whether an event keeps a record of the rules that stopped here; of all others it says nothing.
    is_recorded: ClassVar[bool] = False

    def __init__(self) -> None:
        self.shut = Stop(self)
        self.made: dict[str, Stop] = {}

    def shut_at(self, what: str) -> Stop:
        """Return the stop about this: an operation, a field, a signal, of which there are few."""
        if what not in self.made:
            self.made[what] = Stop(self, what)
        return self.made[what]

    def is_of(self, rule: CompiledRule) -> bool:
        """Say whether the rule asks for something here; where it does not, the gate is open to it."""
        raise NotImplementedError

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        """Return where the rule stops, None where the gate is open."""
        raise NotImplementedError

    def seen(self, rule: CompiledRule, subject: MatchSubject) -> GateSeen | None:
        """Return the gate for people, None where it has nothing to tell of this rule."""
        if not self.is_of(rule):
            return None
        stop = self.stop(rule, subject)
        return GateSeen(self, "open") if stop is None else GateSeen(self, "shut", stop.detail)


class GateOfEveryRule(Gate):
    """A gate that every rule has, and that is not worth telling of unless it is shut."""

    def is_of(self, rule: CompiledRule) -> bool:
        return True

    def seen(self, rule: CompiledRule, subject: MatchSubject) -> GateSeen | None:
        stop = self.stop(rule, subject)
        return None if stop is None else GateSeen(self, "shut", stop.detail)


class Signals(GateOfEveryRule):
    """It hears the signal. Live, the receiver is connected to what rules hear, and matching need not ask."""

    name = "signals"
    title = _("Its signals")
    sentence = _("It does not listen to %(what)s.")

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        is_heard = subject.signal in rule.signals or (rule.schedule is not None and subject.signal == DUE)
        return None if is_heard else self.shut_at(subject.signal)


class OwnChange(GateOfEveryRule):
    """It does not set off itself: what its own actions change, it does not see."""

    name = "own_change"
    title = _("Who made the change")
    sentence = _("Its own action made the change, and no rule sets off itself.")

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        return self.shut if rule.slug == subject.caused_by else None


class LoadedData(GateOfEveryRule):
    """Data that is loaded, by loaddata or by a test's fixtures, is seen by the rules that ask for it."""

    name = "loaded_data"
    title = _("Loaded data")
    sentence = _("Data was loaded, and it does not listen to that.")

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        return self.shut if subject.is_loading and not rule.raw else None


class Dates(Gate):
    """It is active from a date, until another."""

    name = "dates"
    title = _("Its dates")
    sentence = _("It is not active at that time.")

    def is_of(self, rule: CompiledRule) -> bool:
        return rule.active_from is not None or rule.active_until is not None

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        begin, end = rule.active_from, rule.active_until
        is_outside = (begin is not None and subject.now < begin) or (end is not None and end <= subject.now)
        return self.shut if is_outside else None


#: A draw has 30 bits, which Python multiplies quickest. Times the hash of a slug its low bits are as even, and for each
#: rule others: rules of one share are not all for the same events.
DRAW_BITS = 30
_LOW_BITS = 2**DRAW_BITS - 1


class Sample(Gate):
    """It is for a share of all events, chosen by chance."""

    name = "sample"
    title = _("Its sample")
    sentence = _("By chance it is not in the sample.")

    def is_of(self, rule: CompiledRule) -> bool:
        return rule.sample < 1.0

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        if subject.draw is None:
            return None
        # An odd factor, so that each draw comes to another number.
        drawn = subject.draw * (hash(rule.slug) & _LOW_BITS | 1) & _LOW_BITS
        return None if drawn < rule.sample * _LOW_BITS else self.shut

    def seen(self, rule: CompiledRule, subject: MatchSubject) -> GateSeen | None:
        return None if subject.draw is None else super().seen(rule, subject)


class Operations(Gate):
    """It is for some of what happens to an object: for its creation, say."""

    name = "operations"
    title = _("What happened")
    sentence = _("This was: %(what)s.")
    is_recorded = True

    def is_of(self, rule: CompiledRule) -> bool:
        return bool(rule.operations)

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        if subject.operation in rule.operations or not rule.operations:
            return None
        what = subject.operation or "a signal without operation"
        return self.made.get(what) or self.shut_at(what)


class Changes(Gate):
    """It is for changes of some fields, perhaps from a value, or to one; all of them are to hold."""

    name = "changes"
    title = _("The fields that changed")
    sentence = _("%(what)s did not change as asked.")
    is_recorded = True

    def is_of(self, rule: CompiledRule) -> bool:
        return bool(rule.changes)

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        unread = None
        for change in rule.changes:
            if not change.holds(subject.changes):
                unread = change.unread(subject.changes)
                if unread is None:
                    return self.made.get(change.field) or self.shut_at(change.field)
        return None if unread is None else Stop(self, not_read(unread.error), "error")

    def seen(self, rule: CompiledRule, subject: MatchSubject) -> GateSeen | None:
        """Return all of them, each beside what happened to its field."""
        if not self.is_of(rule):
            return None
        seen = [_change_seen(change, subject) for change in rule.changes]
        return GateSeen(self, _worst({change.state for change in seen}), changes=seen)


def _change_seen(change: CompiledChange, subject: MatchSubject) -> ChangeSeen:
    asked = {}
    if change.has_old:
        asked["from"] = change.old
    if change.has_new:
        asked["to"] = change.new
    state: State = "open" if change.holds(subject.changes) else "shut"
    if change.unread(subject.changes) is not None:
        state = "error"
    if change.field in subject.unknown:
        state = "not_recorded"
    return ChangeSeen(change.field, asked, subject.changes.get(change.field), state)


def _worst(states: Iterable[State]) -> State:
    # One that is known not to hold decides, whatever those were of which nothing was stored.
    return next((state for state in ("shut", "error", "not_recorded") if state in states), "open")


class Condition(Gate):
    """Its condition holds. A rule that could not be compiled stops here too, with its fault."""

    name = "condition"
    title = _("Its condition")
    sentence = _("The condition is false.")
    is_recorded = True

    def is_of(self, rule: CompiledRule) -> bool:
        return rule.condition is not None or bool(rule.fault)

    def stop(self, rule: CompiledRule, subject: MatchSubject) -> Stop | None:
        if rule.fault:
            return Stop(self, rule.fault, "error")
        # Of what is asked at a save, ``matching.all_stops`` says the same without a call for each rule.
        try:
            holds = rule.condition is None or rule.condition.matches(data_handle(dict(subject.context)))
        except ConditionError as error:
            return Stop(self, str(error), "error")
        return None if holds else self.shut

    def seen(self, rule: CompiledRule, subject: MatchSubject) -> GateSeen | None:
        """Return what it says, without its trace, which takes a hundred times as long."""
        if not self.is_of(rule):
            return None
        if subject.missing and not rule.fault:
            return GateSeen(self, "not_recorded", missing=subject.missing)
        stop = self.stop(rule, subject)
        if stop is None:
            return GateSeen(self, "open")
        return GateSeen(self, "error", stop.detail) if stop.outcome == "error" else GateSeen(self, "shut")


SIGNALS, OWN_CHANGE, LOADED_DATA, DATES, SAMPLE = Signals(), OwnChange(), LoadedData(), Dates(), Sample()
OPERATIONS, CHANGES, CONDITION = Operations(), Changes(), Condition()

#: They ask where a change came from, and are open to all where it came from outside and is not loaded.
OF_THE_ORIGIN: tuple[Gate, ...] = (OWN_CHANGE, LOADED_DATA)
#: They ask of a rule whether it is for this moment; like the former they leave no record.
OF_THE_MOMENT: tuple[Gate, ...] = (DATES, SAMPLE)
#: They ask what happened, and cost next to nothing. Behind them stands the condition, for which the context is built.
OF_THE_CHANGE: tuple[Gate, ...] = (OPERATIONS, CHANGES)
#: All of them, in the order in which a rule passes them.
GATES: tuple[Gate, ...] = (SIGNALS, *OF_THE_ORIGIN, *OF_THE_MOMENT, *OF_THE_CHANGE, CONDITION)


def first_stop(rule: CompiledRule, subject: MatchSubject, gates: Iterable[Gate] = GATES) -> Stop | None:
    """Return where the rule stops first, None where all the gates are open."""
    for gate in gates:
        stop = gate.stop(rule, subject)
        if stop is not None:
            return stop
    return None


def title_of(name: str) -> str:
    """Return what people call the gate of that name; the name where there is no such gate."""
    return next((translation.gettext(gate.title) for gate in GATES if gate.name == name), name)


def sentence_of(detail: str) -> tuple[str, str] | None:
    """Return the sentence that was stored, as the reader's language has it, and what it is about; None where it is
    none."""
    for gate in GATES:
        before, place, after = gate.sentence.partition("%(what)s")
        what = detail[len(before) : len(detail) - len(after)]
        if detail == f"{before}{what}{after}" and bool(what) == bool(place):
            return translation.gettext(gate.sentence), what
    return None
