"""What is told before a save and after it is one change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rules_engine.models import Event
from rules_engine.test.changes import changes_of
from rules_engine.test.why import Told

START = datetime(2031, 5, 6, 14, 0, tzinfo=UTC)


def event(second: float, signal: str, operation: str = "update", **fields: Any) -> Told:
    given = {"model": "shop.order", "object_pk": "1", "occurred_at": START + timedelta(seconds=second), **fields}
    return Told(Event(signal=signal, operation=operation, **given), ())


def seen(told: list[Told], refused: Any = ()) -> list[list[str]]:
    """The signals of each change, the newest change first; the events are given as they happened."""
    return [[each.signal for each in change.events] for change in changes_of(told[::-1], refused)]


def test_a_save_is_one_change() -> None:
    told = [event(0, "pre_save"), event(0.1, "post_save"), event(5, "pre_save"), event(5.1, "post_save")]
    assert seen(told) == [["post_save", "pre_save"]] * 2
    assert seen([event(0, "pre_delete", "delete"), event(0.1, "post_delete", "delete")]) == [
        ["post_delete", "pre_delete"]
    ]


def test_what_was_not_saved_after_all_is_a_line_of_its_own() -> None:
    told = [event(0, "pre_save"), event(5, "pre_save"), event(5.1, "post_save")]
    assert seen(told) == [["post_save", "pre_save"], ["pre_save"]]
    assert seen([event(0, "pre_save"), event(600, "post_save")]) == [["post_save"], ["pre_save"]]


def test_what_a_rule_refused_is_not_taken_for_the_save_after_it() -> None:
    refused = event(0, "pre_save")
    assert seen([refused, event(1, "post_save")], {refused.event.pk}) == [["post_save"], ["pre_save"]]


def test_what_others_did_meanwhile_is_another_change() -> None:
    told = [event(0, "pre_save", actor_id="1"), event(0.1, "post_save", actor_id="2"), event(1, "m2m_changed", "add")]
    assert seen(told) == [["m2m_changed"], ["post_save"], ["pre_save"]]
    assert seen([event(0, "pre_save", "create"), event(0.1, "post_save")]) == [["post_save"], ["pre_save"]]
