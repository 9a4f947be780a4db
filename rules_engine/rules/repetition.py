"""``for_each``: the rows that an action is carried out for, once each.

It is a to-many path (``"instance.items"``), or a JSONLogic expression that yields a list, such as a ``filter`` over
one. Texts and expressions of the action read the row as ``each``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.context.plain_data import is_cut
from rules_engine.errors import ConditionError, InvalidRule, Problem
from rules_engine.logic import jsonlogic
from rules_engine.logic.variables import rows_path, variables
from rules_engine.rules.scope import M2M_OBJECTS, is_of_rows, path_problem
from rules_engine.types import EVERY_FIELD, ActionSpec, Path, RuleSpec

EACH = "each"
#: Executions that one action may be spread out to.
MOST_ROWS = 10_000
#: Rows that are read while the save waits: some ten milliseconds. Of more the keys are, and a worker reads the rest.
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Each:
    """A compiled ``for_each``. ``source`` is the path of its rows, empty where they are no model's; ``written`` is
    what the rule has."""

    written: Any
    source: Path
    reads: frozenset[Path]
    expression: jsonlogic.Condition | None = None

    def rows(self, data: Mapping[str, Any]) -> list[Any]:
        """Return the rows in this context. Raises ``ConditionError`` where there is no list, or too long a one."""
        at_source = _at(data, self.source) if self.source else None
        rows = at_source if self.expression is None else self.expression.value(jsonlogic.data_handle(data))
        self._check_that_all_are_there(data)
        if rows is None:
            return []
        if not isinstance(rows, list):
            raise ConditionError(gettext("It did not come to a list."))
        if len(rows) > MOST_ROWS or (isinstance(at_source, list) and len(at_source) > MOST_ROWS):
            message = gettext("for_each came to more than %s rows, which is as many as one rule may take.")
            raise ConditionError(message % number_format(MOST_ROWS, force_grouping=True))
        return rows if self.expression is None else _originals(rows, at_source)

    def _check_that_all_are_there(self, data: Mapping[str, Any]) -> None:
        """Refuse a list that is cut off. Relations are read up to ``MOST_ROWS``, other lists up to ``ROWS_LIMIT``."""
        for path in self.reads:
            if (kept := _kept_of_more(data, path)) is not None:
                message = gettext(
                    "%(path)s is cut off at %(kept)s, and the action would leave out the others; raise ROWS_LIMIT in "
                    "RULES_ENGINE."
                )
                kept_of = number_format(kept, force_grouping=True)
                raise ConditionError(message % {"path": ".".join(path), "kept": kept_of})


def _kept_of_more(data: Mapping[str, Any], path: Path) -> int | None:
    """Say how long the list there is, where the event does not hold all of it."""
    if path[:2] in (("m2m", "pks"), M2M_OBJECTS):
        # Of the objects some may be gone; of the keys it is known how many there were.
        kept, count = _at(data, ("m2m", "pks")), _at(data, ("m2m", "count"))
        is_whole = not isinstance(kept, list) or not isinstance(count, int) or count <= len(kept)
    else:
        kept = _at(data, path)
        is_whole = not isinstance(kept, list) or not is_cut(kept)
        kept = kept if is_whole else kept[:-1]
    return None if is_whole else len(kept)


def is_too_long_for_save(data: Mapping[str, Any], each: Each) -> bool:
    """Say whether some list that it reads has more rows than are read while a save waits."""
    lists = [value for path in each.reads if isinstance(value := _list_on(data, path), list)]
    return any(len(rows) > AT_ONCE for rows in lists)


def _list_on(data: Any, path: Path) -> Any:
    """Return the first list on the way of a path."""
    for name in path:
        if isinstance(data, list):
            break
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def with_rows(data: Mapping[str, Any], source: Path, rows: Any) -> dict[str, Any]:
    """Return the data with these rows at their place."""
    if len(source) == 1:
        return {**data, source[0]: rows}
    below = data.get(source[0])
    return {**data, source[0]: with_rows(below if isinstance(below, Mapping) else {}, source[1:], rows)}


def _at(data: Any, path: Path) -> Any:
    for name in path:
        data = data.get(name) if isinstance(data, Mapping) else None
    return data


def _originals(rows: list[Any], source: Any) -> list[Any]:
    """Return the rows as they were captured: JSONLogic has made binary numbers of their decimals."""
    by_pk = {str(row["pk"]): row for row in source or () if isinstance(row, Mapping) and "pk" in row}
    return [by_pk.get(str(row.get("pk")), row) if isinstance(row, Mapping) else row for row in rows]


def source_of(for_each: Any) -> Path:
    """Return the path of the rows of a ``for_each`` as written; empty where they are computed."""
    if isinstance(for_each, str):
        return tuple(for_each.split("."))
    return rows_path(for_each) or ()


def for_each_reads(for_each: Any) -> frozenset[Path]:
    """Return what a ``for_each`` reads of the context; nothing where it cannot be compiled."""
    if isinstance(for_each, str):
        return frozenset({source_of(for_each)})
    try:
        return jsonlogic.compile_expression(for_each).reads if isinstance(for_each, Mapping) else frozenset()
    except InvalidRule:
        return frozenset()


def rule_seen_by(action: ActionSpec, rule: RuleSpec) -> RuleSpec:
    """Return the rule as one of its actions sees it: with ``each``, where it is carried out for each of some rows."""
    return rule if action.for_each is None else replace(rule, each=source_of(action.for_each))


def compile_each(for_each: Any, own_reads: Iterable[Path]) -> Each:
    """Make it ready to be used; ``own_reads`` is what the action reads of ``each``. Raises ``InvalidRule``."""
    source = source_of(for_each)
    below = {(*source, *path[1:]) for path in own_reads if path[:1] == (EACH,)} if _are_of_a_model(source) else set()
    if isinstance(for_each, str):
        return Each(for_each, source, frozenset(_rows_reads(source) | below))
    expression = jsonlogic.compile_expression(for_each)
    others = {path for path in expression.reads if path != source}
    return Each(for_each, source, frozenset(_rows_reads(source) | below | others), expression)


def _rows_reads(source: Path) -> set[Path]:
    if not source:
        return set()
    return {(*source, EVERY_FIELD)} if _are_of_a_model(source) else {source}


def _are_of_a_model(source: Path) -> bool:
    return source[:1] == ("instance",) or source == M2M_OBJECTS


def each_problems(for_each: Any, rule: RuleSpec) -> list[Problem]:
    """Return what is wrong with a ``for_each``; pointers are into it."""
    if isinstance(for_each, str):
        source = source_of(for_each)
        trouble = path_problem(rule, source) or _nesting_problem(rule, source)
        if trouble is None and not is_of_rows(rule, source):
            message = gettext('"%(path)s" is one thing and no list; name a relation to many, such as instance.items.')
            trouble = message % {"path": for_each}
        return [Problem("", trouble)] if trouble else []
    if not isinstance(for_each, Mapping) or not for_each:
        got = gettext("an empty object") if for_each == {} else repr(for_each)
        message = gettext('Expected a path such as "instance.items" or an expression, and got %(got)s.')
        return [Problem("", message % {"got": got})]
    try:
        jsonlogic.compile_expression(for_each)
    except InvalidRule as error:
        return list(error.problems)
    troubles = [(variable, path_problem(rule, variable.path, variable.within)) for variable in variables(for_each)]
    return [Problem(variable.pointer, trouble) for variable, trouble in troubles if trouble is not None]


def _nesting_problem(rule: RuleSpec, source: Path) -> str | None:
    """Say that rows of rows are no list: it would be one of many lists."""
    for end in range(2, len(source)):
        if source[0] == "instance" and is_of_rows(rule, source[:end]):
            outer, inner = ".".join(source[:end]), ".".join(source[end:])
            message = gettext(
                '"%(outer)s" is a list itself, and each of it has its own "%(inner)s"; name one list, '
                "such as %(outer)s."
            )
            return message % {"outer": outer, "inner": inner}
    return None
