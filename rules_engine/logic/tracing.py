"""What each part of a condition came to on one event, for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from datalogic_py import DataHandle
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.errors import ConditionError, InvalidRule
from rules_engine.logic import cuts
from rules_engine.logic.diagnosis import check_expression
from rules_engine.logic.evaluator import Partial, data_handle, engine_for, operators, plain_data
from rules_engine.logic.metering import ValueTooLargeError, metered_truth, metered_value

#: The library repeats the whole context at each step, so tracing is bounded far below evaluating.
TRACE_BUDGET = 2_000
#: Characters of the context in all steps together, and how many steps a large context gets all the same.
MOST_TRACED, LEAST_STEPS = 50_000_000, 16
_MOST_VALUES = 20


def trace(logic: Any, context: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON-able tree: ``{"pointer", "expression", "children", …}`` with one of

    - ``"value"``: what it came to;
    - ``"values"`` and ``"count"``: what it came to for the first 20 rows of a loop, and for how many there were;
    - ``"error"``: why it could not be worked out;
    - ``"skipped": True``: it was not reached, because the outcome was decided before.

    Constants are not listed. Raises ``InvalidRule`` for a condition that cannot be compiled, ``ConditionError`` for a
    context that is not JSON.
    """
    problems = check_expression(logic)
    if problems:
        raise InvalidRule(problems)
    data = plain_data(context)
    if trouble := _trouble(logic, data_handle(context)):
        return {"pointer": "", "expression": logic, "error": trouble, "children": []}
    record = _record(logic, json.dumps(data))
    return _Trace(logic, data, record).tree(record["expression_tree"])


def _trouble(logic: Any, handle: DataHandle | Partial) -> str:
    """Say why it is not traced: the library's trace counts no bytes, and knows nothing of what was cut off."""
    budget = conf.condition_budget()
    try:
        if isinstance(handle, Partial):
            cuts.truth_of(logic, handle, metered_truth(logic, budget))
        else:
            metered_value(logic, budget).evaluated(handle)
    except (ValueTooLargeError, cuts.CutOffError) as error:
        return str(error)
    except ConditionError:
        pass  # the trace shows where
    return ""


def _record(logic: Any, data: str) -> Any:
    # A power of two, so that there are few engines.
    steps = max(MOST_TRACED // max(len(data), 1), LEAST_STEPS)
    budget = min(TRACE_BUDGET, 1 << steps.bit_length() - 1)
    return json.loads(engine_for(budget).evaluate_with_trace(json.dumps(logic), data))


class _Trace:
    def __init__(self, logic: Any, data: Any, record: Mapping[str, Any]) -> None:
        self.logic = logic
        self.data = data
        self.record = record
        self.pointers: Mapping[str, str] = record.get("pointers", {})
        self.steps: dict[int, list[Mapping[str, Any]]] = {}
        for step in record["steps"]:
            self.steps.setdefault(step["node_id"], []).append(step)

    def tree(self, node: Mapping[str, Any], parent: str | None = None, *, looped: bool = True) -> dict[str, Any]:
        """Return one node and all below it. ``looped``: its parent is a loop that was run in the context itself."""
        place = "" if parent is None else self.pointers.get(str(node["id"]), "")
        steps = self.steps.get(node["id"], [])
        outcome = self._outcome(steps) if steps else self._unlogged(place, parent, looped)
        once = bool(steps) and "iteration_index" not in steps[0]
        return {
            "pointer": place,
            "expression": _at(self.logic, place),
            **outcome,
            "children": [self.tree(child, place, looped=once) for child in node["children"]],
        }

    def _outcome(self, steps: list[Mapping[str, Any]]) -> dict[str, Any]:
        failed = next((step["error"] for step in steps if step["error"]), None)
        if failed:
            return {"error": _reason(failed)}
        if "iteration_index" in steps[0]:
            return {"values": [step["result"] for step in steps[:_MOST_VALUES]], "count": len(steps)}
        return {"value": steps[0]["result"]}

    def _unlogged(self, place: str, parent: str | None, looped: bool) -> dict[str, Any]:
        if parent is None:
            error = self.record.get("error")
            return {"error": _reason(error)} if error else {"value": self.record["result"]}
        # The library logs no step for the rows of a loop, though it always reads them.
        if looped and place.endswith("/0") and _is_loop(_at(self.logic, parent)):
            return {"value": _record(_at(self.logic, place), json.dumps(self.data))["result"]}
        return {"skipped": True}


def _is_loop(logic: Any) -> bool:
    info = operators().get(next(iter(logic), "")) if isinstance(logic, dict) else None
    return info is not None and info["scoped_arg"] in (1, 2)


def _reason(error: str) -> str:
    if "budget exceeded" in error:
        return gettext("Tracing stops after as many operations as are shown for data of this size.")
    return gettext("This could not be worked out with the values it was given.")


def _at(logic: Any, place: str) -> Any:
    here = logic
    for part in place.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        here = here[int(name)] if isinstance(here, list) else here[name]
    return here
