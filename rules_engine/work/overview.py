"""Keeps what other apps add to the overview page: each a table, made when the page is asked for, by who asks."""

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


#: Given the user, a table for them, or None where they may not see it.
Part = Callable[[Any], OverviewTable | None]

_parts: dict[str, Part] = {}


def register_overview(name: str, part: Part) -> None:
    """Show a part on the overview page. At most two queries, please, whatever the number of rows."""
    _parts[name] = part


def parts(user: Any) -> list[OverviewTable]:
    """Make what all apps have to show to this user."""
    tables = (part(user) for part in _parts.values())
    return [table for table in tables if table is not None]
