"""Bars of a day: what is drawn, and what is said to whoever cannot see them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from django.utils import translation

from rules_engine.admin.parts.charts import HEIGHT, hours_chart


def bars(hours: list[tuple[int, int]]) -> list[dict[str, str]]:
    return [rect.attrib for rect in ElementTree.fromstring(hours_chart(hours)).iter("rect")]


@pytest.mark.parametrize("hours", [[], [(0, 0)], [(0, 0)] * 24])
def test_nothing_is_drawn_where_nothing_was(hours: list[tuple[int, int]]) -> None:
    assert hours_chart(hours) == ""


def test_an_hour_is_a_bar_of_its_share_of_the_highest() -> None:
    first, second = bars([(5, 0), (10, 0)])
    assert (first["x"], first["y"], first["height"]) == ("0", "10.0", "10.0")
    assert (second["x"], second["y"], second["height"]) == ("4", "0.0", "20.0")


def test_what_failed_stands_on_what_was_done() -> None:
    done, failed = bars([(5, 5)])
    assert (done["class"], done["y"], done["height"]) == ("rules-chart-fired", "10.0", "10.0")
    assert (failed["class"], failed["y"], failed["height"]) == ("rules-chart-failed", "0.0", "10.0")


@pytest.mark.parametrize("counts", [(1, 100_000), (100_000, 1), (1, 1), (7, 10**12)])
def test_however_few_are_among_many_they_are_seen_and_fit(counts: tuple[int, int]) -> None:
    for bar in bars([counts, (0, 1)]):
        assert float(bar["height"]) >= 1.5
        assert 0 <= float(bar["y"]) < HEIGHT


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ([(1, 0)], "By hour: 1 fired, 0 failed, at most 1 in one hour, 0 hours ago."),
        ([(3, 1), (0, 0)], "By hour: 3 fired, 1 failed, at most 4 in one hour, 1 hour ago."),
        ([(2, 0), (0, 2), (0, 0)], "By hour: 2 fired, 2 failed, at most 2 in one hour, 1 hour ago."),
        ([(9, 0), *[(1, 0)] * 23], "By hour: 32 fired, 0 failed, at most 9 in one hour, 23 hours ago."),
    ],
)
def test_the_chart_is_said_in_words(hours: list[tuple[int, int]], said: str) -> None:
    assert f'aria-label="{said}"' in hours_chart(hours)


def test_the_chart_is_said_in_german() -> None:
    with translation.override("de"):
        label = re.search(r'aria-label="([^"]+)"', hours_chart([(3, 1), (0, 0)]))
    assert label is not None
    assert "By hour" not in label[1]
    assert "3" in label[1]


def test_there_is_no_inline_style_and_no_script() -> None:
    drawn = hours_chart([(1, 1)] * 24)
    assert "style" not in drawn
    assert "script" not in drawn
    assert 'viewBox="0 0 95 20"' in drawn
