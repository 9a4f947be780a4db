"""Compiled texts and their rendering: the engine, its parser, what stands in ``{{ }}``, and what is spent on it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, NoReturn

from django.core.exceptions import SuspiciousOperation
from django.template import Template, TemplateSyntaxError
from django.template.base import (
    FilterExpression,
    Lexer,
    Node,
    NodeList,
    Parser,
    TextNode,
    Token,
    Variable,
    VariableNode,
)
from django.template.context import Context
from django.template.engine import Engine
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import conditional_escape
from django.utils.translation import gettext

from rules_engine.errors import TemplateError, did_you_mean
from rules_engine.texts.allowance import of_save
from rules_engine.texts.filters import FALLBACKS, FILTERS
from rules_engine.texts.limits import NESTING, OUTPUT, SAVE_SECONDS, SAVE_STEPS, SECONDS, STEPS
from rules_engine.texts.plain import MISSING, Record, child, kind, may_lack, plain, printed
from rules_engine.types import Path

#: What filters raise at values they were not made for.
UNSUITABLE = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, SuspiciousOperation)


class Budget:
    """The steps, seconds and characters that one rendering has left; each call raises ``TemplateError`` at the end."""

    __slots__ = ("_characters", "_deadline", "_is_in_save", "_now", "_steps")

    def __init__(self) -> None:
        self._steps = STEPS
        self._characters = OUTPUT
        allowance = of_save()
        self._is_in_save = allowance is not None
        self._now = time.monotonic if allowance is None else time.thread_time
        self._deadline = self._now() + (SECONDS if allowance is None else allowance.left / 2)

    def spend(self) -> None:
        """Take one step."""
        self._steps -= 1
        if self._steps < 0:
            message = gettext("the text takes more than %(most)s steps; loop over fewer rows or nest fewer loops.")
            raise TemplateError(message % {"most": number_format(STEPS, force_grouping=True)})
        if self._now() > self._deadline and not (self._is_in_save and STEPS - self._steps <= SAVE_STEPS):
            raise TemplateError(self._too_long())

    def _too_long(self) -> str:
        if not self._is_in_save:
            message = gettext("the text takes longer than %(seconds)s s; loop over fewer rows or nest fewer loops.")
            return message % {"seconds": f"{SECONDS:g}"}
        message = gettext(
            "the text takes too long while somebody waits for the save, whose texts have %(milliseconds)s ms together; "
            "loop over fewer rows, print fewer values, or have the action act after the commit."
        )
        return message % {"milliseconds": f"{SAVE_SECONDS * 1000:g}"}

    def write(self, text: str) -> str:
        """Count ``text`` as output and give it back."""
        self._characters -= len(text)
        if self._characters < 0:
            message = gettext("the text comes to more than %(most)s characters; print fewer values or rows.")
            raise TemplateError(message % {"most": number_format(OUTPUT, force_grouping=True)})
        return text


class TextContext(Context):
    """Django's stack of names, with the budget of this rendering and the line it has come to."""

    def __init__(self, names: dict[str, Any], *, autoescape: bool, escape: Callable[[str], str] | None = None) -> None:
        super().__init__(names, autoescape=autoescape, use_l10n=False, use_tz=False)
        #: How values are made safe for where the text goes, where that is no HTML.
        self.escape = escape
        self.budget = Budget()
        self.line = 1


class Expression(FilterExpression):
    """Django's parsing of ``path|filter:argument``, with a look-up of our own that only ever reaches plain data.

    Django's would try attributes and call what it finds; ours follows items of records and numbers in lists.
    """

    def __init__(self, token: str, parser: Any) -> None:
        super().__init__(token, parser)
        self.line: int = parser.line
        for term in self.terms():
            if isinstance(term, Promise) or (isinstance(term, Variable) and term.translate):
                raise TemplateSyntaxError(gettext("a text has no translations, so write the words without _( )"))
            if isinstance(term, Variable) and term.lookups is not None and "" in term.lookups:
                message = gettext('a name is missing beside a dot in "%(path)s"')
                raise TemplateSyntaxError(message % {"path": term.var})

    def terms(self) -> list[Any]:
        """Return the value and every filter's argument: each a Django ``Variable``, or a literal text."""
        return [self.var, *(argument for _, arguments in self.filters for _, argument in arguments)]

    @property
    def path(self) -> Path | None:
        """Return the steps to the value, where that is all that stands there; None beside a filter or of a literal."""
        return self.var.lookups if not self.filters and isinstance(self.var, Variable) else None

    @property
    def has_fallback(self) -> bool:
        return bool(self.filters) and self.filters[0][0] in FALLBACKS

    def resolve(self, context: Any, ignore_failures: bool = False) -> Any:
        """Look the value up. Never fails silently, whatever ``ignore_failures`` says: only ``default`` forgives."""
        context.line = self.line
        value = self._value(self.var, context, forgive=self.has_fallback)
        for function, arguments in self.filters:
            context.budget.spend()
            values = [self._argument(argument, context) for _, argument in arguments]
            value = self._filtered(function, value, values, context)
        return value

    def _argument(self, term: Any, context: Any) -> Any:
        value = self._value(term, context, forgive=False)
        # A literal stays whole and safe, as its author wrote it; a value of the event is cut like any other.
        return printed(value) if isinstance(value, str) else value

    def _value(self, term: Any, context: Any, *, forgive: bool) -> Any:
        if not isinstance(term, Variable):
            return term
        if term.lookups is None:
            return term.literal
        context.budget.spend()
        value = self._looked_up(term.lookups, context)
        if value is MISSING and not forgive:
            message = gettext(
                'this event has no "%(path)s". Correct the path, or say what stands for it: %(path)s|default:"…".'
            )
            raise TemplateError(message % {"path": term.var})
        return None if value is MISSING else value

    def _looked_up(self, steps: tuple[str, ...], context: Any) -> Any:
        if steps[0] not in context:
            return MISSING
        value = plain(context[steps[0]])
        is_inside = False
        for step in steps[1:]:
            is_inside = is_inside or may_lack(value, step)
            value = child(value, step)
            if value is MISSING and is_inside:
                return None  # as conditions have it
        return value

    def _filtered(self, function: Any, value: Any, arguments: list[Any], context: Any) -> Any:
        flags = {"autoescape": context.autoescape} if getattr(function, "needs_autoescape", False) else {}
        try:
            return function(value, *arguments, **flags)
        except UNSUITABLE:
            # Raised below, outside of this block: these errors quote values, and an error's context is logged with it.
            pass
        message = gettext('a filter in "%(token)s" cannot work on %(kind)s.')
        raise TemplateError(message % {"token": self.token, "kind": kind(value)})


class Words(TextNode):
    """Text between tags, counted as output."""

    def render(self, context: Any) -> str:
        return str(context.budget.write(self.s))

    # Django's skips render() here, and would leave a loop's text uncounted.
    render_annotated = render


class Value(VariableNode):
    """``{{ … }}``"""

    def render(self, context: Any) -> str:
        return print_value(self.filter_expression.resolve(context), context)


def print_value(value: Any, context: Any) -> str:
    """Write a value, escaped for where the text goes, as far as the budget of the rendering goes."""
    text = printed(value)
    if context.escape is not None:
        return str(context.budget.write(context.escape(str(text))))
    return str(context.budget.write(conditional_escape(text) if context.autoescape else text))


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
        raise self.error(token, TemplateSyntaxError(_unknown(message, command, sorted(self.tags))))


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

    @property
    def only_place(self) -> Expression | None:
        """Return what stands in the ``{{ }}`` that is the whole text, blanks around it aside; None where it is not."""
        nodes = [node for node in self.nodelist if not (isinstance(node, TextNode) and not node.s.strip())]
        expression = nodes[0].filter_expression if len(nodes) == 1 and isinstance(nodes[0], Value) else None
        return expression if isinstance(expression, Expression) else None

    @property
    def pieces(self) -> tuple[str | Path, ...] | None:
        """Return its words, and the paths of the few values between them; None where there is more to it than that."""
        # So few that neither steps nor characters nor time can run out.
        if sum(isinstance(node, Value) for node in self.nodelist) > SAVE_STEPS:
            return None
        pieces = [piece for node in self.nodelist if (piece := _piece(node)) is not None]
        return tuple(pieces) if len(pieces) == len(self.nodelist) else None

    def _render(self, context: Any) -> str:
        # Under test runners Django's sends ``template_rendered`` with the whole context, which rules may listen to.
        return str(self.nodelist.render(context))


def _piece(node: Node) -> str | Path | None:
    if isinstance(node, Words):
        return node.s
    expression = node.filter_expression if isinstance(node, Value) else None
    return expression.path if isinstance(expression, Expression) else None


class TextEngine(Engine):
    """No directories, no loaders, no libraries, and only the tags and filters of ``tags``."""

    default_builtins = ["rules_engine.texts.tags"]

    def __init__(self) -> None:
        super().__init__(loaders=[])


def named(names: dict[str, Any]) -> dict[str, Any]:
    """Return the context as a template sees it: its parts are known by name, but what lies below need not be.

    ``changes`` holds changed fields only, so others are null in it.
    """
    records = {
        name: Record(value, lenient=name == "changes")
        for name, value in names.items()
        if isinstance(value, dict | MappingProxyType)
    }
    return {str(name): value for name, value in {**names, **records}.items()}
