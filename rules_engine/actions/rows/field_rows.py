"""Rows of a field and its value in a config: what is wrong with them, and what they read.

In a value, ``row`` may stand for the row that is being written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext

from rules_engine.actions.rows.writing import writable_field
from rules_engine.context.paths import ModelClass, label_of
from rules_engine.errors import Problem, Refused, UnknownPath, did_you_mean
from rules_engine.rules import values
from rules_engine.rules.scope import path_problem, view_permissions
from rules_engine.types import EVERY_FIELD, Path, RuleSpec

ROW = "row"

FieldRow = Mapping[str, Any]


def rows(config: Mapping[str, Any], key: str) -> list[tuple[int, FieldRow]]:
    """Return the rows at that key that are rows, each with its number."""
    written = config.get(key)
    listed = enumerate(written) if isinstance(written, list) else ()
    return [(index, row) for index, row in listed if isinstance(row, Mapping)]


def row_problems(config: Mapping[str, Any], key: str, known: Sequence[str]) -> Iterator[Problem]:
    """Say what is wrong with the shape of the rows at that key; ``known`` are the names that a row may hold."""
    written = config.get(key) or []
    if not isinstance(written, list):
        yield Problem(
            f"/{key}",
            gettext("Expected a list of fields and values, and got %(written)s.") % {"written": repr(written)},
        )
        return
    for index, row in enumerate(written):
        pointer = f"/{key}/{index}"
        if not isinstance(row, Mapping):
            yield Problem(pointer, gettext("Expected a field and a value, and got %(row)s.") % {"row": repr(row)})
            continue
        if not isinstance(row.get("field"), str) or not row["field"]:
            yield Problem(f"{pointer}/field", gettext("Name the field, or remove the row."))
        for name in row:
            if name not in known:
                yield Problem(
                    f"{pointer}/{name}",
                    gettext('A row has no "%(name)s".%(hint)s') % {"name": name, "hint": did_you_mean(name, known)},
                )


def field_problems(config: Mapping[str, Any], model: ModelClass, *, creating: bool) -> Iterator[Problem]:
    """Fields under ``values`` that the model has not, that rules may not write, and those that come twice."""
    seen: set[str] = set()
    for index, row in rows(config, "values"):
        name = row.get("field")
        if not isinstance(name, str) or not name:
            continue
        try:
            field = writable_field(model, name, creating=creating)
        except (UnknownPath, Refused) as error:
            yield Problem(f"/values/{index}/field", str(error))
            continue
        if field.name in seen:
            yield Problem(
                f"/values/{index}/field", gettext('"%(name)s" has a value already; once is enough.') % {"name": name}
            )
        seen.add(field.name)


def value_problems(
    config: Mapping[str, Any], key: str, rule: RuleSpec, row_model: ModelClass | None = None
) -> Iterator[Problem]:
    """Say what is wrong with the values; ``row_model`` is the model of ``row``, where there is one to be read."""
    check = path_problem if row_model is None else _checking_rows_of(row_model)
    for index, row in rows(config, key):
        yield from values.problems(row.get("value"), rule, f"/{key}/{index}/value", check)


def _checking_rows_of(model: ModelClass) -> values.PathCheck:
    def check(rule: RuleSpec, path: Path, within: Path | None = None) -> str | None:
        if within is None and path[:1] == (ROW,):
            return path_problem(_rule_of(model, rule), ("instance", *path[1:]))
        if within is not None and within[:1] == (ROW,):
            return path_problem(_rule_of(model, rule), path, ("instance", *within[1:]))
        return path_problem(rule, path, within)

    return check


def _rule_of(model: ModelClass, rule: RuleSpec) -> RuleSpec:
    return replace(rule, model=label_of(model))


def reads(config: Mapping[str, Any], *keys: str) -> set[Path]:
    """Return the context paths that the values at these keys read."""
    return {path for path in _all_reads(config, *keys) if path[:1] != (ROW,)}


def _all_reads(config: Mapping[str, Any], *keys: str) -> set[Path]:
    return {path for key in keys for _, row in rows(config, key) for path in values.reads(row.get("value"))}


def own_reads(value: Any) -> set[Path]:
    """Return the paths that the value reads of ``row``, beginning below it; ``("*",)`` for the row as a whole."""
    return {path[1:] or (EVERY_FIELD,) for path in values.reads(value) if path[:1] == (ROW,)}


def own_view_permissions(config: Mapping[str, Any], rule: RuleSpec, model: ModelClass) -> set[str]:
    """Return the ``view`` permissions that reading ``row`` takes."""
    paths = {("instance", *path) for _, row in rows(config, "values") for path in own_reads(row.get("value"))}
    return view_permissions(_rule_of(model, rule), paths) if paths else set()
