"""Named arguments in a config, as rows of ``name`` and ``value``: what a signal or a task is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.errors import ConditionError, PermanentError, Problem, TemplateError
from rules_engine.rules import values
from rules_engine.types import Path, RuleSpec

#: The form for them.
SCHEMA: Mapping[str, Any] = {
    "type": "array",
    "title": _("Arguments"),
    "items": {
        "type": "object",
        "keys": {
            "name": {"type": "string", "title": _("Name"), "plain": True},
            "value": {
                "type": "string",
                "title": _("Value"),
                "helpText": _('A text such as {{ instance.pk }}; {"var": "instance.pk"} keeps a number a number.'),
            },
        },
    },
}


def problems(config: Mapping[str, Any], rule: RuleSpec, reserved: Collection[str]) -> Iterator[Problem]:
    """Say what is wrong with the rows at ``/arguments``; no argument may have one of the ``reserved`` names."""
    written = config.get("arguments") or []
    if not isinstance(written, list):
        yield Problem(
            "/arguments",
            gettext("Expected a list of names and values, and got %(written)s.") % {"written": repr(written)},
        )
        return
    names = Counter(str(row.get("name")) for row in written if isinstance(row, Mapping))
    for index, row in enumerate(written):
        pointer = f"/arguments/{index}"
        if not isinstance(row, Mapping):
            yield Problem(pointer, gettext("Expected a name and a value, and got %(row)s.") % {"row": repr(row)})
            continue
        if trouble := _name_problem(row.get("name"), names, reserved):
            yield Problem(f"{pointer}/name", trouble)
        yield from values.problems(row.get("value"), rule, f"{pointer}/value")


def _name_problem(name: Any, names: Mapping[str, int], reserved: Collection[str]) -> str | None:
    if name in (None, ""):
        return gettext("Name the argument, or remove the row.")
    if not isinstance(name, str) or not name.isidentifier():
        return gettext("Expected a name of letters, digits and _, such as order_id, and got %(name)s.") % {
            "name": repr(name)
        }
    if name in reserved:
        return gettext('"%(name)s" is taken; choose another name.') % {"name": name}
    if names[name] > 1:
        return gettext('"%(name)s" is given %(times)s times; once is enough.') % {"name": name, "times": names[name]}
    return None


def rows(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows that are rows."""
    written = config.get("arguments")
    return [row for row in written if isinstance(row, Mapping)] if isinstance(written, list) else []


def reads(config: Mapping[str, Any]) -> set[Path]:
    """Return the context paths that the values read."""
    return {path for row in rows(config) for path in values.reads(row.get("value"))}


def evaluate(config: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments for this context, by name. Raises ``PermanentError`` for one that has no value there."""
    try:
        return {str(row["name"]): values.evaluate(row.get("value"), data) for row in rows(config)}
    except (TemplateError, ConditionError) as error:
        raise PermanentError(str(error)) from error
