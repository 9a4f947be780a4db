"""What a bulk write costs that rules are told of: 10,000 rows by one statement, of which one in a hundred matches.

``DATABASE_URL=… python -m tests.benchmarks.one_database --only P13`` measures it alone on that database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.db.models import F

from rules_engine import watching_bulk
from rules_engine.testing import create_rule
from tests.benchmarks import models
from tests.benchmarks.rounds import Variant, interleave
from tests.benchmarks.site import BECOMES_PAID, LOG, Scale, fill, without_rules
from tests.benchmarks.tables import Found, of_rounds

ROWS = 10_000
#: What is written, by the names of limits: a constant, and what only the database knows.
WRITTEN: dict[str, dict[str, Any]] = {"a constant": {"status": "paid"}, "an expression": {"total": F("total") + 1}}
AGAIN = "again (A/A)"


def updated(model: Any, values: dict[str, Any]) -> Callable[[], None]:
    """Return a block that updates all orders by one statement, and takes that back."""

    def act() -> None:
        with transaction.atomic():
            model._default_manager.update(**values)
            transaction.set_rollback(True)

    return act


def told(values: dict[str, Any]) -> Callable[[], None]:
    """Return such a block that rules are told of."""
    return watching_bulk()(updated(models.OneRuleOrder, values))


def measure(scale: Scale) -> Found:
    """P13: a rule that one row of a hundred matches is told of a bulk write."""
    without_rules()
    rows = scale.of(ROWS, 2_000)
    fill(rows)
    bound = {"<": [{"var": "instance.total"}, 120 + rows // 100]}
    create_rule(models.OneRuleOrder, changes=BECOMES_PAID, condition=bound, actions=[LOG])
    create_rule(models.OneRuleOrder, changes=[{"field": "total"}], condition=bound, actions=[LOG])
    variants = {}
    for name, values in WRITTEN.items():
        variants[name] = Variant(updated(models.Order, values), rows)
        variants[f"{name}, {AGAIN}"] = Variant(updated(models.Order, values), rows)
        variants[f"{name}, told"] = Variant(told(values), rows)
    rounds = interleave(variants, scale.rounds(10))
    # The quickest of each, as in P14.
    quickest = {name: min(times.wall) for name, times in rounds.times.items()}
    figures = {name: (quickest[f"{name}, told"] - quickest[name]) * 1e6 for name in WRITTEN}
    without_rules()
    return Found(*of_rounds(rounds, list(variants), "a constant"), figures)
