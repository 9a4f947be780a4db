"""What a folded action says in its one line, and the words of the buttons at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.text import Truncator
from django.utils.translation import gettext

from rules_engine.rules import registry

#: Kinds that have a button of their own below the rows; the others are chosen in the new row.
USUAL = ("send_email", "webhook", "update_objects", "log_message")
LONGEST_DETAIL = 70


def action_line(kind: str, config: Any) -> str:
    """Say what an action does, and the first text of its settings where whoever reads it may see them."""
    known = registry.find(kind)
    title = str(known.label) if known is not None else kind or gettext("A new action")
    detail = next(_texts(config), "").strip().partition("\n")[0]
    return f"{title}: {Truncator(detail).chars(LONGEST_DETAIL)}" if detail else title


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str) and value.strip():
        yield value
    elif isinstance(value, Mapping | list):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(part)


def row_words() -> dict[str, str]:
    """The words of the script that moves, copies, adds and removes rows; each names the action that it is about."""
    return {
        "nothing": gettext("A new action"),
        "removed": gettext("Removed when you save: %(title)s"),
        "drag": gettext("Drag to move"),
        "up": gettext("Move up: %(title)s"),
        "down": gettext("Move down: %(title)s"),
        "copy_short": gettext("Copy"),
        "copy": gettext("Duplicate: %(title)s"),
        "remove": gettext("Remove: %(title)s"),
        "take_back": gettext("Keep it"),
        "take_back_this": gettext("Keep it: %(title)s"),
        "moved": gettext("%(title)s is now %(place)s of %(count)s."),
        "copied": gettext("Duplicated: %(title)s"),
        "adding": gettext("Add:"),
        "other": gettext("Something else"),
        "too_many": gettext("A rule has no room for more actions: save it, or make two of it."),
    }
