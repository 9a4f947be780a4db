"""Where the boxes of a picture stand: in columns, so that arrows lead to the right, and few of them cross. Pure."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

WIDTH, COLUMN_GAP, ROW_GAP, MARGIN = 172, 40, 12, 10
#: Where an arrow passes a column, it is kept this high.
PASSING = 8
#: Between parts of a picture that nothing joins.
PART_GAP = 28
SWEEPS = 8

Arrow = tuple[str, str]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Place:
    """The upper left corner of a box, and how high it is; all are ``WIDTH`` wide."""

    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of the boxes, and the points that each arrow goes through. ``backwards`` are arrows to the left, as
    loops have them."""

    places: Mapping[str, Place]
    paths: Sequence[Sequence[Point]]
    backwards: Sequence[tuple[Point, Point]]
    width: float
    height: float


def laid_out(heights: Mapping[str, float], arrows: Iterable[Arrow]) -> Layout:
    """Place boxes of these heights, given in the order in which they are to be read."""
    known = [(source, target) for source, target in arrows if source in heights and target in heights]
    back = _backwards(heights, known)
    forward = [arrow for arrow in known if arrow not in back]
    columns_of = _columns(heights, forward)
    chains = _chains(forward, columns_of)
    every = {**heights, **{key: float(PASSING) for chain in chains for key in chain if key not in heights}}
    columns = _ordered(every, columns_of, chains)
    tops = _tops(every, columns, chains)
    _close_up(every, tops)
    places = {
        key: Place(MARGIN + index * (WIDTH + COLUMN_GAP), MARGIN + tops[key], every[key])
        for index, column in enumerate(columns)
        for key in column
    }
    paths = [_path([places[key] for key in chain]) for chain in chains]
    loops = [(_below(places[source]), _below(places[target])) for source, target in known if (source, target) in back]
    width = 2 * MARGIN + len(columns) * (WIDTH + COLUMN_GAP) - COLUMN_GAP if columns else 0
    bottom = max((place.y + place.height for place in places.values()), default=0.0)
    # The curves of loops hang below the boxes.
    height = bottom + MARGIN + (50 if loops else 0)
    return Layout({key: places[key] for key in heights}, paths, loops, width, height)


def _backwards(heights: Mapping[str, float], arrows: Sequence[Arrow]) -> set[Arrow]:
    """Return arrows without which there is no loop: those that lead back to where a walk came from."""
    targets = defaultdict(list)
    for source, target in arrows:
        targets[source].append(target)
    back: set[Arrow] = set()
    done: set[str] = set()
    for start in heights:
        stack = [(start, iter(targets[start]))] if start not in done else []
        path: dict[str, None] = dict.fromkeys(key for key, _rest in stack)
        while stack:
            key, rest = stack[-1]
            if (following := next(rest, None)) is None:
                stack.pop()
                path.pop(key)
                done.add(key)
            elif following in path:
                back.add((key, following))
            elif following not in done:
                path[following] = None
                stack.append((following, iter(targets[following])))
    return back


def _columns(heights: Mapping[str, float], forward: Sequence[Arrow]) -> dict[str, int]:
    """Return the column of each box: one to the right of all that lead to it."""
    sources = defaultdict(list)
    for source, target in forward:
        sources[target].append(source)
    columns: dict[str, int] = {}
    waiting = list(heights)[::-1]
    while waiting:
        key = waiting[-1]
        missing = [source for source in sources[key] if source not in columns]
        if missing:
            waiting.extend(missing)
            continue
        waiting.pop()
        columns[key] = 1 + max((columns[source] for source in sources[key]), default=-1)
    return columns


def _chains(forward: Sequence[Arrow], columns: dict[str, int]) -> list[list[str]]:
    """Return each arrow as the boxes that it joins, with a place in each column that it passes; the places are added to
    the columns."""
    chains = []
    for source, target in forward:
        passed = [f"{source} > {target} {number}" for number in range(columns[source] + 1, columns[target])]
        columns.update({key: columns[source] + 1 + index for index, key in enumerate(passed)})
        chains.append([source, *passed, target])
    return chains


def _neighbours(chains: Sequence[Sequence[str]]) -> dict[str, list[str]]:
    near: dict[str, list[str]] = defaultdict(list)
    for chain in chains:
        for one, other in itertools.pairwise(chain):
            near[one].append(other)
            near[other].append(one)
    return near


def _ordered(
    every: Mapping[str, float], columns_of: Mapping[str, int], chains: Sequence[Sequence[str]]
) -> list[list[str]]:
    """Return the keys of each column from top to bottom: near to what they are joined with, so few arrows cross."""
    columns: list[list[str]] = [[] for _ in range(1 + max(columns_of.values(), default=-1))]
    for key in every:
        columns[columns_of[key]].append(key)
    near = _neighbours(chains)
    for sweep in range(SWEEPS):
        steps = range(len(columns)) if sweep % 2 == 0 else range(len(columns) - 1, -1, -1)
        place = {key: index for column in columns for index, key in enumerate(column)}
        for number in steps:
            side = number - 1 if sweep % 2 == 0 else number + 1
            wanted = {}
            for index, key in enumerate(columns[number]):
                beside = [place[other] for other in near[key] if columns_of[other] == side]
                wanted[key] = sum(beside) / len(beside) if beside else float(index)
            columns[number].sort(key=wanted.__getitem__)
            place.update({key: index for index, key in enumerate(columns[number])})
    return columns


def _tops(
    every: Mapping[str, float], columns: Sequence[Sequence[str]], chains: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Return how far down each stands: beside what it is joined with, as far as those above it leave room."""
    near = _neighbours(chains)
    tops: dict[str, float] = {}
    for column in columns:
        _stack(column, every, tops, {})
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = {}
            for key in column:
                middles = [tops[other] + every[other] / 2 for other in near[key]]
                if middles:
                    wanted[key] = sum(middles) / len(middles) - every[key] / 2
            _stack(column, every, tops, wanted)
    return tops


def _stack(
    column: Sequence[str], every: Mapping[str, float], tops: dict[str, float], wanted: Mapping[str, float]
) -> None:
    """Stand the keys of a column below each other, and the whole where they want to be on average."""
    bottom, off = float("-inf"), []
    for key in column:
        tops[key] = max(wanted.get(key, bottom if bottom > float("-inf") else 0.0), bottom)
        if key in wanted:
            off.append(wanted[key] - tops[key])
        bottom = tops[key] + every[key] + ROW_GAP
    shift = sum(off) / len(off) if off else 0.0
    for key in column:
        tops[key] += shift


def _close_up(every: Mapping[str, float], tops: dict[str, float]) -> None:
    """Begin at the top, and take out the bands in which nothing stands at all."""
    bottom = min(tops.values(), default=0.0)
    taken = bottom
    for key in sorted(tops, key=lambda key: tops[key]):
        top = tops[key]
        taken += max(0.0, top - bottom - PART_GAP)
        bottom = max(bottom, top + every[key])
        tops[key] = top - taken


def _path(places: Sequence[Place]) -> list[Point]:
    """Return the points of an arrow: out of the first box, into and out of each place that it passes, into the last."""
    points: list[Point] = []
    for index, place in enumerate(places):
        middle = place.y + place.height / 2
        if index:
            points.append((place.x, middle))
        if index < len(places) - 1:
            points.append((place.x + WIDTH, middle))
    return points


def _below(place: Place) -> Point:
    return place.x + WIDTH / 2, place.y + place.height
