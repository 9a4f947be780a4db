"""Values in an action's config: plain ones, texts with template variables, and JSONLogic expressions.

A string is a template; a dict is an expression; anything else stands for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from django.utils.translation import gettext

from rules_engine import texts
from rules_engine.errors import InvalidRule, Problem, TemplateError
from rules_engine.logic import jsonlogic
from rules_engine.logic.decimals import with_digits
from rules_engine.logic.variables import variables
from rules_engine.rules.scope import path_problem
from rules_engine.types import Path, RuleSpec

#: Why a rule cannot read a path, perhaps within the rows of another one, as a sentence; None when it can.
PathCheck = Callable[[RuleSpec, Path, Path | None], str | None]


def reads(value: Any) -> set[Path]:
    """Find the context paths that the value reads; none for one that cannot be compiled."""
    try:
        if isinstance(value, str):
            return set(texts.compile_text(value).reads)
        if isinstance(value, Mapping):
            return set(jsonlogic.compile_expression(value).reads)
    except (TemplateError, InvalidRule):
        return set()
    return set()


def problems(value: Any, rule: RuleSpec, pointer: str, check: PathCheck = path_problem) -> Iterator[Problem]:
    """Find what is wrong with a value at ``pointer``: its syntax, and paths the rule cannot read.

    ``check`` is for actions whose values may read more than the event's context.
    """
    if isinstance(value, str):
        yield from _text_problems(value, rule, pointer, check)
    elif isinstance(value, Mapping):
        yield from _expression_problems(value, rule, pointer, check)


def _text_problems(source: str, rule: RuleSpec, pointer: str, check: PathCheck) -> Iterator[Problem]:
    try:
        text = texts.compile_text(source)
    except TemplateError as error:
        yield Problem(pointer, str(error))
        return
    for variable in text.variables:
        if len(variable.path) == 1 and variable.path[0] in text.derived:
            continue
        trouble = check(rule, variable.path, variable.rows)
        if trouble is not None:
            yield Problem(pointer, gettext("Line %(line)s: %(trouble)s") % {"line": variable.line, "trouble": trouble})


def _expression_problems(logic: Mapping[str, Any], rule: RuleSpec, pointer: str, check: PathCheck) -> Iterator[Problem]:
    try:
        jsonlogic.compile_expression(logic)
    except InvalidRule as error:
        yield from (problem.under(pointer) for problem in error.problems)
        return
    for variable in variables(logic):
        trouble = check(rule, variable.path, variable.within)
        if trouble is not None:
            yield Problem(pointer + variable.pointer, trouble)


def evaluate(value: Any, data: Mapping[str, Any]) -> Any:
    """Work out the value for this context. Raises ``TemplateError`` or ``ConditionError``.

    A decimal that an expression chooses is a number, or a ``Decimal`` where it has more digits than that.
    """
    if isinstance(value, str):
        return texts.render(value, data)
    return _evaluated(value, data, all_decimals=False) if isinstance(value, Mapping) else value


def exact(value: Any, data: Mapping[str, Any]) -> Any:
    """Work out the value for a field of a row: with all that it has at its place. Raises what ``evaluate`` does.

    A text that is exactly one place is the value at that place, be it a list or an object, and a decimal that an
    expression chooses is a ``Decimal``.
    """
    if isinstance(value, str):
        return texts.compile_text(value).value(data)
    return _evaluated(value, data, all_decimals=True) if isinstance(value, Mapping) else value


def _evaluated(logic: Mapping[str, Any], data: Mapping[str, Any], *, all_decimals: bool) -> Any:
    result = _expression(jsonlogic.dumps(logic)).value(jsonlogic.data_handle(data))
    return with_digits(result, logic, data, all_of_them=all_decimals)


def text(value: Any, data: Mapping[str, Any]) -> str:
    """Work out the value for this context as text; null is empty. Raises what ``evaluate`` does."""
    result = evaluate(value, data) if isinstance(value, str) else exact(value, data)
    return "" if result is None else str(result)


def texts_of(config: Mapping[str, Any], keys: Iterable[str], data: Mapping[str, Any]) -> dict[str, str]:
    """Work these settings out as texts. Raises what ``evaluate`` does, and ``KeyError`` for one that is missing."""
    written = {}
    for key in keys:
        value = config[key]
        # Nearly always a template; an expression, or a number as it stands, takes longer.
        written[key] = texts.render(value, data) if isinstance(value, str) else text(value, data)
    return written


@lru_cache(maxsize=512)
def _expression(source: str) -> jsonlogic.Condition:
    return jsonlogic.compile_expression(jsonlogic.parse(source))
