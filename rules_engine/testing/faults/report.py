"""What came of an ordeal: the ledger set against the database and the books of those who saved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rules_engine.testing.faults.ledger import Booking


@dataclass
class Fault:
    """A fault that was done: when it began and ended (seconds since 1970), and the executions in flight then."""

    name: str
    began: float
    ended: float
    in_flight: Sequence[str]
    #: Seconds from its end until every change committed by then had all of its effects; None: some never had.
    recovered: float | None = None
    #: Seconds from its end until the ledger booked the next effect; None: there was none.
    resumed: float | None = None
    #: How many of those in flight were done more than once.
    repeated: int = 0


@dataclass
class Effects:
    """What came of one kind of effects: how many of how many changes, how many twice, and what should not be."""

    kind: str
    count: int
    #: Changes that are in the database and have no such effect.
    lost: int
    #: Effects beyond the first of a change.
    doubled: int
    #: Of those, the ones that no fault explains: nobody had them in flight, or they have another key.
    unexplained: int
    #: Effects of changes that were never committed.
    of_nothing: int


@dataclass
class Report:
    """The figures. ``is_kept`` says whether the promises were."""

    what: str
    seed: int
    #: Changes in the database, and of those that producers saw committed the ones that are not there.
    committed: int
    vanished: int
    seconds: float
    effects: list[Effects]
    faults: list[Fault]
    states: Mapping[str, int] = field(default_factory=dict)
    tracebacks: int = 0
    #: Workers and sweepers that ended without being killed, and were begun anew.
    ended: int = 0

    @property
    def in_flight(self) -> int:
        """Executions in flight at all faults together: at most so many effects may have come twice."""
        return sum(len(fault.in_flight) for fault in self.faults)

    @property
    def is_kept(self) -> bool:
        """Say whether nothing is lost, nothing was invented, and nothing doubled that a fault does not explain."""
        wrong = sum(effects.lost + effects.unexplained + effects.of_nothing for effects in self.effects)
        doubled = sum(effects.doubled for effects in self.effects)
        return self.committed > 0 and not self.vanished and not wrong and doubled <= self.in_flight

    def as_json(self) -> dict[str, Any]:
        """Return all of it as plain data."""
        faults = [{**asdict(fault), "in_flight": len(fault.in_flight)} for fault in self.faults]
        return {**asdict(self), "faults": faults, "in_flight": self.in_flight, "is_kept": self.is_kept}

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        yield f"{self.what}; seed {self.seed}; {self.seconds:.0f} s in all"
        yield f"changes committed {self.committed}; seen committed and not there {self.vanished}"
        yield f"executions: {', '.join(f'{count} {state}' for state, count in sorted(self.states.items()))}"
        yield ""
        yield f"{'effects':<12}{'count':>8}{'lost':>8}{'doubled':>9}{'unexplained':>13}{'of nothing':>12}"
        for e in self.effects:
            yield f"{e.kind:<12}{e.count:>8}{e.lost:>8}{e.doubled:>9}{e.unexplained:>13}{e.of_nothing:>12}"
        yield ""
        yield f"{'fault':<32}{'at s':>7}{'took s':>8}{'in flight':>11}{'repeated':>10}{'next s':>8}{'all done s':>12}"
        start = self.faults[0].began if self.faults else 0.0
        for fault in self.faults:
            after = f"{_seconds(fault.resumed):>8}{_seconds(fault.recovered):>12}"
            times = f"{fault.began - start:>7.1f}{fault.ended - fault.began:>8.1f}"
            yield f"{fault.name:<32}{times}{len(fault.in_flight):>11}{fault.repeated:>10}{after}"
        yield ""
        yield f"{len(self.faults)} faults, {self.in_flight} in flight at them; {self.tracebacks} tracebacks in the logs"
        yield f"{self.ended} workers and sweepers ended by themselves, and were begun anew"
        yield "The promises were kept." if self.is_kept else "THE PROMISES WERE NOT KEPT."


def _seconds(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def booked_effects(
    kind: str, bookings: Sequence[Booking], saved: Collection[str], in_flight: Mapping[str, int]
) -> Effects:
    """Judge what the ledger has of one kind; ``in_flight`` says at how many faults each key was."""
    changes = Counter(booking.change for booking in bookings)
    keys = Counter(booking.key for booking in bookings)
    keys_of_changes = len({(booking.change, booking.key) for booking in bookings})
    too_often = sum(max(0, times - 1 - in_flight.get(key, 0)) for key, times in keys.items())
    return Effects(
        kind,
        count=len(bookings),
        lost=len(set(saved) - changes.keys()),
        doubled=len(bookings) - len(changes),
        unexplained=too_often + keys_of_changes - len(changes),
        of_nothing=len(changes.keys() - set(saved)),
    )


def stored_effects(kind: str, changes: Counter[str], saved: Collection[str]) -> Effects:
    """Judge effects in the database, none of which may have come twice."""
    doubled = changes.total() - len(changes)
    lost, of_nothing = len(set(saved) - changes.keys()), len(changes.keys() - set(saved))
    return Effects(kind, changes.total(), lost, doubled, doubled, of_nothing)


def repetitions(faults: Sequence[Fault], bookings: Sequence[Booking]) -> None:
    """Write down of each fault how many of the executions in flight at it were done more than once."""
    times = Counter((booking.kind, booking.key) for booking in bookings)
    repeated = {key for (_kind, key), count in times.items() if count > 1}
    for fault in faults:
        fault.repeated = len(repeated & set(fault.in_flight))


def recoveries(
    faults: Sequence[Fault], bookings: Sequence[Booking], committed: Mapping[str, float], done: Mapping[str, float]
) -> None:
    """Write down when the next effect came after each fault, and when all was done that had been committed by then."""
    for fault in faults:
        later = [booking.at - fault.ended for booking in bookings if booking.at > fault.ended]
        fault.resumed = min(later, default=None)
        before = [change for change, at in committed.items() if at <= fault.ended]
        if all(change in done for change in before):
            fault.recovered = max([0.0, *(done[change] - fault.ended for change in before)])
