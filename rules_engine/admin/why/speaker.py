"""What a sentence about a verdict may name, for who asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.utils.dateparse import parse_date, parse_datetime
from django.utils.formats import date_format, number_format

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.parts.rendering import short_time
from rules_engine.admin.why.names import Named, object_name
from rules_engine.models import Rule
from rules_engine.test.limits import Use

#: An error may be a page long.
LONGEST = 240


@dataclass(frozen=True, slots=True)
class Speaker:
    """What a sentence may name, for who asks: objects, and whether data of this event's object is for them."""

    titles: Titles
    names: Mapping[Named, str]
    rights: frozenset[str]
    #: Whether they may see the object, and whether they may see all that the rule reads.
    is_object_seen: bool
    is_rule_seen: bool
    rule: Rule | None
    event_id: Any
    #: What told of the change.
    signal: str = ""

    def object_of(self, use: Use) -> str:
        """The object that a match was about."""
        return object_name(self.names, use.model, use.object_pk)

    def quoted(self, text: str) -> str:
        """What an action said: it quotes the object's data."""
        text = " ".join(text.split()) if self.is_object_seen else ""
        return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def value_words(titles: Titles, name: str, value: Any) -> str:
    """A value before or after; a time as the site writes it, and no value as a dash."""
    if value in (None, ""):
        return "–"
    if isinstance(value, Decimal):
        return number_format(value)
    if not isinstance(value, str):
        return titles.value(name, value)
    kind = titles.kind(name)
    try:
        moment = parse_datetime(value) if kind == "datetime" else None
        day = parse_date(value) if kind == "date" else None
    except ValueError:
        return value
    if moment is not None:
        return short_time(moment)
    return date_format(day) if day is not None else titles.choice(name, value) or value


def capital(text: str) -> str:
    """A sentence that begins as one."""
    return text[:1].upper() + text[1:]


def ended(text: str) -> str:
    """A sentence that ends as one: some times end in a point of their own."""
    return text if text.endswith((".", "!", "?", "…", ":")) else f"{text}."
