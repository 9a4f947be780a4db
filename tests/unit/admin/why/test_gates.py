"""Where a rule stopped, in words: what was there, and what it has to be."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.why.gates import _change, gate_words
from rules_engine.admin.why.speaker import Speaker
from rules_engine.errors import not_read
from rules_engine.models import Rule
from rules_engine.test.verdicts import Verdict
from rules_engine.test.why import Said
from rules_engine.types import Unread

TITLES = Titles.of("shop.order")
RULE = Rule(slug="r", model="shop.order", signals=["post_save"], operations=["create"])


def change(asked: dict[str, Any], *values: Any) -> str:
    seen: Any = SimpleNamespace(
        field="status",
        asked=asked,
        state="shut",
        change=SimpleNamespace(old=values[0], new=values[1]) if values else None,
    )
    return _change(seen, TITLES)


@pytest.mark.parametrize(
    ("asked", "has_to"),
    [
        ({}, "it has to change"),
        ({"to": "paid"}, "it has to change to Paid"),
        ({"from": "draft"}, "it has to change from Draft"),
        ({"from": "draft", "to": "paid"}, "it has to change from Draft to Paid"),
    ],
)
def test_a_change_that_did_not_come_says_what_it_has_to_be(asked: dict[str, Any], has_to: str) -> None:
    assert change(asked) == f"Status did not change; {has_to}"
    assert change(asked, "paid", "shipped") == f"Status changed from Paid to Shipped; {has_to}"


def test_a_value_that_cannot_be_told_is_no_value() -> None:
    said = change({"to": "paid"}, "draft", Unread(ZeroDivisionError("in a field of its own")))
    assert said.startswith(f"Status changed from Draft to {not_read(ZeroDivisionError('in a field of its own'))};")
    assert change({"to": None}, "draft", "paid").endswith("it has to change to –")


def test_the_words_are_the_reader_s_language() -> None:
    with translation.override("de"):
        assert "did not change" not in change({"to": "paid"})


def test_an_operation_says_what_the_rule_is_for() -> None:
    verdict = Verdict(
        "not_matched", "gate", Said(RULE, "r", "not_matched", gate="operations", detail="This was: update.")
    )
    speaker = Speaker(TITLES, {}, frozenset(), True, True, RULE, "event", "post_save")
    [said] = gate_words(verdict, speaker)
    assert "It is for what is: " in said
    assert "created" in said or "new" in said
