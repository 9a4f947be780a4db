"""What a run prints: a table a goal, and at the end all limits with what was found."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.benchmarks.goals import Goal, Limit
from tests.benchmarks.rounds import Rounds


@dataclass(frozen=True, slots=True)
class Found:
    """What a measure has to say: the rows of its table, figures by the names of limits, and what was left out."""

    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


def of_rounds(rounds: Rounds, names: Sequence[str], base: str) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the head and the rows of a table of times, each to the base."""
    rows = []
    for name in names:
        rows.append((name, f"{rounds.seconds(name) * 1e6:,.0f}", *ratios(rounds, name, base)))
    return ("", "µs", *RATIOS), tuple(rows)


#: What stands of a variant beside a base: the ratio of the median round, its quartiles, and that of the time on a core.
RATIOS = ("ratio", "quartiles", "CPU")


def ratios(rounds: Rounds, name: str, base: str) -> tuple[str, ...]:
    """Return the cells of ``RATIOS``."""
    ratio = rounds.ratio(name, base)
    return f"{ratio.middle:.2f}", f"{ratio.low:.2f}–{ratio.high:.2f}", f"{rounds.cpu_ratio(name, base):.2f}"


def text(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the lines of a table: the first column to the left, all others to the right."""
    widths = [max(width(row[number]) for row in (head, *rows)) for number in range(len(head))]
    return "\n".join(_line(row, widths) for row in (head, *rows))


def width(shown: str) -> int:
    """Return how many places a text takes: a combining sign takes none."""
    return sum(not unicodedata.combining(sign) for sign in shown)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (" " * (wide - width(cell)) for cell, wide in zip(row, widths, strict=True))
    return "  ".join([row[0] + first, *(space + cell for space, cell in zip(others, row[1:], strict=True))]).rstrip()


def of_goal(goal: Goal, found: Found, vendor: str) -> str:
    """Return what is printed of a goal on one database."""
    lines = [f"{goal.key}  {goal.title} ({vendor})"]
    if found.rows:
        lines.append(text(found.head, found.rows))
    lines += found.remarks
    lines += [f"  {limit.name}: {verdict(limit, found.figures.get(limit.name), vendor)}" for limit in goal.of(vendor)]
    return "\n".join(lines)


def verdict(limit: Limit, figure: float | None, vendor: str) -> str:
    """Say the figure beside what is asked for, and whether it is met."""
    asked = limit.words(vendor)
    if figure is None:
        return f"not measured, the goal is {asked}"
    met = "met" if limit.is_met(figure, vendor) else "not met"
    return f"{shown(figure, limit.unit)}, the goal is {asked}: {met}"


def shown(figure: float, unit: str) -> str:
    """Return a figure with as many digits as tell something."""
    digits = f"{figure:.2f}" if unit == "×" and figure < 100 else f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"
    return f"{digits} {unit}"


def summary(goals: Sequence[Goal], figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Return all limits beside what was found, by database and goal."""
    rows = []
    for goal in goals:
        for vendor, of_goals in figures.items():
            if goal.key not in of_goals:
                continue
            for limit in goal.of(vendor):
                figure = of_goals[goal.key].get(limit.name)
                met = "–" if figure is None else "met" if limit.is_met(figure, vendor) else "not met"
                value = "not measured" if figure is None else shown(figure, limit.unit)
                rows.append((goal.key, vendor, limit.name, limit.words(vendor), value, met))
    return text(("goal", "database", "what", "asked", "found", ""), rows)
