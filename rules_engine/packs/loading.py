"""What guards a plain ``loaddata``, which saves rows raw: not validated, and without what Django fills in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.utils import timezone

from rules_engine.errors import InvalidRule, Problem
from rules_engine.logic.shape import shape_problems
from rules_engine.models import Rule, RuleAction, RuleTest
from rules_engine.packs.checking import Finding, problems_of
from rules_engine.packs.fields import FIELDS, value_problems
from rules_engine.rules.expected.expectation import expectation_problems
from rules_engine.rules.holding import constant_keys


class UnusableRow(InvalidRule):
    """A row that is being loaded is none that a rule could have; the whole fixture is undone."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        super().__init__([problem.under(f"{name} ") for problem in problems])


def before_raw_save(
    sender: type[Rule | RuleAction | RuleTest], instance: Rule | RuleAction | RuleTest, raw: bool, **_: Any
) -> None:
    """Receiver: refuse a row whose values are of types that nothing could read. Raises ``UnusableRow``."""
    if not raw:
        return
    values = {name: getattr(instance, name) for name in FIELDS[sender] if name != "rule"}
    problems = [
        problem.under(f"/{name}")
        for name in ("condition", "config", "changes", "signals", "operations", "context", "expected")
        if name in values
        for problem in shape_problems(values[name])
    ]
    if not problems:
        problems = [problem for name, value in values.items() for problem in value_problems(sender, name, value)]
    if not problems and isinstance(instance, RuleTest):
        problems = [problem.under("/expected") for problem in expectation_problems(instance.expected)]
    if problems:
        raise UnusableRow(_name(instance), problems)
    if isinstance(instance, Rule) and instance.updated_at is None:
        instance.updated_at = timezone.now()


def _name(instance: Rule | RuleAction | RuleTest) -> str:
    if isinstance(instance, Rule):
        return f'The rule "{str(instance.slug)[:100]}"'
    slug = instance.rule.slug if instance.rule_id is not None else "?"
    if isinstance(instance, RuleTest):
        return f'The test "{str(instance.name)[:100]}" of the rule "{slug}"'
    return f'Action {instance.position} of the rule "{slug}"'


def loaded_problems(pks: Iterable[Any], using: str) -> tuple[list[Finding], list[Finding], list[Finding]]:
    """Say what is wrong with rules that were just loaded: those switched on, those switched off, and what stops none.

    A key that is constant stops none: a dump of what ran elsewhere is to come back whole.
    """
    on: list[Finding] = []
    off: list[Finding] = []
    running: list[Finding] = []
    for spec in Rule.objects.using(using).filter(pk__in=list(pks)).specs():
        (on if spec.enabled else off).extend(Finding(spec.slug, problem) for problem in problems_of(spec))
        running.extend(Finding(spec.slug, problem) for problem in constant_keys(spec))
    return on, off, running
