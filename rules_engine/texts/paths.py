"""Which paths of the context a compiled template reads, without rendering it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.template.base import Variable
from django.template.defaulttags import ForNode, IfNode

from rules_engine.texts.filters import FALLBACKS, first, last
from rules_engine.texts.rendering import Expression, Value
from rules_engine.texts.tags import FirstOf, With
from rules_engine.types import Path

CONSTANTS = frozenset({"True", "False", "None", "forloop"})


@dataclass(frozen=True, slots=True)
class VariableUse:
    """One place where a template reads a value.

    ``path`` starts at the context, or, where ``rows`` is set, at one row of the list ``rows``. ``text`` is the name
    as it is written, ``item.name`` say, and ``line`` counts from 1. ``optional``: ``default`` forgives its absence.
    """

    path: Path
    line: int
    text: str
    rows: Path | None = None
    optional: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a name points: at ``path``, or at ``path`` of a row of ``rows``; an empty path there is the row itself."""

    path: Path
    rows: Path | None = None

    def down(self, steps: Path) -> _Place:
        place = self
        for step in steps:
            place = place.row() if step.isdecimal() else _Place((*place.path, step), place.rows)
        return place

    def row(self) -> _Place:
        # A list in a row is not told apart: its rows' fields continue the path of the outer row.
        return _Place((), self.path) if self.rows is None else self


Scope = Mapping[str, tuple[_Place, ...]]


def uses(nodes: Any) -> tuple[VariableUse, ...]:
    """Return every variable that these nodes read, in the order of the text."""
    return tuple(_in_nodes(nodes, {}))


def _in_nodes(nodes: Any, scope: Scope) -> Iterator[VariableUse]:
    for node in nodes:
        if isinstance(node, FirstOf) and node.name:
            yield from _in_node(node, scope)
            places = [place for expression in node.expressions for place in _places(expression, scope)]
            scope = {**scope, node.name: tuple(places)}
        else:
            yield from _in_node(node, scope)


def _in_node(node: Any, scope: Scope) -> Iterator[VariableUse]:
    if isinstance(node, Value):
        yield from _in_expression(node.filter_expression, scope)
    elif isinstance(node, FirstOf):
        for expression in node.expressions:
            yield from _in_expression(expression, scope)
    elif isinstance(node, IfNode):
        for condition, nodes in node.conditions_nodelists:
            yield from _in_condition(condition, scope)
            yield from _in_nodes(nodes, scope)
    elif isinstance(node, With):
        values: dict[str, Any] = node.extra_context
        for expression in values.values():
            yield from _in_expression(expression, scope)
        aliases = {name: tuple(_places(expression, scope)) for name, expression in values.items()}
        yield from _in_nodes(node.nodelist, {**scope, **aliases})
    elif isinstance(node, ForNode):
        yield from _in_loop(node, scope)
    else:
        yield from _in_nodes(getattr(node, "nodelist", ()), scope)


def _in_loop(node: Any, scope: Scope) -> Iterator[VariableUse]:
    sequence = node.sequence.expression
    yield from _in_expression(sequence, scope)
    rows = tuple(place.row() for place in _places(sequence, scope))
    # The parts of an item that is taken apart have no names of their own in the context.
    names = {name: rows if len(node.loopvars) == 1 else () for name in node.loopvars}
    yield from _in_nodes(node.nodelist_loop, {**scope, **names})
    yield from _in_nodes(node.nodelist_empty, scope)


def _in_condition(term: Any, scope: Scope) -> Iterator[VariableUse]:
    if isinstance(getattr(term, "value", None), Expression):
        yield from _in_expression(term.value, scope)
    for side in ("first", "second"):
        if getattr(term, side, None) is not None:
            yield from _in_condition(getattr(term, side), scope)


def _in_expression(expression: Any, scope: Scope) -> Iterator[VariableUse]:
    for position, term in enumerate(expression.terms()):
        optional = position == 0 and expression.has_fallback
        for place in _of_term(term, scope):
            if place.path:
                yield VariableUse(place.path, expression.line, term.var, place.rows, optional)


def _of_term(term: Any, scope: Scope) -> tuple[_Place, ...]:
    if not isinstance(term, Variable) or term.lookups is None or term.lookups[0] in CONSTANTS:
        return ()
    name, *steps = term.lookups
    starts = scope[name] if name in scope else (_Place((name,)),)
    return tuple(start.down(tuple(steps)) for start in starts)


def _places(expression: Expression, scope: Scope) -> Iterator[_Place]:
    """Return where the value of an expression may stand in the context; nowhere, once a filter has made a new value."""
    places = list(_of_term(expression.var, scope))
    for function, arguments in expression.filters:
        if function in FALLBACKS:
            places += [place for _, argument in arguments for place in _of_term(argument, scope)]
        else:
            places = [place.row() for place in places] if function in (first, last) else []
    yield from places
