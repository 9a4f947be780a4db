"""A text of words and plain values is put together without rendering, and comes out as rendering has it."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import pytest

from rules_engine.errors import TemplateError
from rules_engine.texts import compile_text, render
from rules_engine.texts.limits import SAVE_STEPS, VALUE


class Colour(StrEnum):
    RED = "red"


VALUES = (
    *("paid", "", "<b>&", "ß…", "x" * VALUE, "x" * (VALUE + 1), Colour.RED),
    *(0, 7, -7, 2**63 - 1, -(2**63), 2**64, 2**4001, True, False, 1.5, None, Decimal("1.50")),
    *([1, "two"], {"pk": 1, "name": "Ada"}, {"a": {"b": "c"}}, MappingProxyType({"a": 1}), object()),
)
SOURCES = (
    "{{ instance.value }}",
    "Order {{ instance.value }}, {{ instance.pk }}: { {{instance.value}} }",
    "{{ instance.value.a }} {{ instance.value.name }}",
    "{{ instance.value.a.b }}",
    "{{ instance.value.1 }}",
    "{{ instance.missing }}",
    "{{ missing }}",
    "{{ changes.status.new }}",
    "{{ True }} {{ None }} {{ 1 }} {{ 'text' }}",
    "{{ instance }}",
    "{# nothing #}{{ instance.value }}{% comment %}{% endcomment %}",
    "{{ instance.value }}" * (SAVE_STEPS + 1),
)


def outcome(source: str, context: Any, *, autoescape: bool = False) -> str:
    try:
        return str(render(source, context, autoescape))
    except TemplateError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("autoescape", [True, False])
def test_a_text_of_words_and_values_comes_out_as_rendered(
    value: Any, autoescape: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A busy machine may take longer over one than a text has.
    monkeypatch.setattr("rules_engine.texts.rendering.SECONDS", 60.0)
    context = {"instance": {"pk": 1, "value": value}, "changes": {}}
    for source in SOURCES:
        # What has a tag is always rendered.
        rendered = outcome(f"{{% if 1 %}}{source}{{% endif %}}", context, autoescape=autoescape)
        assert outcome(source, context, autoescape=autoescape) == rendered, source


def test_a_text_of_words_and_values_is_not_rendered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rules_engine.texts.TextContext", None)
    context = {"instance": {"pk": 7, "number": "A-1"}}
    assert compile_text("{{ instance.number }}: {{ instance.pk }}").render(context) == "A-1: 7"
