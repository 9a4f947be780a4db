"""A flow as SVG: names of any length stay in their boxes, and nothing of them is markup."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from rules_engine.admin.flow.drawing import ROOM, svg, width_of, wrapped
from rules_engine.admin.flow.graph import Box, Flow

HOSTILE = '<script>alert("x")</script>'


@pytest.mark.parametrize(
    "name",
    [
        "Short",
        "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen wird geändert",
        "W" * 300,
        "注文が作成されたときに担当者へ通知する規則" * 3,
        "a b " * 200,
        "هجوم " * 60,
        "",
    ],
)
@pytest.mark.parametrize("most", [1, 3])
def test_a_name_of_any_length_fits_its_lines(name: str, most: int) -> None:
    lines = wrapped(name, most)
    assert 1 <= len(lines) <= most
    assert all(width_of(line) <= ROOM for line in lines)
    if sum(map(len, lines)) < len("".join(name.split())):
        assert lines[-1].endswith("…")


def test_what_is_cut_off_is_said_in_full_where_the_mouse_rests() -> None:
    name = "x" * 300
    drawn = svg(Flow([Box("rule a", "rule", name, "When it rains")]), {})
    assert f"<title>{name}: When it rains</title>" in drawn


def test_names_are_never_markup_and_the_picture_is_well_formed() -> None:
    boxes = [Box("rule a", "rule", HOSTILE, HOSTILE, slug="a"), Box("model b", "model", HOSTILE)]
    drawn = svg(Flow(boxes, [("model b", "rule a"), ("rule a", "model b")]), {"rule a": '/"><script>'})
    assert "<script" not in drawn
    assert ElementTree.fromstring(drawn).tag == "svg"


def test_links_are_for_the_mouse_alone_since_a_list_says_the_same() -> None:
    drawn = svg(Flow([Box("rule a", "rule", "A")]), {"rule a": "/rule/1/"})
    assert 'aria-hidden="true"' in drawn
    assert re.search(r'<a class="flow-rule" href="/rule/1/" tabindex="-1">', drawn)


def test_no_style_stands_in_the_picture() -> None:
    drawn = svg(Flow([Box("rule a", "rule", "A", is_on=False, is_here=True)]), {})
    assert 'class="flow-rule flow-off flow-here"' in drawn
    assert not re.search(r'\b(?:style|fill|stroke|onload)="', drawn)
