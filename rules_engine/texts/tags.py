"""The language: its tags, its parser and its engine.

Absent on purpose: ``load include extends ssi debug url csrf_token`` (code and files), ``autoescape`` and ``filter``
(they lift the escaping), ``now`` (a retried action would say something else), ``cycle``, ``lorem``, ``regroup``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NoReturn

from django.template import Library, Template, TemplateSyntaxError
from django.template.base import Lexer, Node, NodeList, Parser, TextNode, Token, VariableNode
from django.template.defaulttags import IfNode, WithNode, comment, do_for, do_with, firstof
from django.template.engine import Engine
from django.utils.html import conditional_escape
from django.utils.translation import gettext

from rules_engine.errors import TemplateError, did_you_mean
from rules_engine.texts.comparisons import Condition
from rules_engine.texts.expressions import Expression
from rules_engine.texts.filters import FILTERS
from rules_engine.texts.limits import NESTING, STEPS
from rules_engine.texts.plain import Record, Rows, kind, plain, printed

#: Names that a tag may not give to a value, since a text could not read them or a loop needs them.
RESERVED = frozenset({"forloop", "True", "False", "None"})

register = Library()
register.filters.update(FILTERS)
register.tag("comment", comment)


class Words(TextNode):
    """Text between tags, counted as output."""

    def render(self, context: Any) -> str:
        return str(context.budget.write(self.s))

    # Django's skips render() here, and would leave a loop's text uncounted.
    render_annotated = render


class Value(VariableNode):
    """``{{ … }}``"""

    def render(self, context: Any) -> str:
        return _print(self.filter_expression.resolve(context), context)


def _print(value: Any, context: Any) -> str:
    text = printed(value)
    return str(context.budget.write(conditional_escape(text) if context.autoescape else text))


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
            return _print(value, context)
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


class TextParser(Parser):
    """Django's parser, making our nodes, and naming what a text may use where it meets something else."""

    line = 1
    _nesting = 0

    def next_token(self) -> Token:
        token = super().next_token()
        self.line = token.lineno or self.line
        return token

    def parse(self, parse_until: Any = None) -> NodeList:
        self._nesting += 1
        if self._nesting > NESTING:
            message = gettext("tags may stand in each other %(most)s deep, and these go deeper")
            raise TemplateSyntaxError(message % {"most": NESTING})
        nodes = super().parse(parse_until)
        self._nesting -= 1
        return nodes

    def extend_nodelist(self, nodelist: NodeList, node: Node, token: Token) -> None:
        if type(node) is TextNode:
            node = Words(node.s)
        elif type(node) is VariableNode:
            node = Value(node.filter_expression)
        super().extend_nodelist(nodelist, node, token)

    def compile_filter(self, token: str) -> Expression:
        return Expression(token, self)

    def find_filter(self, filter_name: str) -> Any:
        if filter_name in FILTERS:
            return FILTERS[filter_name]
        message = gettext('there is no filter "%(name)s".%(hint)s A text may use: %(known)s')
        raise TemplateSyntaxError(_unknown(message, filter_name, sorted(FILTERS)))

    def invalid_block_tag(self, token: Token, command: str, parse_until: Any = None) -> NoReturn:
        if re.fullmatch("end.*|el.*|empty", command):
            raise self.error(token, TemplateSyntaxError(_closes_nothing(command, parse_until)))
        message = gettext('there is no tag "%(name)s".%(hint)s A text may use: %(known)s')
        raise self.error(token, TemplateSyntaxError(_unknown(message, command, sorted(register.tags))))


def _closes_nothing(command: str, awaited: Sequence[str] | None) -> str:
    message = gettext('"%(name)s" closes nothing here') % {"name": command}
    if not awaited:
        return message
    return message + gettext("; %(awaited)s is awaited") % {"awaited": gettext(" or ").join(awaited)}


def _unknown(message: str, name: str, known: list[str]) -> str:
    return message % {"name": name, "hint": did_you_mean(name, known), "known": ", ".join(known)}


class TextTemplate(Template):
    """Compiled by our parser."""

    def compile_nodelist(self) -> NodeList:
        parser = TextParser(Lexer(self.source).tokenize(), {}, self.engine.template_builtins, self.origin)
        self.extra_data: dict[str, Any] = {}
        return parser.parse()

    def _render(self, context: Any) -> str:
        # Under test runners Django's sends ``template_rendered`` with the whole context, which rules may listen to.
        return str(self.nodelist.render(context))


class TextEngine(Engine):
    """No directories, no loaders, no libraries, and only the tags and filters of this module."""

    default_builtins = [__name__]

    def __init__(self) -> None:
        super().__init__(loaders=[])


def named(names: dict[str, Any]) -> dict[str, Any]:
    """Return the context as a template sees it; ``changes`` holds changed fields only, so others are null in it."""
    changes = plain(names.get("changes"))
    lenient = {"changes": Record(names["changes"], lenient=True)} if isinstance(changes, Record) else {}
    return {str(name): value for name, value in names.items()} | lenient
