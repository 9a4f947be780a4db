"""One action of a rule, carried out: what its author must be permitted, and what came of it.

Workers and the process of a save ask here, so that both ask for the same permissions and take the same for a result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules_engine.context.visible import objects_sent
from rules_engine.rules.contract import Action
from rules_engine.types import ActionContext, ActionResult, RuleSpec


def rule_as_written(slug: str, *, model: str, signal: str, context: Mapping[str, Any]) -> RuleSpec:
    """Return the rule as far as an event of it tells: enough to say which permissions one of its actions needs."""
    relation = context.get("m2m")
    changes = ({"field": relation["field"]},) if relation else ()
    return RuleSpec(slug=slug, model=model, signals=(signal,), changes=changes, objects=objects_sent(context))


def run(action: Action, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
    """Run the action once. Raises whatever the action raises.

    When it returns, its effect has happened: what it answers instead of a result must not make it happen again.
    """
    result = action.run(context, config) or ActionResult()
    return result if isinstance(result, ActionResult) else ActionResult(str(result))
