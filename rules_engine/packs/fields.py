"""Which fields the objects of a pack may have, and what may stand in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, MINYEAR, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.utils.dateparse import parse_datetime

from rules_engine.errors import Problem, did_you_mean
from rules_engine.logic.shape import pointer
from rules_engine.models import Rule, RuleAction, RuleTest


@dataclass(frozen=True, slots=True)
class Kind:
    """What a field takes: a test, and its words for "Expected …"."""

    accepts: Callable[[Any], bool]
    expected: str


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_amount(value: Any) -> bool:
    return value is None or _is_whole(value)


def _is_time(value: Any) -> bool:
    return value is None or _is_moment(value)


def _is_moment(value: Any) -> bool:
    try:
        moment = value if isinstance(value, datetime) else parse_datetime(value)
    except (TypeError, ValueError):
        return False
    # At the ends of the calendar it is a time in some zones alone, and in no database.
    return moment is not None and MINYEAR + 1 < moment.year < MAXYEAR - 1


def _is_rows(value: Any) -> bool:
    return value is None or isinstance(value, str | dict)


def _is_reference(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 1 and isinstance(value[0], str)


TEXT = Kind(lambda value: isinstance(value, str), "text")
FLAG = Kind(lambda value: isinstance(value, bool), "true or false")
WHOLE = Kind(_is_whole, "a whole number")
AMOUNT = Kind(_is_amount, "a whole number, or null")
TIME = Kind(_is_time, 'a time such as "2031-05-06T08:00:00Z", or null')
MOMENT = Kind(_is_moment, 'a time such as "2031-05-06T08:00:00Z"')
ROWS = Kind(_is_rows, 'a path such as "instance.items", an expression, or null')
TEXTS = Kind(_is_texts, 'a list of texts, such as ["post_save"]')
CHANGES = Kind(_is_objects, 'a list of objects, such as [{"field": "status", "to": "paid"}]')
CONFIG = Kind(lambda value: isinstance(value, dict), "an object")
LABELS = Kind(lambda value: value is None or _is_texts(value), 'a list of texts, such as ["billing"], or null')
SCHEDULE = Kind(
    lambda value: value is None or isinstance(value, dict),
    'an object such as {"kind": "every", "each": "day", "at": "08:00"}, or null',
)
REFERENCE = Kind(_is_reference, 'the slug of its rule in a list, such as ["welcome-mail"]')
ANYTHING = Kind(lambda value: True, "JSON")

Fields = Mapping[str, Kind]

RULE_FIELDS: Fields = {
    "slug": TEXT,
    "name": TEXT,
    "description": TEXT,
    "labels": LABELS,
    "enabled": FLAG,
    "shadow": FLAG,
    "model": TEXT,
    "signals": TEXTS,
    "operations": TEXTS,
    "changes": CHANGES,
    "condition": ANYTHING,
    "position": WHOLE,
    "stop_processing": FLAG,
    "raw": FLAG,
    "sample_percent": WHOLE,
    "active_from": TIME,
    "active_until": TIME,
    "once": FLAG,
    "throttle_count": AMOUNT,
    "throttle_seconds": AMOUNT,
    "throttle_by": TEXT,
    "coalesce_seconds": AMOUNT,
    "coalesce_by": TEXT,
    "debounce": FLAG,
    "schedule": SCHEDULE,
}
ACTION_FIELDS: Fields = {
    "rule": REFERENCE,
    "position": WHOLE,
    "kind": TEXT,
    "config": CONFIG,
    "enabled": FLAG,
    "timing": TEXT,
    "delay": WHOLE,
    "on_failure": TEXT,
    "for_each": ROWS,
    "at": TEXT,
    "zone": TEXT,
    "asks_again": FLAG,
}
TEST_FIELDS: Fields = {
    "rule": REFERENCE,
    "name": TEXT,
    "signal": TEXT,
    "operation": TEXT,
    "occurred_at": MOMENT,
    "context": CONFIG,
    "expected": CONFIG,
}
FIELDS: Mapping[type[models.Model], Fields] = {Rule: RULE_FIELDS, RuleAction: ACTION_FIELDS, RuleTest: TEST_FIELDS}
REQUIRED: Mapping[type[models.Model], tuple[str, ...]] = {
    Rule: ("slug", "name", "signals"),
    RuleAction: ("rule", "kind"),
    RuleTest: ("rule", "name", "signal", "occurred_at", "expected"),
}
#: What dumpdata writes and a pack does not say: when the rule was edited, and that it has no author.
IGNORED: Mapping[type[models.Model], tuple[str, ...]] = {Rule: ("updated_at",), RuleAction: (), RuleTest: ()}


def field_problems(model: type[models.Model], values: Mapping[str, Any]) -> Iterator[Problem]:
    """Say what is wrong with the fields of one object, before anything is made of it; pointers are into ``values``."""
    known = FIELDS[model]
    for name in REQUIRED[model]:
        if name not in values and not (name == "signals" and values.get("schedule")):
            yield Problem(pointer(name), f'Expected "{name}", and it is missing.')
    for name, value in values.items():
        if name == "author":
            if value is not None:
                yield Problem("/author", "A pack has no author: what is installed is the operator's. Remove it.")
        elif name in known:
            yield from value_problems(model, name, value)
        elif name not in IGNORED[model]:
            hint = did_you_mean(name[:100], list(known))
            yield Problem(pointer(name[:100]), f"{_name(model)} has no such field.{hint} It has: {', '.join(known)}.")


def _name(model: type[models.Model]) -> str:
    return "A rule" if model is Rule else "An action" if model is RuleAction else "A test"


def value_problems(model: type[models.Model], name: str, value: Any) -> Iterator[Problem]:
    """Say what is wrong with the value of one field: its type, then what the column itself cannot take."""
    kind = FIELDS[model][name]
    if not kind.accepts(value):
        yield Problem(pointer(name), f"Expected {kind.expected}, and got {brief(value)}.")
        return
    if kind not in (TEXT, WHOLE, AMOUNT, LABELS):
        return
    try:
        model._meta.get_field(name).clean(value, None)  # type: ignore[union-attr]
    except ValidationError as error:
        yield Problem(pointer(name), f"{brief(value)} cannot stand here. {' '.join(error.messages)}")


def brief(value: Any) -> str:
    """Return the value as a sentence can quote it."""
    if isinstance(value, dict | list):
        return "an empty list" if value == [] else "an object" if isinstance(value, dict) else "a list"
    return repr(value if not isinstance(value, str) else value[:80])
