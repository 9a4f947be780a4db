"""Form fields for JSON columns. What nobody touched is given back as it was stored, to the byte."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from rules_engine.admin.parts.rendering import json_text
from rules_engine.errors import InvalidRule, Problem
from rules_engine.logic.jsontext import parse
from rules_engine.logic.shape import shape_problems


class _Typed(str):
    """Text as somebody typed it, not a JSON string that was stored."""


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def sentence(problem: Problem) -> str:
    """A problem as a line below its field: the place, then what is wrong there."""
    return f"{problem.pointer}: {problem.message}" if problem.pointer else problem.message


class JSONTextField(forms.Field):
    """Strict JSON in a textarea. ``empty`` is the value that an empty textarea stands for."""

    widget = forms.Textarea
    #: The stored value; set by the form, once it has an instance.
    stored: Any = None

    def __init__(self, *, empty: Any, **options: Any) -> None:
        self.empty = empty
        super().__init__(required=False, **options)

    def text_of(self, value: Any) -> str:
        """What the textarea shows for a value."""
        return "" if self._is_empty(value) else json_text(value)

    def _is_empty(self, value: Any) -> bool:
        return value is None or (type(value) is type(self.empty) and value == self.empty)

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial if self.disabled else _Typed(data or "")

    def prepare_value(self, value: Any) -> Any:
        return value if isinstance(value, _Typed) else self.text_of(value)

    def to_python(self, value: Any) -> Any:
        """The value of the text; raises ``ValidationError`` with line and column."""
        if self.disabled:
            return value
        text = (value or "").replace("\r\n", "\n")
        if text == self.text_of(self.stored):
            return self.empty_copy() if self.stored is None else self.stored
        if not text.strip():
            return self.empty_copy()
        try:
            parsed = parse(text)
        except InvalidRule as error:
            raise ValidationError([sentence(problem) for problem in error.problems]) from None
        if problems := shape_problems(parsed):
            raise ValidationError([sentence(problem) for problem in problems])
        return self.empty_copy() if parsed is None else parsed

    def empty_copy(self) -> Any:
        """A value for an empty textarea that nobody else holds."""
        return copy.copy(self.empty)

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        try:
            value = self.to_python(data)
        except ValidationError:
            return True
        before = self.empty if initial is None else initial
        return _canonical(value) != _canonical(before)


class RowsField(forms.CharField):
    """A path as plain text, or an expression as JSON; None where it is empty."""

    def prepare_value(self, value: Any) -> Any:
        return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value

    def to_python(self, value: Any) -> Any:
        """The path, the expression or None; raises ``ValidationError`` with line and column."""
        if self.disabled:
            return value
        text = super().to_python(value)
        if not text or not text.startswith(("{", "[")):
            return text or None
        try:
            return parse(text)
        except InvalidRule as error:
            raise ValidationError([sentence(problem) for problem in error.problems]) from None

    # The rule's own validation knows what may stand here.
    def validate(self, value: Any) -> None: ...

    def run_validators(self, value: Any) -> None: ...

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        try:
            return _canonical(self.to_python(data)) != _canonical(initial)
        except ValidationError:
            return True


class PlainTextField(forms.CharField):
    """A text, kept as it is: browsers write line breaks in two characters, and what was stored may end in a space."""

    #: As on ``JSONTextField``.
    stored: str | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, strip=False, **options)

    def to_python(self, value: Any) -> str:
        """What was stored, where that is what came back."""
        text = str(super().to_python(value) or "").replace("\r\n", "\n")
        stored = self.stored or ""
        return stored if text == stored.replace("\r\n", "\n") else text.strip()

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not self.disabled and self.to_python(data) != (initial or "")


class FoldingBoxes(forms.CheckboxSelectMultiple):
    """Checkboxes in groups; those of the groups ``folded`` are folded away while none of them is ticked."""

    template_name = "rules_engine/names.html"
    folded: Sequence[str] = ()

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"]["folded"] = self.folded
        return context


class NamesField(forms.MultipleChoiceField):
    """A JSON list of names as checkboxes. The stored order stays while the same boxes are ticked."""

    widget = FoldingBoxes
    stored: Sequence[Any] = ()

    def to_python(self, value: Any) -> list[str]:
        names: list[str] = super().to_python(value)
        return list(self.stored) if sorted(names) == sorted(map(str, self.stored)) else names

    def validate(self, value: Iterable[Any]) -> None:
        super().validate([str(name) for name in value])


def name_halves(field: Any) -> None:
    """The label of a date and a time names neither of the two to a screen reader; this does."""
    for half, words in zip(field.widget.widgets, (gettext("date"), gettext("time")), strict=True):
        half.attrs["aria-label"] = f"{field.label}: {words}"
