"""The plain data that flows from the receiver to the actions. Every type is frozen; none knows a database."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, ParamSpec, TypeVar

from rules_engine.errors import RulesEngineError

#: A place in the context: ``("instance", "doctor", "email")``.
Path = tuple[str, ...]

Operation = Literal["create", "update", "delete", "add", "remove", "clear"]
Outcome = Literal["matched", "not_matched", "error"]
#: Where a rule stops (``rules.gates``); an event keeps record of the last three.
GateName = Literal["signals", "own_change", "loaded_data", "dates", "sample", "operations", "changes", "condition"]
Timing = Literal["before_save", "in_transaction", "after_commit"]
#: What becomes of a rule's later actions when one of them fails for good.
OnFailure = Literal["go_on", "stop"]

#: The last step of a path that stands for every readable concrete field: ``("instance", "*")``.
EVERY_FIELD = "*"


_last = 0
_lock = threading.Lock()


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def new_id() -> uuid.UUID:
    """Make a time-ordered UUID, as ``new_ids`` makes them."""
    return new_ids(1)[0]


def new_ids(count: int) -> list[uuid.UUID]:
    """Make time-ordered UUIDs (version 7, RFC 9562): new rows land side by side in the index, and need no round trip.

    Those of one process are in order too, also within a millisecond: by a counter where the RFC has 12 bits for one,
    which runs on into the next millisecond when it is used up.
    """
    global _last
    with _lock:
        first = max((time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF) << 12, _last + 1)
        _last = first + count - 1
    made, chances = list[uuid.UUID](), os.urandom(8 * count)
    for index in range(count):
        milliseconds, counter = (first + index) >> 12, (first + index) & 0xFFF
        chance = int.from_bytes(chances[8 * index : 8 * index + 8], "big") & 0x3FFF_FFFF_FFFF_FFFF
        made.append(uuid.UUID(int=milliseconds << 80 | 0x7 << 76 | counter << 64 | 0x2 << 62 | chance))
    return made


Value = TypeVar("Value", bound=Hashable)


@lru_cache(maxsize=4_096, typed=True)
def _first(value: Any) -> Any:
    return value


def shared(value: Value) -> Value:
    """Return the equal value that was given first, so that ten thousand rules which read alike keep that once.

    For texts and what is made of them: numbers that are equal may be of several types. So many are remembered; of more
    some are kept twice.
    """
    first: Value = _first(value)
    return first


@dataclass(frozen=True, slots=True, eq=False)
class Unread:
    """Stands in for what could not be read or answered: a site's own code has a part in it, and may raise anything."""

    error: Exception

    @property
    def message(self) -> str:
        """For people: the error in its own words where it is one of ours, else with its type before."""
        if isinstance(self.error, RulesEngineError):
            return str(self.error)
        return f"{type(self.error).__name__}: {self.error}"


Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def ask(
    question: Callable[Parameters, Answer], *arguments: Parameters.args, **named: Parameters.kwargs
) -> Answer | Unread:
    """Ask what a site's own code has a part in; whatever it raises is an answer too, which the caller has to tell.

    One place where errors of any kind are caught, for all that one rule, action, field or argument is asked: it must
    not take others along. The few places that are passed at every save catch by themselves; the architecture test lists
    them (``BOUNDARIES``).
    """
    try:
        return question(*arguments, **named)
    except Exception as error:  # a site's own code may raise anything; see test_architecture.BOUNDARIES
        return Unread(error)


class CutText(str):
    """A text that was longer than it is told; the rest stands for itself in the mark at its end."""

    __slots__ = ()


class CutList(list[Any]):
    """A list inside a value that was longer than it is told; its last item is the mark."""

    __slots__ = ()


class CutMapping(dict[str, Any]):
    """A mapping with more keys, or levels, than it is told."""

    __slots__ = ()


class CutRows(list[Any]):
    """Rows of a relation, or keys, of which there are more than are read. All that it holds are such."""

    __slots__ = ()


CUT_TYPES = (CutText, CutList, CutMapping, CutRows)


@dataclass(frozen=True, slots=True)
class FieldChange:
    """A field whose stored value differs before and after; both values are JSON-safe.

    A value that could not be read is ``Unread``: then nobody knows whether it changed.
    """

    field: str
    old: Any
    new: Any

    @property
    def is_unread(self) -> bool:
        """Say whether one of the values could not be read."""
        return isinstance(self.old, Unread) or isinstance(self.new, Unread)


class MatchSubject(NamedTuple):
    """What rules are matched against: what happened, when, and where the change came from.

    ``context`` is what conditions read where that is known before; matching builds it only for the rules that come as
    far as their condition, and leaves it empty. A recorded event may not hold all that a rule asks for: ``unknown`` are
    the fields of which it was not stored whether they changed, ``missing`` the paths that were not stored.

    Made at every save that some rule hears of: a tuple takes 0.3 µs to make, a frozen dataclass 1.1 µs.
    """

    signal: str
    operation: Operation | None
    changes: Mapping[str, FieldChange]
    now: datetime
    #: The slug of the rule whose action made the change, None for a change from outside.
    caused_by: str | None = None
    is_loading: bool = False
    #: What chance drew for this event; None leaves chance out.
    draw: int | None = None
    context: Mapping[str, Any] = MappingProxyType({})
    unknown: frozenset[str] = frozenset()
    missing: Sequence[Path] = ()


class Event(NamedTuple):
    """One captured occurrence; a tuple, as ``MatchSubject`` is.

    ``context`` is the JSON-safe tree that conditions and texts read, holding only what the candidate rules read;
    ``model`` is a label such as ``"clinic.doctor"``, empty for a signal without a model; ``pk`` is the object's key as
    JSON has it.
    """

    id: uuid.UUID
    signal: str
    operation: Operation | None
    model: str
    pk: Any
    occurred_at: datetime
    root_id: uuid.UUID
    depth: int
    context: Mapping[str, Any]
    #: The execution whose action made the change; None for a change from outside.
    cause_id: uuid.UUID | None = None
    #: What the connection said besides its rows, such as a tenant's schema, as a text (``surroundings.state``).
    surroundings: str = ""

    @property
    def changed(self) -> frozenset[str]:
        """Return the names of the fields that changed."""
        return frozenset(self.context.get("changed") or ())


class Evaluation(NamedTuple):
    """What came of testing one rule on one event. ``gate`` is where it stopped, None where it matched.

    ``is_known`` is an error that was told a moment ago: it stands on the event, and gets no row of its own again.
    A tuple, as ``MatchSubject`` is: one is made for each rule that an event tells of.
    """

    rule_slug: str
    rule_version: int
    outcome: Outcome
    gate: GateName | None = None
    detail: str = ""
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class ActionSpec:
    """An action as written in a rule."""

    kind: str
    config: Mapping[str, Any]
    position: int = 0
    enabled: bool = True
    timing: Timing = "after_commit"
    #: Seconds between the commit and the first attempt.
    delay: int = 0
    on_failure: OnFailure = "go_on"
    #: A to-many path such as ``"instance.items"``, or a JSONLogic expression that yields a list; None: once.
    for_each: Any = None
    #: After the delay it waits for the next time of day such as ``"18:00"``, in the time zone of that name (empty: the
    #: site's); empty: for none.
    at: str = ""
    zone: str = ""
    #: Whether it acts only if the condition still holds when it is due, for the object as it is then.
    asks_again: bool = False


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """A rule as written, free of the database: what validation, compilation, versions and packs work on.

    A throttle lets ``throttle_count`` matches through in ``throttle_seconds``, counted for each text that
    ``throttle_by`` comes to (the whole rule where it is empty). With ``coalesce_seconds`` matches wait that long, and
    of those for which ``coalesce_by`` comes to the same text (the same object where it is empty) only the last acts;
    with ``debounce`` each new one starts the wait again.

    ``schedule`` has it act on time (``rules.schedules``); None is a rule on signals alone.
    """

    slug: str
    name: str = ""
    description: str = ""
    #: What people group rules by; no part of what a rule does.
    labels: tuple[str, ...] = ()
    enabled: bool = True
    shadow: bool = False
    model: str = ""
    signals: tuple[str, ...] = ()
    operations: tuple[str, ...] = ()
    changes: tuple[Mapping[str, Any], ...] = ()
    condition: Any = None
    position: int = 0
    stop_processing: bool = False
    raw: bool = False
    sample_percent: int = 100
    active_from: datetime | None = None
    active_until: datetime | None = None
    once: bool = False
    throttle_count: int | None = None
    throttle_seconds: int | None = None
    throttle_by: str = ""
    coalesce_seconds: int | None = None
    coalesce_by: str = ""
    debounce: bool = False
    schedule: Mapping[str, Any] | None = None
    author_id: Any = None
    actions: tuple[ActionSpec, ...] = ()
    #: Where an action's ``each`` comes from while that action is looked at: the path of the rows, or an empty path for
    #: rows that are no model's. None: there is no ``each``. Never stored.
    each: Path | None = None
    #: Which arguments of its signals are objects, by name, and of which models, while an event is looked at that tells.
    #: None: as far as the signals themselves say so. Never stored.
    objects: Mapping[str, str] | None = None
    #: Those that it holds in alone, as a text (``surroundings.state``); empty: it holds in all.
    surroundings: str = ""


@dataclass(frozen=True, slots=True)
class RuleTestSpec:
    """A test that is kept with a rule, free of the database: a sample of an event, and what is expected of the rule.

    ``context`` is as an event's page shows it; ``occurred_at`` is the time that the rule takes for now; ``expected``
    is as ``rules.expected.expectation`` has it.
    """

    name: str
    signal: str
    occurred_at: datetime
    operation: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    expected: Mapping[str, Any] = field(default_factory=dict)


class ActionContext(NamedTuple):
    """What an action is given: the event and which execution of it this is.

    ``execution_id`` is the same at every attempt, and so the idempotency key of any effect outside the database;
    ``attempt`` counts from 1; ``author_id`` is the primary key of the rule's author, None for the operator's rules.
    ``instance`` is the live object, for actions that act before its save; None for all others. ``written`` are the
    names of the fields that this save writes (``update_fields``); None is all of them.
    ``earlier()`` gives the recorded details of this execution's attempts before this one, in order: a query.
    ``traceparent`` is this attempt as the header of that name says it (W3C), empty where it is no part of a trace.
    """

    execution_id: uuid.UUID
    attempt: int
    event: Event
    rule_slug: str
    rule_version: int
    author_id: Any = None
    instance: Any = None
    written: frozenset[str] | None = None
    earlier: Callable[[], Sequence[Mapping[str, Any]]] = tuple
    traceparent: str = ""

    @property
    def data(self) -> Mapping[str, Any]:
        """Return the event's context, for templates and expressions."""
        return self.event.context


class ActionResult(NamedTuple):
    """What an action did: one line for people, and JSON-safe detail for the attempt's record."""

    summary: str = ""
    detail: Mapping[str, Any] = MappingProxyType({})
