"""One action of a rule, carried out: what its author must be permitted, and what came of it.

Workers and the process of a save ask here, so that both ask for the same permissions and take the same for a result.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rules_engine.context.visible import objects_sent
from rules_engine.rules.contract import Action
from rules_engine.types import ActionContext, ActionResult, RuleSpec, Unread, ask

logger = logging.getLogger("rules_engine")


def rule_as_written(slug: str, *, model: str, signal: str, context: Mapping[str, Any]) -> RuleSpec:
    """Return the rule as far as an event of it tells: enough to say which permissions one of its actions needs."""
    relation = context.get("m2m")
    changes = ({"field": relation["field"]},) if relation else ()
    sent = objects_sent(context) if context.get("signal") else {}
    return RuleSpec(slug=slug, model=model, signals=(signal,), changes=changes, objects=sent)


def run(action: Action, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
    """Run the action once. Raises whatever the action raises.

    When it returns, its effect has happened: what it answers instead of a result must not make it happen again.
    """
    return _result(action.run(context, config))


def run_many(
    action: Action, contexts: Sequence[ActionContext], configs: Sequence[Mapping[str, Any]]
) -> list[ActionResult | Exception]:
    """Run the action once for each context. Raises whatever ``run_many`` of the action raises.

    What it leaves without an answer was done all the same, as in ``run``.
    """
    answers: Any = ask(list, action.run_many(contexts, configs) or ())
    if isinstance(answers, Unread) or len(answers) != len(contexts):
        logger.error('The action "%s" did not answer for each of %d.', action.kind, len(contexts))
        answers = [] if isinstance(answers, Unread) else answers
    results = [answer if isinstance(answer, Exception) else _result(answer) for answer in answers[: len(contexts)]]
    return [*results, *(ActionResult() for _ in contexts[len(results) :])]


def _result(answer: Any) -> ActionResult:
    """Return what was answered as a result that can be recorded: a text, and details by their names."""
    if not isinstance(answer, ActionResult):
        return ActionResult(_words(answer))
    if isinstance(answer.summary, str) and isinstance(answer.detail, Mapping):
        return answer
    return ActionResult(_words(answer.summary), answer.detail if isinstance(answer.detail, Mapping) else {})


def _words(said: Any) -> str:
    """Return what was said as a text; empty where that is nothing, or where it has no words."""
    words = ask(_text_of, said)
    return "" if isinstance(words, Unread) else words


def _text_of(said: Any) -> str:
    return str(said or "")


def each(
    run: Callable[[ActionContext, Mapping[str, Any]], ActionResult],
    contexts: Sequence[ActionContext],
    configs: Sequence[Mapping[str, Any]],
) -> list[ActionResult | Exception]:
    """Run them one after another, for kinds that share nothing but their record: each fails by itself."""
    answers = [ask(run, context, config) for context, config in zip(contexts, configs, strict=True)]
    return [answer.error if isinstance(answer, Unread) else answer for answer in answers]
