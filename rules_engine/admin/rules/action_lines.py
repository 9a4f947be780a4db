"""What a folded action says in its one line, and the words of the buttons at it."""

from __future__ import annotations

from django.utils.text import capfirst
from django.utils.translation import gettext

from rules_engine.admin.prose.doing import done
from rules_engine.admin.prose.marks import words_of
from rules_engine.admin.prose.reader import Reader
from rules_engine.types import ActionSpec, RuleSpec

#: Kinds that have a button of their own below the rows; the others are chosen in the new row.
USUAL = ("send_email", "webhook", "update_objects", "log_message")


def action_line(action: ActionSpec, rule: RuleSpec, reader: Reader, *, is_last: bool = True) -> str:
    """Say what an action does, as in the rule's sentence, on a line by itself."""
    if not action.kind:
        return gettext("A new action")
    return capfirst(str(words_of(done(action, rule, reader, is_last=is_last))))


def action_lines(rule: RuleSpec, reader: Reader) -> list[str]:
    """Say it of each action of the rule, in their order."""
    last = len(rule.actions) - 1
    return [action_line(action, rule, reader, is_last=index == last) for index, action in enumerate(rule.actions)]


def row_words() -> dict[str, str]:
    """The words of the script that moves, copies, adds and removes rows; each names the action that it is about."""
    return {
        "nothing": gettext("A new action"),
        "removed": gettext("Removed when you save: %(title)s"),
        "drag": gettext("Drag to move, or press Alt with an arrow key on the line"),
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
