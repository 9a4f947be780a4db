"""What stands in ``{{ }}`` and in tags: a path or a literal, through filters."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.template import TemplateSyntaxError
from django.template.base import FilterExpression, Variable
from django.template.context import Context
from django.utils.functional import Promise
from django.utils.translation import gettext

from rules_engine.errors import TemplateError
from rules_engine.texts.filters import FALLBACKS
from rules_engine.texts.limits import Budget
from rules_engine.texts.plain import MISSING, child, kind, plain, printed

#: What filters raise at values they were not made for.
UNSUITABLE = (TypeError, ValueError, LookupError, ArithmeticError, AttributeError, SuspiciousOperation)


class TextContext(Context):
    """Django's stack of names, with the budget of this rendering and the line it has come to."""

    def __init__(self, names: dict[str, Any], *, autoescape: bool) -> None:
        super().__init__(names, autoescape=autoescape, use_l10n=False, use_tz=False)
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
        for step in steps[1:]:
            value = child(value, step)
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
