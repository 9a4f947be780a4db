"""Comparisons as clauses, each with its field and its value in their places: some languages put the verb last."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

#: As it is, and as it was before the change; by the names that the condition builder has for them.
CLAUSES = {
    "is": (_("%(field)s is %(value)s"), _("%(field)s was %(value)s")),
    "is_not": (_("%(field)s is not %(value)s"), _("%(field)s was not %(value)s")),
    "more": (_("%(field)s is more than %(value)s"), _("%(field)s was more than %(value)s")),
    "at_least": (_("%(field)s is at least %(value)s"), _("%(field)s was at least %(value)s")),
    "less": (_("%(field)s is less than %(value)s"), _("%(field)s was less than %(value)s")),
    "at_most": (_("%(field)s is at most %(value)s"), _("%(field)s was at most %(value)s")),
    "between": (
        _("%(field)s is between %(low)s and %(high)s"),
        _("%(field)s was between %(low)s and %(high)s"),
    ),
    "not_between": (
        _("%(field)s is not between %(low)s and %(high)s"),
        _("%(field)s was not between %(low)s and %(high)s"),
    ),
    "inside": (
        _("%(field)s is between %(low)s and %(high)s (neither included)"),
        _("%(field)s was between %(low)s and %(high)s (neither included)"),
    ),
    "not_inside": (
        _("%(field)s is not between %(low)s and %(high)s (neither included)"),
        _("%(field)s was not between %(low)s and %(high)s (neither included)"),
    ),
    "contains": (_("%(field)s contains %(value)s"), _("%(field)s contained %(value)s")),
    "not_contains": (_("%(field)s does not contain %(value)s"), _("%(field)s did not contain %(value)s")),
    "starts": (_("%(field)s starts with %(value)s"), _("%(field)s started with %(value)s")),
    "not_starts": (_("%(field)s does not start with %(value)s"), _("%(field)s did not start with %(value)s")),
    "ends": (_("%(field)s ends with %(value)s"), _("%(field)s ended with %(value)s")),
    "not_ends": (_("%(field)s does not end with %(value)s"), _("%(field)s did not end with %(value)s")),
    "one_of": (_("%(field)s is %(value)s"), _("%(field)s was %(value)s")),
    "not_one_of": (_("%(field)s is not %(value)s"), _("%(field)s was not %(value)s")),
    "set": (_("%(field)s is filled in"), _("%(field)s was filled in")),
    "unset": (_("%(field)s is empty"), _("%(field)s was empty")),
    "not_null": (_("%(field)s has a value"), _("%(field)s had a value")),
    "null": (_("%(field)s has no value"), _("%(field)s had no value")),
    "changed": (_("%(field)s changes"), _("%(field)s changes")),
    "unchanged": (_("%(field)s does not change"), _("%(field)s does not change")),
}
CLAUSES |= {"same": CLAUSES["is"], "not_same": CLAUSES["is_not"]}
DATES = {
    "more": (_("%(field)s is later than %(value)s"), _("%(field)s was later than %(value)s")),
    "at_least": (_("%(field)s is not earlier than %(value)s"), _("%(field)s was not earlier than %(value)s")),
    "less": (_("%(field)s is earlier than %(value)s"), _("%(field)s was earlier than %(value)s")),
    "at_most": (_("%(field)s is not later than %(value)s"), _("%(field)s was not later than %(value)s")),
}
#: A field of yes and no goes by its name in quotation marks: ``“on vacation” is yes``.
BOOLEANS = {
    "set": (_("“%(field)s” is yes"), _("“%(field)s” was yes")),
    "unset": (_("“%(field)s” is no"), _("“%(field)s” was no")),
    "is": (_("“%(field)s” is %(value)s"), _("“%(field)s” was %(value)s")),
    "is_not": (_("“%(field)s” is not %(value)s"), _("“%(field)s” was not %(value)s")),
    "changed": (_("“%(field)s” changes"), _("“%(field)s” changes")),
    "unchanged": (_("“%(field)s” does not change"), _("“%(field)s” does not change")),
}
BOOLEANS |= {"same": BOOLEANS["is"], "not_same": BOOLEANS["is_not"]}


def clause(op: str, kind: str, *, before: bool) -> str:
    """The pattern of a comparison of a value of that kind, as it is or as it was before the change."""
    by_kind = BOOLEANS if kind == "boolean" else DATES if kind in ("date", "datetime", "time") else CLAUSES
    now, was = by_kind.get(op) or CLAUSES[op]
    return str(was if before else now)
