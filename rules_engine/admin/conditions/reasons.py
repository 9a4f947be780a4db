"""What kept a condition from holding, in a sentence each: what was there, and what it has to be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.sentences import Asked, asked_of, said

#: Sentences of one condition; where any of many would do, the others are a number.
MOST = 3
HAS_TO = {
    "is": _("it has to be %s"),
    "same": _("it has to be exactly %s"),
    "is_not": _("it must not be %s"),
    "not_same": _("it must not be %s"),
    "more": _("it has to be more than %s"),
    "at_least": _("it has to be at least %s"),
    "less": _("it has to be less than %s"),
    "at_most": _("it has to be at most %s"),
    "one_of": _("it has to be one of: %s"),
    "not_one_of": _("it must be none of: %s"),
    "contains": _("it has to contain %s"),
    "not_contains": _("it must not contain %s"),
    "starts": _("it has to start with %s"),
    "ends": _("it has to end with %s"),
    "between": _("it has to be between %s"),
    "set": _("it has to be filled in"),
    "unset": _("it has to be empty"),
    "null": _("it has to have no value"),
    "not_null": _("it has to have a value"),
}
DATES = {
    "more": _("it has to be after %s"),
    "at_least": _("it has to be on or after %s"),
    "less": _("it has to be before %s"),
    "at_most": _("it has to be on or before %s"),
}
YES_NO = {"set": _("it has to be yes"), "unset": _("it has to be no")}


def reasons(tree: Mapping[str, Any], titles: Titles) -> list[str]:
    """Say of a condition's trace, as ``tracing.trace`` gives it, what kept it from holding."""
    return list(dict.fromkeys(_reasons(tree, titles, True)))


def _reasons(tree: Mapping[str, Any], titles: Titles, wanted: bool) -> Iterator[str]:
    logic, children = tree["expression"], tree["children"]
    operator = next(iter(logic)) if isinstance(logic, Mapping) and len(logic) == 1 else ""
    if operator in ("and", "or"):
        failing = [child for child in children if _is_against(child, wanted)]
        # All of an "and" have to hold: the first that does not, decides. Of an "or" none did.
        decisive = failing[:1] if (operator == "and") is wanted else failing
        for child in decisive[:MOST]:
            yield from _reasons(child, titles, wanted)
        return
    if operator == "!" and len(children) == 1 and asked_of(logic, titles) is None:
        yield from _reasons(children[0], titles, not wanted)
        return
    yield _of_one(tree, titles, wanted)


def _is_against(child: Mapping[str, Any], wanted: bool) -> bool:
    return "value" in child and bool(child["value"]) is not wanted


def _of_one(tree: Mapping[str, Any], titles: Titles, wanted: bool) -> str:
    logic = tree["expression"]
    asked = asked_of(logic, titles)
    read = None if asked is None else next(_read(tree, asked.name), None)
    form = None if asked is None else _form(asked)
    if asked is None or read is None or form is None or not wanted:
        holds = gettext("this has to hold: %s") if wanted else gettext("this must not hold: %s")
        return holds % said(logic, titles).words
    return gettext("%(field)s %(was)s; %(has_to)s") % {
        "field": asked.title,
        "was": _was(read["value"], asked.name, titles),
        "has_to": form % asked.right if "%s" in form else form,
    }


def _form(asked: Asked) -> str | None:
    forms = YES_NO if asked.kind == "boolean" else DATES if asked.kind in ("date", "datetime", "time") else {}
    form = forms.get(asked.op) or HAS_TO.get(asked.op)
    return None if form is None else str(form)


def _read(tree: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """Where that name is read, here or below."""
    if tree["expression"] in ({"var": name}, {"var": [name]}) and "value" in tree:
        yield tree
    for child in tree["children"]:
        yield from _read(child, name)


def _was(value: Any, name: str, titles: Titles) -> str:
    if value is None:
        return gettext("had no value")
    if value == "":
        return gettext("was empty")
    return gettext("was %s") % titles.value(name, value)
