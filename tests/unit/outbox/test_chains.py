"""Where a chain of rules that set off rules stops, as far as no count of the database is needed."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.test import override_settings

from rules_engine.context.actor import Cause, Tally
from rules_engine.outbox.chains import is_news, reason_to_stop
from rules_engine.types import Event
from tests.unit.compiled import compiled

CAUSE_ID = UUID(int=1)


def event(depth: int) -> Event:
    return Event(UUID(int=2), "post_save", None, "", None, datetime(2026, 5, 6, tzinfo=UTC), CAUSE_ID, depth, {})


def cause(**tally: int) -> Cause:
    return Cause(CAUSE_ID, 0, "first", tally=Tally(**tally))


@override_settings(RULES_ENGINE={"MAX_DEPTH": 3})
def test_a_chain_goes_as_deep_as_the_setting_says():
    counted = cause(counted=0)
    assert reason_to_stop(event(3), 1, counted, "default") == ""
    assert "4 levels deep" in reason_to_stop(event(4), 1, counted, "default")


@override_settings(RULES_ENGINE={"ROOT_BUDGET": 1_000})
def test_what_an_action_adds_is_counted_here_until_it_may_be_too_much():
    counted = cause(counted=500)
    assert reason_to_stop(event(1), 4, counted, "default") == ""
    assert reason_to_stop(event(1), 3, counted, "default") == ""
    assert (counted.tally.counted, counted.tally.added) == (500, 7)


def test_nothing_to_be_done_needs_no_budget():
    assert reason_to_stop(event(1), 0, cause(), "default") == ""


@override_settings(RULES_ENGINE={"ROOT_BUDGET": 1_000})
def test_a_chain_that_was_stopped_does_not_count_on():
    stopped = cause(counted=0)
    assert is_news([compiled("a")], stopped)
    assert "past 1000" in reason_to_stop(event(1), 1, stopped, "default")


def test_a_rule_is_told_once_that_its_chain_is_stopped():
    stopped = cause()
    assert is_news([compiled("a"), compiled("b")], stopped)
    assert not is_news([compiled("a")], stopped)
    assert is_news([compiled("a"), compiled("c")], stopped)
