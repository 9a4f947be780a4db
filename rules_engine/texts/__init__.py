"""Texts in rules: Django's template syntax over plain data, and nothing that reaches code, files or other data.

``{{ instance.doctor.email }}``, ``{% if "status" in changed %}``, ``{% for item in instance.items %}``: a text reads
the context of its event through snapshots that know items, ``in`` and loops only, so a field may be called
``items`` or ``copy``. It cannot load, include, call or import, and its cost is bounded (``limits``, and while a save
waits ``allowance``). What it prints:

* null prints nothing, and everything reached through null is null (``instance.doctor.email`` without a doctor);
* a path that the event does not have raises ``TemplateError`` wherever it stands, ``{% if %}`` included: a mistyped
  name is never a silent blank. ``default`` and ``default_if_none`` directly after the path forgive it. What JSON does
  not have, a key or a place in a list, is null as it is to conditions, and in ``changes`` so is a field that did not
  change;
* ``what_happened`` and ``admin_url`` are made of the event where they are printed (``happened``);
* dates are ISO 8601 strings, which the filters ``date`` and ``time`` read; decimals are exact strings, which
  ``floatformat`` reads and comparisons with numbers understand (a "0.00" alone is not empty: compare it with 0);
* a loop over a record gives its keys, and with two names its keys and values: ``{% for field, change in changes %}``.

Error texts name the place and the path, and never a value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from django.template import TemplateSyntaxError
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.errors import TemplateError
from rules_engine.texts import happened
from rules_engine.texts.allowance import SAVE as SAVE
from rules_engine.texts.allowance import Allowance as Allowance
from rules_engine.texts.allowance import of_save
from rules_engine.texts.limits import MESSAGE, SOURCE, TAGS, VALUE
from rules_engine.texts.paths import VariableUse, uses
from rules_engine.texts.plain import cut, unwrapped
from rules_engine.texts.rendering import TextContext, TextEngine, TextTemplate, named
from rules_engine.types import EVERY_FIELD, Path

__all__ = ["SAVE", "Allowance", "Text", "VariableUse", "compile_text", "render", "single_line"]

#: What Django's parser raises, besides its own error, at tags that make no sense.
MALFORMED = (ValueError, TypeError, LookupError, StopIteration)
#: Bits of a whole number that databases and JSON agree on.
MACHINE_BITS = 64

_engine = TextEngine()


@dataclass(frozen=True, slots=True)
class Text:
    """A compiled template; safe to share between threads.

    ``variables`` are all the places where it reads a value, in the order of the text.
    """

    source: str
    variables: tuple[VariableUse, ...]
    _template: TextTemplate = field(repr=False, compare=False)
    _pieces: tuple[str | Path, ...] | None = field(repr=False, compare=False)
    #: What it prints that no context holds but is made of one: ``what_happened``, for one.
    derived: frozenset[str] = frozenset()

    @property
    def reads(self) -> frozenset[Path]:
        """Return the paths it reads from the top of the context: ``("instance", "doctor", "email")``.

        Of the rows of a list that is what they lead on to, ``("instance", "items", "product", "name")``, with the rows'
        own columns, which would else be left out.
        """
        beyond = [use for use in self.variables if use.rows is not None and len(use.path) > 1]
        of_rows = {path for use in beyond for path in ((*use.rows, EVERY_FIELD), (*use.rows, *use.path))}  # type: ignore[misc]
        named = {use.path for use in self.variables if use.rows is None and use.path[0] not in happened.READS}
        return frozenset(named | of_rows).union(*(happened.READS[name] for name in self.derived))

    def render(
        self, context: Mapping[str, Any], *, autoescape: bool = False, escape: Callable[[str], str] | None = None
    ) -> str:
        """Render the text for this context; with ``autoescape``, values are escaped for HTML, with ``escape`` by that.

        Raises ``TemplateError``, naming the line, for a path that is missing, a value that a filter or an operator
        cannot use, data that is not plain, and a text that costs too much.
        """
        if "{" not in self.source:  # most recipients, and many subjects: nothing is read, and nothing can fail
            return self.source
        if self.derived:
            context = happened.with_derived(context, self.derived)
        if self._pieces is not None and not autoescape and escape is None:
            joined = _joined(self._pieces, context)
            if joined is not None:
                return joined
        return str(self._worked_out(self._template.render, context, autoescape=autoescape, escape=escape))

    def value(self, context: Mapping[str, Any]) -> Any:
        """Return the value itself, a list or an object perhaps, where the whole text is one ``{{ … }}``; else the text.

        Raises what ``render`` does.
        """
        if self.derived:
            context = happened.with_derived(context, self.derived)
        place = self._template.only_place
        return self.render(context) if place is None else unwrapped(self._worked_out(place.resolve, context))

    def _worked_out(
        self,
        work: Callable[[Any], Any],
        context: Mapping[str, Any],
        *,
        autoescape: bool = False,
        escape: Callable[[str], str] | None = None,
    ) -> Any:
        names, allowance = TextContext(named(dict(context)), autoescape=autoescape, escape=escape), of_save()
        try:
            with nullcontext() if allowance is None else allowance.spent():
                return work(names)
        except TemplateError as error:
            problem = str(error)
        except RecursionError:
            problem = gettext("the text is nested too deeply to be rendered; use fewer tags within each other.")
        raise TemplateError(cut(_at(names.line) + problem, MESSAGE))


def _joined(pieces: Sequence[str | Path], context: Mapping[str, Any]) -> str | None:
    """Return the words with the values between them, where each is there and a short text or an ordinary number.

    Most subjects and many bodies are that, and this takes a twentieth of what rendering takes. None where it is not:
    what becomes of any other value, and what is said of one that is missing, is decided by rendering.
    """
    written: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            written.append(piece)
            continue
        value: Any = context
        for step in piece:
            if type(value) is not dict or step not in value:
                return None
            value = value[step]
        if type(value) is int and value.bit_length() <= MACHINE_BITS:
            value = str(value)
        if type(value) is not str or len(value) > VALUE:
            return None
        written.append(value)
    return "".join(written)


def compile_text(source: str) -> Text:
    """Compile the template, from a bounded cache.

    Raises ``TemplateError`` with the line, what is wrong there and what a text may use instead.
    """
    if not isinstance(source, str):
        raise TemplateError(gettext("A template should be text, and is %(type)s.") % {"type": type(source).__name__})
    if len(source) > SOURCE:
        message = gettext("A template may have %(most)s characters, and this has %(count)s; shorten it.")
        raise TemplateError(message % {"most": _grouped(SOURCE), "count": _grouped(len(source))})
    openings = len(re.findall(r"\{[{%#]", source))
    if openings > TAGS:
        message = gettext("A template may have %(most)s tags and variables, and this has %(count)s; use fewer.")
        raise TemplateError(message % {"most": _grouped(TAGS), "count": _grouped(openings)})
    return _compiled(str(source))


def _grouped(number: int) -> str:
    return number_format(number, force_grouping=True)


def render(
    source: str,
    context: Mapping[str, Any],
    autoescape: bool = False,
    *,
    escape: Callable[[str], str] | None = None,
) -> str:
    """Render a text for this context; with ``autoescape`` for HTML, with ``escape`` with each value as that gives it.

    Raises ``TemplateError``.
    """
    return compile_text(source).render(context, autoescape=autoescape, escape=escape)


def single_line(text: str) -> str:
    """``text`` fit for a header such as a subject: line breaks and control characters become single spaces."""
    parts = re.split(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", text)
    return " ".join(stripped for part in parts if (stripped := part.strip()))


@lru_cache(maxsize=512)
def _compiled(source: str) -> Text:
    try:
        template = TextTemplate(source, engine=_engine)
        found = uses(template.nodelist)
        derived = frozenset(use.path[0] for use in found if use.rows is None) & happened.READS.keys()
        return Text(source, found, template, template.pieces, derived)
    except TemplateSyntaxError as error:
        raise TemplateError(cut(_place(error) + _sentence(str(error)), MESSAGE)) from None
    except MALFORMED as error:
        message = gettext("this tag is malformed; check its quotes, words and brackets.")
        raise TemplateError(_place(error) + message) from None
    except RecursionError as error:
        message = gettext("the text is nested too deeply; use fewer tags in each other.")
        raise TemplateError(_place(error) + message) from None


def _place(error: BaseException) -> str:
    line = getattr(getattr(error, "token", None), "lineno", None)
    return _at(line) if line else gettext("The template cannot be used: ")


def _at(line: int) -> str:
    return gettext("Line %(line)s: ") % {"line": line}


def _sentence(message: str) -> str:
    # Django says the line at various places of its messages; ours stands first.
    return re.sub(r" (on|at) line \d+", "", message).rstrip(".") + "."
