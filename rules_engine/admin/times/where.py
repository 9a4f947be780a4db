"""Where a rule on time is looked after, as its page tells it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils.translation import gettext, ngettext

from rules_engine.surroundings.listed import HOME, are_listed, place_here, places_of
from rules_engine.surroundings.state import functions, here, is_home, shown
from rules_engine.test.timed.elsewhere import troubles
from rules_engine.types import RuleSpec, Unread, ask

#: Surroundings that are named.
NAMED = 5


class Where:
    """Where a rule on time is looked after."""

    def __init__(self, rule: RuleSpec, model: Any) -> None:
        self.slug, self.here = rule.slug, here()
        self.is_of_all = not rule.surroundings
        listed = ask(places_of, model) if self.is_of_all and are_listed() else frozenset((HOME,))
        self.trouble = listed.message if isinstance(listed, Unread) else ""
        #: The places, without those of which the site cannot tell.
        self.places = frozenset((HOME,)) if isinstance(listed, Unread) else listed
        self.is_here = not self.is_of_all or place_here() in self.places
        self._has_others = self.is_of_all and model is not None and functions() is not None

    def said(self) -> str:
        """Return in a sentence where that is; empty where there is but one place."""
        if self.trouble:
            return gettext("The surroundings could not be listed: %(why)s") % {"why": self.trouble}
        if not self._has_others or not is_home():
            return ""
        if not are_listed():
            return gettext(
                "It looks for objects where workers begin alone, since the site lists no other surroundings (“every” "
                "of SURROUNDINGS)."
            )
        names = [shown(place) or gettext("home") for place in sorted(self.places)]
        named = ", ".join(names[:NAMED]) + (" …" if len(names) > NAMED else "")
        said = ngettext(
            "It is looked after in %(count)s of the site’s surroundings: %(names)s",
            "It is looked after in %(count)s of the site’s surroundings, in each by itself: %(names)s",
            len(names),
        )
        return said % {"count": len(names), "names": named} if names else gettext("There are no surroundings for it.")

    def troubles(self) -> list[tuple[str, str]]:
        """Return where it cannot be looked after, and why."""
        if not self.is_of_all:
            return []
        return [(shown(place) or gettext("home"), error) for place, error in troubles(self.slug)]


def line_elsewhere(due_at: datetime, surroundings: str, key: Any) -> dict[str, Any]:
    """What is due in other surroundings, where its object is not looked at from here."""
    place = shown(surroundings) or gettext("home")
    name = place if key is None else f"{key} ({place})"
    return {"due_at": due_at, "object": {"name": name, "url": ""}, "answer": "", "is_acting": True}
