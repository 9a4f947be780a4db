"""The operators of ``{% if %}``. Django's own turn every error into false; here a comparison that fails says so.

Decimals reach a text as exact strings, so a string that is a number is compared as one where the other side is a
number, and in an ordering. Null satisfies no ordering.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.template import TemplateSyntaxError
from django.template.defaulttags import TemplateIfParser
from django.template.smartif import TokenBase
from django.utils.translation import gettext

from rules_engine.errors import TemplateError
from rules_engine.texts.limits import WORDS
from rules_engine.texts.plain import Record, Rows, kind, same

Term = Any
Operation = Callable[[Any, Term, Term], Any]
NUMBER = re.compile(r"-?\d{1,60}(\.\d{1,60})?", re.ASCII)


def _as_number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, int | float):
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return Decimal(value) if isinstance(value, str) and NUMBER.fullmatch(value) else None


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, Record | Rows) or isinstance(right, Record | Rows):
        message = gettext("a condition compares %(left)s with %(right)s; compare single fields.")
        raise TemplateError(message % {"left": kind(left), "right": kind(right)})
    if isinstance(left, str) is not isinstance(right, str):
        numbers = _as_number(left), _as_number(right)
        return None not in numbers and numbers[0] == numbers[1]
    return same(left, right)


def _ordered(test: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:
    if left is None or right is None:
        return False
    numbers = _as_number(left), _as_number(right)
    if None not in numbers:
        return test(*numbers)
    if isinstance(left, str) and isinstance(right, str):
        return test(left, right)
    message = gettext("a condition puts %(left)s and %(right)s in order; compare numbers, or texts.")
    raise TemplateError(message % {"left": kind(left), "right": kind(right)})


def _contains(value: Any, container: Any) -> bool:
    if container is None:
        return False
    in_text = isinstance(container, str) and isinstance(value, str)
    if not in_text and not isinstance(container, Record | Rows):
        message = gettext("a condition looks for %(value)s in %(container)s; look in a list or a text.")
        raise TemplateError(message % {"value": kind(value), "container": kind(container)})
    return value in container


def _both(test: Callable[[Any, Any], bool]) -> Operation:
    return lambda context, left, right: test(left.eval(context), right.eval(context))


def _ordering(test: Callable[[Any, Any], bool]) -> Operation:
    return _both(lambda left, right: _ordered(test, left, right))


def _operator(name: str, power: int, operation: Operation, *, prefix: bool = False) -> type[TokenBase]:
    class Operator(TokenBase):
        id = name
        lbp = 0 if prefix else power

        def nud(self, parser: Any) -> Any:
            if not prefix:
                super().nud(parser)  # raises: this operator stands where a value should
            self.first = parser.expression(power)
            return self

        def led(self, left: Any, parser: Any) -> Any:
            self.first, self.second = left, parser.expression(power)
            return self

        def eval(self, context: Any) -> Any:
            return operation(context, self.first, self.second)

    return Operator


OPERATORS = {
    "or": _operator("or", 6, lambda context, left, right: left.eval(context) or right.eval(context)),
    "and": _operator("and", 7, lambda context, left, right: left.eval(context) and right.eval(context)),
    "not": _operator("not", 8, lambda context, term, _: not term.eval(context), prefix=True),
    "in": _operator("in", 9, _both(_contains)),
    "not in": _operator("not in", 9, _both(lambda value, container: not _contains(value, container))),
    "is": _operator("is", 10, _both(operator.is_)),
    "is not": _operator("is not", 10, _both(operator.is_not)),
    "==": _operator("==", 10, _both(_equal)),
    "!=": _operator("!=", 10, _both(lambda left, right: not _equal(left, right))),
    ">": _operator(">", 10, _ordering(operator.gt)),
    ">=": _operator(">=", 10, _ordering(operator.ge)),
    "<": _operator("<", 10, _ordering(operator.lt)),
    "<=": _operator("<=", 10, _ordering(operator.le)),
}


class Condition(TemplateIfParser):
    """Parses the words of an ``if`` or ``elif`` with the operators above."""

    def __init__(self, parser: Any, words: list[str]) -> None:
        if len(words) > WORDS:
            message = gettext("a condition may have %(most)s words, and this has %(count)s")
            raise TemplateSyntaxError(message % {"most": WORDS, "count": len(words)})
        super().__init__(parser, words)

    def translate_token(self, token: Any) -> Any:
        return OPERATORS[token]() if token in OPERATORS else self.create_var(token)
