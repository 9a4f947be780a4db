"""Conditions and value expressions in JSONLogic: parse, check, compile, evaluate, trace.

The steps live in modules of their own; this is the one to import.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from datalogic_py import DataHandle

from rules_engine import conf
from rules_engine.errors import InvalidRule, Problem
from rules_engine.logic import cuts
from rules_engine.logic.diagnosis import check, check_expression
from rules_engine.logic.evaluator import Partial, data_handle, facts_of
from rules_engine.logic.jsontext import parse
from rules_engine.logic.metering import Metered, metered_truth, metered_value
from rules_engine.logic.shape import shape_problems
from rules_engine.logic.tracing import trace
from rules_engine.logic.variables import Variable, variables
from rules_engine.types import EVERY_FIELD, Path, shared

__all__ = [
    "Condition",
    "DataHandle",
    "Partial",
    "Variable",
    "check",
    "check_expression",
    "compile_checked",
    "compile_condition",
    "compile_expression",
    "data_handle",
    "dumps",
    "parse",
    "trace",
    "variables",
]


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition or value expression that was checked; thread-safe, to be kept and shared.

    ``reads`` are the paths of the context that it needs. Of a to-many path's rows their own columns are always there
    and not listed; ``variables(source)`` says which of them are read. It is compiled when it is first asked: of ten
    thousand rules most never are, and compiled they take three kilobytes each.
    """

    #: The JSON it was written as; a fifth of what it takes as objects.
    text: str
    reads: frozenset[Path]
    _budget: int = field(repr=False, compare=False)
    _value: Metered | None = field(default=None, init=False, repr=False, compare=False)
    _truth: Metered | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def source(self) -> Any:
        """The JSON it was written as, made anew."""
        return json.loads(self.text)

    def matches(self, data: DataHandle | Partial) -> bool:
        """Say whether it holds for the data. Raises ``ConditionError`` where that cannot be worked out.

        Where what was cut off of the data would decide, it cannot be worked out (``logic.cuts``).

        Only the truth of the result leaves the evaluator, however large that is. Of JSON values, Python and JSONLogic
        take the same ones for false: null, false, 0, "", [] and {}.
        """
        truth = self._truth or self._kept("_truth", metered_truth)
        if isinstance(data, Partial):
            return bool(cuts.truth_of(self.source, data, truth))
        return bool(truth.evaluated(data))

    def value(self, data: DataHandle | Partial) -> Any:
        """Say what it comes to, as JSON-safe data. Raises ``ConditionError`` naming operator and JSON pointer."""
        value = self._value or self._kept("_value", metered_value)
        if isinstance(data, Partial):
            return cuts.value_of(self.source, data, value)
        return value.evaluated(data)

    def _kept(self, name: str, make: Callable[[Any, int], Metered]) -> Metered:
        made = make(self.source, self._budget)
        object.__setattr__(self, name, made)
        return made


def compile_condition(logic: Any) -> Condition:
    """Make a condition ready to be evaluated. Raises ``InvalidRule`` with all the problems that ``check`` finds."""
    return _compile(logic, check(logic))


def compile_expression(logic: Any) -> Condition:
    """Make a value expression ready to be evaluated; constants are allowed. Raises ``InvalidRule``."""
    return _compile(logic, check_expression(logic))


def dumps(logic: Any) -> str:
    """Write a condition or expression as compact JSON text. Raises ``InvalidRule`` for what is no JSON of bounded
    size."""
    problems = shape_problems(logic)
    if problems:
        raise InvalidRule(problems)
    return json.dumps(logic, separators=(",", ":"), ensure_ascii=False)


def compile_checked(logic: Any) -> Condition:
    """Make ready what ``check`` has found nothing wrong with."""
    budget = conf.condition_budget()
    # As text: the library's own walk of Python objects is not safe for every object.
    text = json.dumps(logic)
    reads = frozenset({tuple(path) for path in facts_of(text, budget)["reads"]} | _beyond_rows(logic))
    return Condition(text, shared(reads), budget)


def _compile(logic: Any, problems: Sequence[Problem]) -> Condition:
    if problems:
        raise InvalidRule(problems)
    return compile_checked(logic)


def _beyond_rows(logic: Any) -> set[Path]:
    """Say what is read of the objects that rows belong to, and the rows' own columns, which would else be left out."""
    paths: set[Path] = set()
    for variable in variables(logic):
        if variable.within and len(variable.path) > 1:
            paths |= {(*variable.within, EVERY_FIELD), (*variable.within, *variable.path)}
    return paths
