"""Everything wrong with a written condition or value expression, as sentences at their places."""

from __future__ import annotations

import json
from typing import Any

from datalogic_py import DataLogicError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf
from rules_engine.errors import Problem, did_you_mean
from rules_engine.logic.arity import arity_problems
from rules_engine.logic.evaluator import engine_for, explain, facts_of, operators
from rules_engine.logic.shape import pointer, shape_problems
from rules_engine.logic.variables import reading_problems

#: What people write who know another language; near misses are found without this.
_OTHER_NAMES = {
    "not": "!", "=": "==", "eq": "==", "equals": "==", "is": "==", "ne": "!=", "neq": "!=", "<>": "!=",
    "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "&&": "and", "||": "or", "any": "some", "every": "all",
    "contains": "in", "concat": "cat", "len": "length", "count": "length", "add": "+", "sub": "-", "mul": "*",
    "div": "/", "mod": "%", "startswith": "starts_with", "endswith": "ends_with", "lowercase": "lower",
    "uppercase": "upper", "strip": "trim", "ifnull": "??", "coalesce": "??", "default": "??", "between": "<=",
}  # fmt: skip
_ALWAYS = _("leave the condition empty for a rule that always applies, or disable the rule for one that never should")


def check(logic: Any) -> list[Problem]:
    """Find every problem of an already parsed condition; empty when it can be used. Pointers start at the condition.

    Takes any Python object, however deep, wide or circular.
    """
    return check_expression(logic) or _constant_problems(logic)


def check_expression(logic: Any) -> list[Problem]:
    """Find every problem of a value expression, which may also be a constant."""
    problems = shape_problems(logic)
    if problems:
        return problems
    problems = arity_problems(logic)
    told = {problem.pointer for problem in problems}
    found = (*_diagnostics(logic), *reading_problems(logic))
    problems += [problem for problem in found if problem.pointer not in told]
    problems.sort(key=lambda problem: problem.pointer)
    return problems or _compile_problems(logic)


def _diagnostics(logic: Any) -> list[Problem]:
    text = json.dumps(logic)
    diagnostics = engine_for(conf.condition_budget()).check(text)
    places = _places_of(logic, "throw", "") if '"throw"' in text else []
    thrown = [Problem(place, str(_THROW)) for place in places]
    return [Problem(diagnostic["pointer"], _sentence(diagnostic)) for diagnostic in diagnostics] + thrown


_THROW = _('"throw" is not offered: a condition that raises errors on purpose would hide the ones that matter.')


def _places_of(node: Any, operator: str, at: str) -> list[str]:
    if isinstance(node, list):
        return [place for index, item in enumerate(node) for place in _places_of(item, operator, f"{at}/{index}")]
    if not isinstance(node, dict):
        return []
    here = [at] if operator in node and len(node) == 1 else []
    return here + [place for key, item in node.items() for place in _places_of(item, operator, at + pointer(key))]


def _sentence(diagnostic: Any) -> str:
    code, operator = diagnostic["code"], diagnostic["operator"] or ""
    if code == "UnknownOperator":
        return gettext('There is no operator "%(name)s".') % {"name": operator[:50]} + _suggestion(operator)
    if code == "NotAnOperator":
        return gettext(
            "An operator is an object with exactly one key, and this object has another number of them. "
            'To require several things, write {"and": [ … ]}.'
        )
    text = str(diagnostic["message"]).replace("`", '"')
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def _suggestion(operator: str) -> str:
    known = operators()
    other = _OTHER_NAMES.get(operator.lower()) or (operator.lower() if operator.lower() in known else None)
    if other:
        return gettext(' Did you mean "%(name)s"?') % {"name": other}
    return did_you_mean(operator, [name for name in known if name != "throw"])


def _compile_problems(logic: Any) -> list[Problem]:
    try:
        facts = facts_of(json.dumps(logic), conf.condition_budget())
    except DataLogicError as error:
        return [Problem("", explain(error))]
    if facts["reads_complete"]:
        return []
    return [Problem("", gettext("Which fields this reads is computed while it runs; write the names out as text."))]


def _constant_problems(logic: Any) -> list[Problem]:
    if isinstance(logic, list) and logic:
        message = gettext('A list is no condition; write {"and": [ … ]} to require all of it, {"or": [ … ]} for any.')
        return [Problem("", message)]
    if not isinstance(logic, dict) or not logic:
        message = gettext("A condition is an operator, and this is the constant %(constant)s; %(remedy)s.")
        return [Problem("", message % {"constant": _shown(logic), "remedy": _ALWAYS})]
    facts = facts_of(json.dumps(logic), conf.condition_budget())
    if facts["reads_data"] or not facts["deterministic"]:
        return []
    message = gettext("This condition reads nothing of the event, so it always comes out the same; %(remedy)s.")
    return [Problem("", message % {"remedy": _ALWAYS})]


def _shown(logic: Any) -> str:
    text = json.dumps(logic, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:40]}…"
