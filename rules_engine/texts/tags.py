"""The tags of the language, and what each renders.

Absent on purpose: ``load include extends ssi debug url csrf_token`` (code and files), ``autoescape`` and ``filter``
(they lift the escaping), ``now`` (a retried action would say something else), ``cycle``, ``lorem``, ``regroup``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from django.template import Library, TemplateSyntaxError
from django.template.base import Node, NodeList, Token
from django.template.defaulttags import IfNode, WithNode, comment, do_for, do_with, firstof
from django.utils.translation import gettext

from rules_engine.errors import TemplateError
from rules_engine.texts.comparisons import Condition
from rules_engine.texts.filters import FILTERS
from rules_engine.texts.limits import STEPS
from rules_engine.texts.plain import Record, Rows, kind
from rules_engine.texts.rendering import Expression, print_value

#: Names that a tag may not give to a value, since a text could not read them or a loop needs them.
RESERVED = frozenset({"forloop", "True", "False", "None"})

register = Library()
register.filters.update(FILTERS)
register.tag("comment", comment)


class Rounds:
    """What a loop goes over; every round is a step of the budget, and an item of several parts is taken apart."""

    def __init__(self, expression: Expression, names: int) -> None:
        self.expression = expression
        self._names = names

    def resolve(self, context: Any, ignore_failures: bool = False) -> Any:
        values = self.expression.resolve(context)
        if values is None:
            return []
        if not isinstance(values, Record | Rows):
            message = gettext('a loop goes over a list, and "%(token)s" is %(kind)s.')
            raise TemplateError(message % {"token": self.expression.token, "kind": kind(values)})
        return _Counted(self._pairs(values) if isinstance(values, Record) else values, self._item, context.budget)

    def _pairs(self, record: Record) -> Rows:
        # More keys than steps cannot be gone through, so they are not copied either.
        keys = islice(record, STEPS + 1)
        return Rows([[key, record[key]] for key in keys] if self._names == 2 else list(keys))

    def _item(self, item: Any) -> Any:
        if self._names == 1:
            return item
        if not isinstance(item, Rows) or len(item) != self._names:
            message = gettext("the loop has %(count)s names, and an item does not have that many parts.")
            raise TemplateError(message % {"count": self._names})
        return tuple(item)


class _Counted:
    def __init__(self, rows: Rows, item: Any, budget: Any) -> None:
        self._rows, self._item, self._budget = rows, item, budget

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Any]:
        return self._through(iter(self._rows))

    def __reversed__(self) -> Iterator[Any]:
        return self._through(reversed(self._rows))

    def _through(self, rows: Iterator[Any]) -> Iterator[Any]:
        for row in rows:
            self._budget.spend()
            yield self._item(row)


class With(WithNode):
    """``{% with %}``, which in Django's form fails for names such as ``self``."""

    def render(self, context: Any) -> str:
        values = {name: expression.resolve(context) for name, expression in self.extra_context.items()}
        with context.push(values):
            return str(self.nodelist.render(context))


class Verbatim(Node):
    """``{% verbatim %}``, which in Django's form renders while it compiles."""

    def __init__(self, nodelist: NodeList) -> None:
        self.nodelist = nodelist

    def render(self, context: Any) -> str:
        return str(self.nodelist.render(context))


class FirstOf(Node):
    """``{% firstof %}``: prints the first value that is not empty, bounded like any other."""

    child_nodelists = ()

    def __init__(self, expressions: Sequence[Expression], name: str | None) -> None:
        self.expressions = expressions
        self.name = name

    def render(self, context: Any) -> str:
        value = next((value for term in self.expressions if (value := term.resolve(context))), None)
        if self.name is None:
            return print_value(value, context)
        context[self.name] = value
        return ""


def _nameable(names: Sequence[str]) -> None:
    for name in names:
        if not name.isidentifier() or name.startswith("_") or name in RESERVED:
            message = gettext('"%(name)s" cannot be a name; use letters and digits, starting with a letter')
            raise TemplateSyntaxError(message % {"name": name})


@register.tag("for")
def _for(parser: Any, token: Token) -> Any:
    node: Any = do_for(parser, token)
    _nameable(node.loopvars)
    node.sequence = Rounds(node.sequence, len(node.loopvars))
    return node


@register.tag("with")
def _with(parser: Any, token: Token) -> With:
    node = do_with(parser, token)
    _nameable(list(node.extra_context))
    return With(None, None, node.nodelist, extra_context=node.extra_context)


@register.tag("firstof")
def _firstof(parser: Any, token: Token) -> FirstOf:
    node: Any = firstof(parser, token)
    _nameable([] if node.asvar is None else [node.asvar])
    return FirstOf(node.vars, node.asvar)


@register.tag("verbatim")
def _verbatim(parser: Any, token: Token) -> Verbatim:
    nodes = parser.parse(("endverbatim",))
    parser.delete_first_token()
    return Verbatim(nodes)


@register.tag("if")
def _if(parser: Any, token: Token) -> IfNode:
    branches: list[tuple[Any, NodeList]] = []
    while token.contents != "endif":
        word, *words = token.split_contents()
        if word == "else" and words:
            raise TemplateSyntaxError(gettext('"else" stands alone; for another condition write "elif"'))
        condition = None if word == "else" else Condition(parser, words).parse()
        branches.append((condition, parser.parse(("endif",) if word == "else" else ("elif", "else", "endif"))))
        token = parser.next_token()
        if token.contents.startswith("endif") and token.contents != "endif":
            raise TemplateSyntaxError(gettext('"endif" stands alone'))
    return IfNode(branches)
