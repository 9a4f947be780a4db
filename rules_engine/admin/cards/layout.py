"""A rule's form as cards: what it is called, *When*, *Only if*, *At most*, *Then*, and what few rules need.

The form's sections stay Django's own, so that its checks, permissions and themes know them. A section says by its
class which card it is of, and whether it is that card's *Advanced* part, which is folded until it holds something.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.contrib.admin.utils import flatten
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.cards.collapsing import holds
from rules_engine.admin.cards.when import plain_words

Section = tuple[Any, dict[str, Any]]

TITLES = {
    "top": "",
    "when": _("When"),
    "only-if": _("Only if"),
    "at-most": _("At most"),
    "then": _("Then"),
    "more": "",
}
CARD, ADVANCED = "rules-in-", "rules-is-advanced"
#: Its advanced part is what the rule stores. Scripts draw the plain choices above it, and fold it then.
OPEN_WITHOUT_SCRIPTS = "when"
#: What every rule has, and so is no reason to unfold the part it stands in.
ALWAYS_SET = ("slug", "author_shown", "updated_at")


def section(card: str, *fields: Any, advanced: bool = False, description: Any = "") -> Section:
    """Return a section of the form, as ``ModelAdmin.get_fieldsets`` has them, that goes into the card."""
    classes = (CARD + card, ADVANCED) if advanced else (CARD + card,)
    title = None if advanced or not TITLES[card] else TITLES[card]
    return title, {"fields": fields, "classes": classes, "description": description}


@dataclass(slots=True)
class Card:
    """One card as it is drawn: sections of the form, those that few rules need, and inlines."""

    name: str
    main: list[Any] = field(default_factory=list)
    advanced: list[Any] = field(default_factory=list)
    is_open: bool = False
    rows: list[Any] = field(default_factory=list)
    #: What the card's script needs to know, as JSON.
    plain: str = ""

    def add(self, part: Any, form: Any) -> None:
        """Take a section. Where it is advanced, and holds something, that stands open."""
        if ADVANCED not in part.classes.split():
            self.main.append(part)
            return
        self.advanced.append(part)
        is_used = any(_is_used(form, name) for name in flatten(part.fields))
        self.is_open = self.is_open or is_used or self.name == OPEN_WITHOUT_SCRIPTS


def _is_used(form: Any, name: str) -> bool:
    return name in form.errors or (name not in ALWAYS_SET and holds(form, name))


def cards_of(drawn: Any, inlines: Iterable[Any]) -> list[Card]:
    """Return the cards of a form that the admin has drawn, without those that are empty."""
    cards = {name: Card(name) for name in TITLES}
    for part in drawn:
        names = [one.removeprefix(CARD) for one in part.classes.split() if one.startswith(CARD)]
        cards[names[0] if names else "more"].add(part, drawn.form)
    cards["then"].rows.extend(inlines)
    if "signals" in drawn.form.fields:
        cards["when"].plain = json.dumps(plain_words())
    return [card for card in cards.values() if card.main or card.advanced or card.rows]
