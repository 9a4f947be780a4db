"""Keeps what other apps add to the overview page: tables, and what needs somebody. Each is made when the page is asked
for, by who asks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Cell:
    """A text of a table, leading somewhere if it has an address."""

    text: Any
    url: str = ""


@dataclass(frozen=True, slots=True)
class OverviewTable:
    """One part of the overview page. ``nothing`` is said where there are no rows; ``is_trouble`` marks the part."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    nothing: str
    is_trouble: bool = False
    notes: Sequence[str] = field(default_factory=tuple)
    #: What the address of the page names the part by, after ``#overview-``.
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Need:
    """Something that waits for somebody: what, why as a sentence, and the one thing to do, with the address of where it
    is done. ``count`` is for how many such things it stands."""

    what: str
    why: str
    do: str
    url: str = ""
    count: int = 1


#: Given the user, a table for them, or None where they may not see it.
Part = Callable[[Any], OverviewTable | None]

#: Given the user, what needs somebody, as far as they may see it.
Needs = Callable[[Any], Sequence[Need]]

_parts: dict[str, Part] = {}
_needs: dict[str, Needs] = {}


def register_overview(name: str, part: Part) -> None:
    """Show a part on the overview page. At most two queries, please, whatever the number of rows."""
    _parts[name] = part


def parts(user: Any) -> list[OverviewTable]:
    """Make what all apps have to show to this user."""
    tables = (part(user) for part in _parts.values())
    return [table for table in tables if table is not None]


def register_needs(name: str, part: Needs) -> None:
    """Have the overview page, and a count on the app's index, tell of what needs somebody. A few queries, please, whose
    cost is bounded: they are asked at every look at that index."""
    _needs[name] = part


def needs(user: Any) -> list[Need]:
    """Say what all apps have for somebody to do, as far as this user may see it."""
    return [need for part in _needs.values() for need in part(user)]
