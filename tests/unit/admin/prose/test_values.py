"""Values, texts and expressions of a rule in words: by titles and as the site writes them; else as they are written."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.prose import values
from rules_engine.admin.prose.marks import GAP, words_of
from rules_engine.admin.prose.names import Names

ORDERS = Names.of("shop.order")
TOTAL, NOW = {"var": "instance.total"}, {"now": []}


def told(name: str, given: Any, label: str = "shop.order") -> str:
    return str(words_of(values.value(Titles.of(label), f"instance.{name}", given, Names.of(label))))


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("status", "paid", "Paid"),
        ("status", ["paid", "draft"], "Paid, Draft"),
        ("status", None, "no value"),
        ("total", "12.50", "12.50"),
        ("total", "twelve", "“twelve”"),
        ("total", {"+": [TOTAL, 1]}, "total + 1"),
        ("order_number", "A-{{ instance.total }}", "“A-‹total›”"),
    ],
)
def test_a_value_is_told_as_people_write_it(name: str, given: Any, words: str) -> None:
    assert told(name, given).startswith(words)


@pytest.mark.parametrize(
    ("name", "given", "english", "german"),
    [
        ("fed_at", "2031-05-06T10:30:00+00:00", "May 6, 2031, ", "6. Mai 2031 "),
        ("fed_at", "2031-05-06", "May 6, 2031", "6. Mai 2031"),
        ("born", "2031-05-06", "May 6, 2031", "6. Mai 2031"),
        ("born", "2031-02-30", "“2031-02-30”", "„2031-02-30“"),
        ("born", "soon", "“soon”", "„soon“"),
    ],
)
def test_a_date_is_told_as_the_reader_s_language_writes_it(name: str, given: str, english: str, german: str) -> None:
    assert told(name, given, "zoo.animal").startswith(english)
    with translation.override("de"):
        assert told(name, given, "zoo.animal").startswith(german)


@pytest.mark.parametrize(
    ("logic", "words"),
    [
        (NOW, "now"),
        ({"-": [NOW, {"timestamp": "3d"}]}, "3 days ago"),
        ({"-": [NOW, {"timestamp": "1h"}]}, "1 hour ago"),
        ({"+": [NOW, {"timestamp": "5m"}]}, "5 minutes from now"),
        ({"+": [NOW, {"timestamp": "1s"}]}, "1 second from now"),
        ({"format_date": [{"-": [NOW, {"timestamp": "1d"}]}, "yyyy-MM-dd"]}, "1 day ago"),
    ],
)
def test_a_time_relative_to_now_has_words(logic: Any, words: str) -> None:
    assert values.relative(logic) == words


@pytest.mark.parametrize(
    "logic",
    [
        {"-": [NOW, {"timestamp": "3 weeks"}]},
        {"-": [{"var": "instance.created_at"}, {"timestamp": "3d"}]},
        {"+": [NOW, {"timestamp": "1d"}, {"timestamp": "1d"}]},
        {"*": [NOW, 2]},
        {"format_date": [{"format_date": [NOW, "yyyy"]}, "yyyy"]},
        "now",
    ],
)
def test_what_is_no_such_time_is_not_told_as_one(logic: Any) -> None:
    assert values.relative(logic) is None


@pytest.mark.parametrize(
    ("logic", "words"),
    [
        ({"*": [{"+": [TOTAL, 1]}, 2]}, "(total + 1) × 2"),
        ({"-": [TOTAL]}, "−total"),
        ({"/": [TOTAL, 2]}, "total ÷ 2"),
        ({"cat": ["a", TOTAL]}, '{"cat": ["a", {"var": "instance.total"}]}'),
    ],
)
def test_a_short_sum_is_written_as_people_do(logic: Any, words: str) -> None:
    assert str(words_of(values.expression(logic, ORDERS))) == words


def test_a_sum_of_very_many_parts_is_shown_as_it_is_written() -> None:
    assert str(words_of(values.expression({"+": [TOTAL] * 7}, ORDERS))).startswith('{"+": [')


@pytest.mark.parametrize("written", ["", None, [], ()])
def test_what_is_not_filled_in_yet_is_a_gap(written: Any) -> None:
    assert values.text(written, ORDERS) == GAP
    assert values.quoted(written, ORDERS) == GAP


def test_a_text_is_told_up_to_its_first_tag() -> None:
    said = str(words_of(values.text("Dear {{ instance.customer }}, {% if created %}welcome{% endif %}", ORDERS)))
    assert said.startswith("Dear ‹customer›,")
    assert "{%" not in said
    assert said.endswith("…")


def test_what_tells_matches_apart_is_named() -> None:
    assert str(words_of(values.key("{{ instance.customer }}-{{ instance.status }}", ORDERS))) == "customer and status"
    assert "order" in str(words_of(values.key("order {{ instance.status }}", ORDERS)))
