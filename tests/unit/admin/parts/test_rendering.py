"""Pieces of pages: what is data stays data."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone, translation
from django.utils.html import escape
from django.utils.safestring import mark_safe

from project.accounts.models import User
from rules_engine.admin.parts import rendering
from rules_engine.rules import permissions

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 }}",
    "{0} %s",
    "\u202eevil",
    "&lt;b&gt;",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_data_is_escaped_in_every_piece(text: str) -> None:
    for piece in (
        rendering.json_block({text: [text]}),
        rendering.text_block(text),
        rendering.table([text], [[text], [text]]),
        rendering.link("", text),
        rendering.link(text, text),
        rendering.object_link(text, text),
        rendering.object_link("shop.order", text),
    ):
        assert "<script" not in piece
        assert "<img" not in piece
        assert "&lt;b&gt;" not in text or "&amp;lt;b&amp;gt;" in piece
    assert escape(text) in rendering.text_block(text)


@pytest.mark.parametrize("value", [None, "", [], {}])
def test_nothing_is_a_dash(value: Any) -> None:
    assert rendering.json_block(value) == "<span>–</span>"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (False, "false"),
        ("ä", '"ä"'),
        ({"b": 1, "a": [None]}, '{\n  "b": 1,\n  "a": [\n    null\n  ]\n}'),
        (Decimal("1.50"), '"1.50"'),
        (date(2026, 1, 31), '"2026-01-31"'),
    ],
)
def test_json_is_indented_and_keeps_its_letters_and_order(value: Any, text: str) -> None:
    assert rendering.json_text(value) == text
    assert rendering.json_block(value) == f'<pre class="rules-json" tabindex="0">{escape(text)}</pre>'


def test_a_text_without_words_is_a_dash() -> None:
    assert rendering.text_block("") == '<span class="rules-text">–</span>'
    assert rendering.text_block("a\nb") == '<span class="rules-text">a\nb</span>'


def test_a_table_escapes_all_but_what_is_safe() -> None:
    drawn = rendering.table(["<b>"], [[mark_safe("<i>x</i>")], ["<i>"], [None]])
    assert '<th scope="col">&lt;b&gt;</th>' in drawn
    assert "<td><i>x</i></td>" in drawn
    assert "<td>&lt;i&gt;</td>" in drawn
    assert "<td>None</td>" in drawn
    assert drawn.startswith('<div class="rules-scroll" tabindex="0"><table')
    assert "<tbody></tbody>" in rendering.table([], [])


@pytest.mark.parametrize(
    ("label", "pk", "piece"),
    [
        ("shop.order", "5", '<a href="/admin/shop/order/5/change/">shop.order 5</a>'),
        ("shop.order", "a/b", '<a href="/admin/shop/order/a_2Fb/change/">shop.order a/b</a>'),
        ("shop.order", "", "shop.order"),
        ("zoo.animal", "1", "zoo.animal 1"),
        ("gone.model", "1", "gone.model 1"),
        ("", "", "–"),
        ("", "7", "7"),
    ],
)
def test_an_object_is_linked_where_it_has_a_page(label: str, pk: str, piece: str) -> None:
    assert rendering.object_link(label, pk) == piece


@pytest.mark.parametrize(
    ("filters", "query"),
    [
        ({"rule_slug": "x"}, "rule_slug=x"),
        ({"rule_slug": "a&b=c #ä"}, "rule_slug=a%26b%3Dc+%23%C3%A4"),
        ({"state": "retryable", "page": 2}, "state=retryable&page=2"),
        ({}, ""),
    ],
)
def test_a_lists_address_carries_its_filters(filters: dict[str, Any], query: str) -> None:
    assert rendering.list_url("execution", **filters) == f"/admin/rules_engine/execution/?{query}"


def test_a_moment_is_written_as_the_site_writes_it() -> None:
    moment = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
    with timezone.override("UTC"):
        assert rendering.time_words(moment) == "Jan. 31, 2026, 11:30 p.m."
        assert rendering.time_words(datetime(2026, 1, 31, 23, 30)) == "Jan. 31, 2026, 11:30 p.m."  # noqa: DTZ001
        with translation.override("de"):
            assert rendering.time_words(moment) == "31. Januar 2026 23:30"
    with timezone.override("Asia/Tokyo"):
        assert rendering.time_words(moment) == "Feb. 1, 2026, 8:30 a.m."


@pytest.mark.parametrize("label", ["shop.order", "zoo.animal", "gone.model", "", "<b>"])
def test_whoever_may_all_sees_all(label: str) -> None:
    assert permissions.may_view_data(User(is_superuser=True, is_active=True), label)


@pytest.mark.parametrize(("label", "may"), [("shop.order", False), ("gone.model", False), ("", True)])
def test_a_visitor_sees_only_what_is_of_no_model(label: str, may: bool) -> None:
    assert permissions.may_view_data(AnonymousUser(), label) is may
