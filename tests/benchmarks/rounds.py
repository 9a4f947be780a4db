"""Timing on a machine that other things run on: short blocks, by turns, in an order that is shuffled each round.

Whatever slows the machine for a while slows all variants of a round. So the figure that counts is a ratio: that of one
variant to another in the same round, and of those the median, with the quartiles beside it. How far two variants that
are the same come out from 1 is the noise (the row "A/A"); what is smaller than that shows nothing.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


def nothing() -> None:
    """What is done before or after a block that needs nothing."""


@dataclass(frozen=True, slots=True)
class Variant:
    """A block of ``count`` operations; what comes before and after it is not timed."""

    act: Callable[[], object]
    count: int = 1
    before: Callable[[], object] = nothing
    after: Callable[[], object] = nothing


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and its quartiles."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Make it of at least one value; with fewer than four, the quartiles are the smallest and the largest."""
        ordered = sorted(values)
        quarters = statistics.quantiles(ordered, n=4) if len(ordered) > 3 else (ordered[0], 0.0, ordered[-1])
        return cls(statistics.median(ordered), quarters[0], quarters[2])


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds an operation of each round: of the clock, and of this process on a core, all its threads together."""

    wall: tuple[float, ...]
    cpu: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Rounds:
    """What all variants took, by their names."""

    times: Mapping[str, Times]

    def seconds(self, name: str) -> float:
        """Return the median seconds an operation."""
        return statistics.median(self.times[name].wall)

    def ratio(self, name: str, base: str) -> Spread:
        """Return the ratio of the clock's times, round by round."""
        return Spread.of([one / other for one, other in zip(self.times[name].wall, self.times[base].wall, strict=True)])

    def cpu_ratio(self, name: str, base: str) -> float:
        """Return the median ratio of CPU times; 0 where the clock of the CPU did not move."""
        pairs = zip(self.times[name].cpu, self.times[base].cpu, strict=True)
        return statistics.median([one / other if other else 0.0 for one, other in pairs])


def interleave(variants: Mapping[str, Variant], rounds: int, seed: int = 1) -> Rounds:
    """Time every variant once a round; one round more, before them, is not counted."""
    chance = random.Random(seed)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    gc.collect()
    gc.freeze()
    try:
        for number in range(rounds + 1):
            names = list(variants)
            chance.shuffle(names)
            for name in names:
                taken = _timed(variants[name])
                if number:
                    found[name].append(taken)
    finally:
        gc.unfreeze()
    return Rounds({name: Times(*zip(*taken, strict=True)) for name, taken in found.items()})


def _timed(variant: Variant) -> tuple[float, float]:
    variant.before()
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    variant.act()
    taken = time.perf_counter() - wall, time.process_time() - cpu
    variant.after()
    return taken[0] / variant.count, taken[1] / variant.count
