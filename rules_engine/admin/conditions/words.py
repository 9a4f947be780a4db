"""What the condition builder says and offers, spoken in the language of the page."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.labels import OPERATION_WORDS
from rules_engine.context.signals import MODEL_SIGNALS, find_signal, known_signals

_EQUAL = ("is", "is_not")
_ORDER = ("more", "at_least", "less", "at_most")
_TEXT = ("contains", "not_contains", "starts", "ends")
_AMONG = ("one_of", "not_one_of")
_FILLED = ("set", "unset")
_KNOWN = ("not_null", "null")
_SPANS = ("next", "last")
_RANGE = ("between", "not_between")
#: Which comparisons make sense for each type; one that a stored condition makes is shown besides.
OPERATORS: dict[str, tuple[str, ...]] = {
    "text": (*_EQUAL, *_TEXT, *_AMONG, *_FILLED),
    "choice": (*_EQUAL, *_AMONG, *_FILLED),
    "number": (*_ORDER, *_RANGE, *_EQUAL, *_AMONG, *_KNOWN),
    "boolean": (*_FILLED, *_KNOWN),
    "date": (*_ORDER, *_SPANS, *_RANGE, *_EQUAL, *_KNOWN),
    "datetime": (*_ORDER, *_SPANS, *_RANGE, *_KNOWN),
    "time": (*_ORDER, *_RANGE, *_EQUAL, *_KNOWN),
    "any": (*_EQUAL, *_ORDER, *_SPANS, *_RANGE, *_TEXT, *_AMONG, *_FILLED, *_KNOWN),
}
#: Each comparison of a value as it is, and of one as it was before the change.
_COMPARISONS = {
    "is": (_("is"), _("was")),
    "is_not": (_("is not"), _("was not")),
    "same": (_("is exactly"), _("was exactly")),
    "not_same": (_("is not exactly"), _("was not exactly")),
    "more": (_("is more than"), _("was more than")),
    "at_least": (_("is at least"), _("was at least")),
    "less": (_("is less than"), _("was less than")),
    "at_most": (_("is at most"), _("was at most")),
    "between": (_("is between (inclusive)"), _("was between (inclusive)")),
    "not_between": (_("is not between (inclusive)"), _("was not between (inclusive)")),
    "inside": (_("is between (exclusive)"), _("was between (exclusive)")),
    "not_inside": (_("is not between (exclusive)"), _("was not between (exclusive)")),
    "next": (_("is in the next"), _("was in the next")),
    "not_next": (_("is not in the next"), _("was not in the next")),
    "last": (_("is in the last"), _("was in the last")),
    "not_last": (_("is not in the last"), _("was not in the last")),
    "contains": (_("contains"), _("contained")),
    "not_contains": (_("does not contain"), _("did not contain")),
    "starts": (_("starts with"), _("started with")),
    "not_starts": (_("does not start with"), _("did not start with")),
    "ends": (_("ends with"), _("ended with")),
    "not_ends": (_("does not end with"), _("did not end with")),
    "one_of": (_("is one of"), _("was one of")),
    "not_one_of": (_("is none of"), _("was none of")),
    "set": (_("is filled in"), _("was filled in")),
    "unset": (_("is empty"), _("was empty")),
    "not_null": (_("has a value"), _("had a value")),
    "null": (_("has no value"), _("had no value")),
    "blank": (_("is nothing or 0"), _("was nothing or 0")),
    "not_blank": (_("is neither nothing nor 0"), _("was neither nothing nor 0")),
    "changed": (_("has changed"), ""),
    "unchanged": (_("has not changed"), ""),
    "boolean:set": (_("is yes"), _("was yes")),
    "boolean:unset": (_("is no"), _("was no")),
}
_DATES = {
    "more": (_("is after"), _("was after")),
    "at_least": (_("is on or after"), _("was on or after")),
    "less": (_("is before"), _("was before")),
    "at_most": (_("is on or before"), _("was on or before")),
}
WORDS = {
    "title": _("How the condition is shown"),
    "builder": _("Builder"),
    "group": _("Group of conditions"),
    "add": _("Add condition"),
    "add_group": _("Add group"),
    "remove": _("Remove"),
    "undo": _("Undo"),
    "up": _("Move up"),
    "down": _("Move down"),
    "copy": _("Duplicate"),
    "added_row": _("A condition was added."),
    "added_group": _("A group was added."),
    "removed_row": _("A condition was removed."),
    "removed_group": _("A group was removed."),
    "restored_row": _("The condition is back."),
    "restored_group": _("The group is back."),
    "added_field": _("A field was added."),
    "removed_field": _("A field was removed."),
    "restored_field": _("The field is back."),
    "copied_row": _("The condition was duplicated."),
    "copied_group": _("The group was duplicated."),
    "moved": _("Moved to place %(place)s of %(count)s in %(group)s."),
    "row": _("Condition %(number)s"),
    "numbered_group": _("Group %(number)s"),
    "always": _("No conditions: it always applies."),
    "field": _("Field"),
    "field_of": _("Field of that"),
    "choose": _("– choose –"),
    "leads_on": _("Leads on to"),
    "several": _("Several of them"),
    "how_many": _("%(rows)s: how many"),
    "sums": _("%(rows)s: sums ›"),
    "happening": _("What happened"),
    "signal": _("Sent by the signal"),
    "comparison": _("Comparison"),
    "over_time": _("Change"),
    "before": _("Before the change"),
    "compared_with": _("Compared with"),
    "a_value": _("value"),
    "a_field": _("field"),
    "a_field_before": _("field, as it was"),
    "a_field_outside": _("field of the object"),
    "a_moment": _("relative to now"),
    "value": _("Value"),
    "value_utc": _("Value (UTC)"),
    "low_value": _("Least value"),
    "high_value": _("Greatest value"),
    "and": _("and"),
    "or_else": _("or, where it has none,"),
    "if_null": _("Value where it has none"),
    "calculation": _("Calculation"),
    "calculated_with": _("Calculated with"),
    "by_value": _("Number to calculate with"),
    "how_long": _("How many"),
    "unit": _("Unit of time"),
    "when": _("When"),
    "one_a_line": _("Values, one a line"),
    "type": _("Type of the value"),
    "text": _("a text"),
    "number": _("a number"),
    "yes_or_no": _("yes or no"),
    "yes": _("yes"),
    "no": _("no"),
    "advanced": _("Advanced"),
    "advanced_json": _("Advanced condition, as JSON"),
    "add_change": _("Add field"),
    "change_row": _("Change %(number)s"),
    "any_change": _("No fields: any change."),
    "from": _("from"),
    "from_any": _("from whatever it was"),
    "from_null": _("from no value"),
    "from_value": _("Value before"),
    "to": _("to"),
    "to_any": _("to whatever it is"),
    "to_null": _("to no value"),
    "to_value": _("Value afterwards"),
    "not_json": _("This is not JSON, so it is shown as it is (line %(line)s, column %(column)s)."),
    "no_json": _("This is not JSON."),
    "choose_field": _("Choose a field."),
    "give_value": _("Give a value."),
    "empty_group": _("Add a condition to this group, or remove it."),
    "unfinished": _("Something is missing in the conditions."),
    "no_fields": _("You may not view this model, so its fields are not offered here."),
}
_GROUPS = {
    "all": _("ALL of these"),
    "any": _("ANY of these"),
    "none": _("NONE of these"),
    "not_all": _("NOT ALL of these"),
}
_MANY = {
    "some": _("have at least one where"),
    "all": _("are all such that"),
    "none": _("have none where"),
}
SIGNS = {"": _("as it is"), "+": _("plus"), "-": _("minus"), "*": _("times"), "/": _("divided by")}
UNITS = {"d": _("days"), "h": _("hours"), "m": _("minutes"), "s": _("seconds")}
MOMENTS = {"": _("now"), "-": _("ago"), "+": _("from now")}
_DAYS = {"": _("today"), "-": _("ago"), "+": _("from today")}
FUNCTIONS = {"sum": _("sum of"), "avg": _("average of"), "min": _("least"), "max": _("greatest")}


def comparison(op: str, kind: str, *, before: bool) -> str:
    """A comparison of a value of that kind, as it is or as it was before the change."""
    pair = _DATES.get(op) if kind in ("date", "datetime", "time") else _COMPARISONS.get(f"{kind}:{op}")
    now, was = pair or _COMPARISONS[op]
    return str(was if before and was else now)


def group_words(kind: str) -> str:
    """What heads a group: ``ALL of these``."""
    return str(_GROUPS[kind])


def many_words(operator: str) -> str:
    """What is asked of rows: ``have at least one where``."""
    return str(_MANY[operator])


def words() -> dict[str, Any]:
    """Every text of the builder, by name."""
    dated = {f"{kind}:{name}": pair for kind in ("date", "datetime", "time") for name, pair in _DATES.items()}
    comparisons = {**_COMPARISONS, **dated}
    return {
        **_spoken(WORDS),
        "ops": {name: {"now": str(now), "was": str(was)} for name, (now, was) in comparisons.items()},
        "groups": _spoken(_GROUPS),
        "many": _spoken(_MANY),
        "functions": _spoken(FUNCTIONS),
        "signs": _spoken(SIGNS),
        "units": _spoken(UNITS),
        "moments": _spoken(MOMENTS),
        "days": _spoken(_DAYS),
        # What events carry ends so: one instant, in one form.
        "zone": "+00:00" if settings.USE_TZ else "",
        # What "today" is, is a matter of where one is.
        "time_zone": "" if settings.TIME_ZONE == "UTC" else settings.TIME_ZONE,
    }


def _spoken(lazy: dict[str, Any]) -> dict[str, str]:
    return {name: str(text) for name, text in lazy.items()}


def happening() -> list[dict[str, Any]]:
    """What can be read of an event besides its object."""
    operations = [[name, str(text)] for name, text in OPERATION_WORDS.items()]
    of_relation = {"of_model": True, "of_m2m": True}
    fields: list[dict[str, Any]] = [
        {"name": "created", "label": gettext("It is new"), "type": "boolean", "of_model": True},
        {
            "name": "event.operation",
            "label": gettext("What was done"),
            "type": "text",
            "choices": operations,
            "of_model": True,
        },
        {"name": "m2m.objects", "label": gettext("Those added or removed"), "type": "rows", **of_relation},
        {"name": "m2m.count", "label": gettext("How many were added or removed"), "type": "number", **of_relation},
        {"name": "actor.username", "label": gettext("Who did it"), "type": "text"},
        {"name": "request.path", "label": gettext("Path of the request"), "type": "text"},
        {"name": "request.method", "label": gettext("Method of the request"), "type": "text"},
        {"name": "event.depth", "label": gettext("How many rules led to it"), "type": "number"},
    ]
    return fields


def sent() -> dict[str, list[dict[str, str]]]:
    """The documented arguments of signals without a model, by signal."""
    named = [find_signal(name) for name in known_signals() if name not in MODEL_SIGNALS]
    return {
        signal.name: [
            {"name": f"signal.{name}", "label": str(text), "type": "any"} for name, text in signal.arguments.items()
        ]
        for signal in named
        if signal is not None
    }
