"""As much of PromQL as our alerts are written in, over two scrapes that lie a minute apart.

Prometheus itself, and ``promtool test rules``, are for runs by hand: they are no package of Python's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import promql_parser as parser

Labels = tuple[tuple[str, str], ...]
#: Each series of a metric with its value.
Vector = dict[Labels, float]
Scrape = dict[str, Vector]

OPERATORS = {">": lambda left, right: left > right, "==": lambda left, right: left == right}
AGGREGATES = {"max": max, "sum": sum}


def names(expression: Any) -> Iterator[str]:
    """Yield the names of all metrics in an expression."""
    if isinstance(expression, parser.VectorSelector):
        yield expression.name
    elif isinstance(expression, parser.MatrixSelector):
        yield expression.vector_selector.name
    elif isinstance(expression, parser.Call):
        for argument in expression.args:
            yield from names(argument)
    elif isinstance(expression, parser.BinaryExpr):
        yield from names(expression.lhs)
        yield from names(expression.rhs)
    elif hasattr(expression, "expr"):
        yield from names(expression.expr)


def evaluate(expression: Any, earlier: Scrape, now: Scrape) -> Vector:
    """Return what an expression says of the second scrape, a minute after the first."""
    match expression:
        case parser.NumberLiteral():
            return {(): expression.val}
        case parser.VectorSelector():
            return _selected(expression, now)
        case parser.AggregateExpr():
            return _aggregated(expression, evaluate(expression.expr, earlier, now))
        case parser.Call():
            return _called(expression, earlier, now)
        case parser.BinaryExpr():
            return _binary(expression, evaluate(expression.lhs, earlier, now), evaluate(expression.rhs, earlier, now))
    raise NotImplementedError(f"{expression} is PromQL that these tests cannot evaluate.")


def _selected(selector: Any, scrape: Scrape) -> Vector:
    return {
        labels: value
        for labels, value in scrape.get(selector.name, {}).items()
        if all(_matches(matcher, dict(labels)) for matcher in selector.matchers.matchers)
    }


def _matches(matcher: Any, labels: dict[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    found = {
        "MatchOp.Equal": value == matcher.value,
        "MatchOp.NotEqual": value != matcher.value,
        "MatchOp.Re": re.fullmatch(matcher.value, value) is not None,
    }
    return found[str(matcher.op)]


def _aggregated(aggregate: Any, vector: Vector) -> Vector:
    by = aggregate.modifier.labels if aggregate.modifier else ()
    groups: dict[Labels, list[float]] = {}
    for labels, value in vector.items():
        groups.setdefault(tuple(pair for pair in labels if pair[0] in by), []).append(value)
    return {labels: AGGREGATES[str(aggregate.op)](values) for labels, values in groups.items()}


def _called(call: Any, earlier: Scrape, now: Scrape) -> Vector:
    if call.func.name == "absent":
        return {} if evaluate(call.args[0], earlier, now) else {(): 1.0}
    assert call.func.name in ("increase", "delta"), call.func.name
    selector = call.args[0].vector_selector
    before = _selected(selector, earlier)
    # What was not there before has not risen.
    return {labels: value - before[labels] for labels, value in _selected(selector, now).items() if labels in before}


def _binary(expression: Any, left: Vector, right: Vector) -> Vector:
    if str(expression.op) == "and":
        return {labels: value for labels, value in left.items() if labels in right}
    if str(expression.op) == "or":
        return {**right, **left}
    compare = OPERATORS[str(expression.op)]
    return {labels: value for labels, value in left.items() if compare(value, right[()])}
