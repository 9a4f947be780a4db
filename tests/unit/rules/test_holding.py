"""How a rule holds back: its keys, and what is wrong with it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest

from rules_engine.rules.holding import LONGEST_HOLD_KEY, Hold, hold_of
from rules_engine.types import Event, RuleSpec


def event(model: str = "zoo.dog", pk: Any = 7, **context: Any) -> Event:
    event_id = uuid.uuid4()
    at = datetime(2026, 1, 31, tzinfo=UTC)
    return Event(event_id, "post_save", "create", model, pk, at, event_id, 0, context)


def keys(hold: Hold, of: Event | None = None, rule_model: str = "zoo.animal") -> dict[str, str]:
    return hold.keys(rule_model, event() if of is None else of, "transaction")


@pytest.mark.parametrize(
    ("text", "kept"),
    [("x" * 255, "x" * 255), ("nul\x00here", "nul\ufffdhere"), ("lone \ud800 half", "lone ? half")],
)
def test_a_key_is_a_text_that_an_indexed_column_takes(text: str, kept: str) -> None:
    hold = Hold(throttle=(1, 60), throttle_by="{{ signal.text }}")
    assert keys(hold, event(signal={"text": text}))["throttle_key"] == kept


def test_long_texts_that_differ_at_their_ends_are_different_keys() -> None:
    for hold in (
        Hold(throttle=(1, 60), throttle_by="{{ signal.text }}"),
        Hold(coalesce=0, coalesce_by="{{ signal.text }}"),
    ):
        found = {"".join(keys(hold, event(signal={"text": "x" * 300 + end})).values()) for end in "ab"}
        assert len(found) == 2
        assert all(len(key) <= LONGEST_HOLD_KEY and key.startswith("xxx") for key in found)


def test_what_waits_is_taken_together_by_the_object_or_by_its_text() -> None:
    assert keys(Hold(coalesce=5))["coalesce_key"] == "zoo.animal:7"
    by_text = Hold(coalesce=5, coalesce_by="{{ signal.text }}")
    assert keys(by_text, event(signal={"text": "a"}))["coalesce_key"] == "a"


def test_without_a_window_only_what_one_transaction_did_is_taken_together() -> None:
    assert keys(Hold(coalesce=0))["coalesce_key"] == "zoo.animal:7@transaction"


def test_a_key_is_kept_only_where_something_asks_for_it() -> None:
    assert keys(Hold()) == {"throttle_key": "", "coalesce_key": "", "once_key": ""}
    assert keys(Hold(once=True)) == {"throttle_key": "", "coalesce_key": "", "once_key": "zoo.animal:7"}


def test_all_events_of_a_signal_without_a_model_are_alike() -> None:
    assert keys(Hold(coalesce=5), event(model="", pk=None), rule_model="")["coalesce_key"] == ""


def test_a_rule_that_asks_for_nothing_holds_nothing_back() -> None:
    assert hold_of(RuleSpec(slug="r")) is None
