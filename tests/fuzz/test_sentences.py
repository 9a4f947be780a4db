"""A rule's sentence: whatever stands in a rule is told, in both languages and in bounded length, and never raises."""

from __future__ import annotations

import random

import pytest
from django.utils import translation

from rules_engine.admin.reading.sentence import sentence
from rules_engine.models import Rule, RuleAction
from rules_engine.packs.fields import ACTION_FIELDS, RULE_FIELDS
from rules_engine.rules import registry
from tests.fuzz import making
from tests.fuzz.running import fuzz
from tests.fuzz.test_packs import action, rule

pytestmark = pytest.mark.django_db

COUNT = 400
LONGEST = 10_000


def draft(chance: random.Random) -> Rule:
    """A rule that was never saved, of values of any kind."""
    fields = rule(chance)["fields"]
    for name in chance.sample([*RULE_FIELDS], chance.randint(0, 6)):
        fields[name] = making.deep(chance) if chance.random() < 0.1 else making.json_value(chance, 3)
    fields["changes"] = making.some(
        chance, lambda c: {c.choice(("field", "from", "to", "x")): making.leaf(c) for _ in range(c.randint(0, 3))}
    )
    return Rule(**fields)


def step(chance: random.Random) -> RuleAction:
    """An action that was never saved."""
    fields = action(chance)["fields"]
    del fields["rule"]
    if chance.random() < 0.3:
        fields["config"] = making.deep(chance) if chance.random() < 0.3 else making.json_value(chance)
    for name in chance.sample([name for name in ACTION_FIELDS if name != "rule"], chance.randint(0, 3)):
        fields[name] = making.json_value(chance, 2)
    return RuleAction(**fields)


def surface(chance: random.Random) -> None:
    written, steps = draft(chance), making.some(chance, step, most=12)
    for language in ("en", "de"):
        with translation.override(language):
            told = sentence(written, steps)
        assert len(str(told)) < LONGEST
        assert "<script" not in told.html
        assert str(told).isprintable()


def test_any_rule_is_told() -> None:
    assert registry.kinds()
    fuzz(surface, COUNT)
