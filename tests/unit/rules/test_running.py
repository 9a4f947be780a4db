"""One action carried out: what is asked of the rule's author, and what counts as a result."""

from __future__ import annotations

from typing import Any

import pytest

from rules_engine.rules.contract import Action
from rules_engine.rules.running import rule_as_written, run
from rules_engine.types import ActionContext, ActionResult


class Answering(Action):
    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def run(self, context: Any, config: Any) -> Any:
        return self.answer


@pytest.mark.parametrize(
    ("answer", "summary"), [(ActionResult("sent"), "sent"), (None, ""), ("done", "done"), (3, "3")]
)
def test_whatever_an_action_answers_its_effect_has_happened(answer: Any, summary: str):
    context: Any = ActionContext
    assert run(Answering(answer), context, {}) == ActionResult(summary)


def test_a_rule_is_told_by_the_relation_that_its_event_changed():
    context = {"m2m": {"field": "tags", "action": "add"}}
    rule = rule_as_written("tagged", model="shop.order", signal="m2m_changed", context=context)
    assert (rule.slug, rule.model, rule.signals, rule.changes) == (
        "tagged",
        "shop.order",
        ("m2m_changed",),
        ({"field": "tags"},),
    )


def test_a_rule_whose_event_changed_no_relation_asks_for_none():
    assert rule_as_written("paid", model="shop.order", signal="post_save", context={"m2m": None}).changes == ()
