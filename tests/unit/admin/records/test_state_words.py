"""What a row of the records is in, why, and what comes next: a sentence for each state. Rows are made in memory."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone, translation
from django.utils.html import strip_tags

from rules_engine.admin.records.state_words import (
    LONGEST,
    Circumstances,
    execution_words,
    held_words,
    shortened,
    waits_for,
    written,
)
from rules_engine.models import Execution, HeldMatch, Pause
from rules_engine.models.execution import NOT_AFTER_THAT
from rules_engine.models.held import TOO_SELDOM
from rules_engine.rules.schedules.later import NO_LONGER, OBJECT_GONE

NOW = datetime(2031, 5, 6, 10, 30, tzinfo=UTC)
SOON, BEFORE = NOW + timedelta(minutes=10), NOW - timedelta(minutes=10)
UNTIL, ENDLESS = Pause(until=SOON, reason="Stocktaking"), Pause(reason="Stocktaking")


@pytest.fixture(autouse=True)
def _in_english_at_utc() -> Iterator[None]:
    with timezone.override(UTC), translation.override("en"):
        yield


def execution(state: str, **around: Any) -> tuple[str, str]:
    """The tone and the sentence of an execution."""
    row = {name: around.pop(name) for name in list(around) if name not in Circumstances.__dataclass_fields__}
    words = execution_words(Execution(state=state, **{"next_attempt_at": None, **row}), Circumstances(NOW, **around))
    return words.tone, " ".join(strip_tags(words.sentence()).split())


def match(state: str, **around: Any) -> tuple[str, str]:
    row = {name: around.pop(name) for name in list(around) if name not in Circumstances.__dataclass_fields__}
    words = held_words(HeldMatch(state=state, **{"terms": {}, "due_at": SOON, **row}), Circumstances(NOW, **around))
    return words.tone, " ".join(strip_tags(words.sentence()).split())


@pytest.mark.parametrize(
    ("state", "facts", "tone", "said"),
    [
        ("succeeded", {"summary": "Sent to 3 people."}, "well", "done: Sent to 3 people."),
        ("succeeded", {}, "well", "done"),
        ("running", {}, "waiting", "a worker is at it"),
        ("running", {"lease_until": SOON}, "waiting", "a worker is at it"),
        ("running", {"lease_until": NOW}, "waiting", "its worker is silent: another one takes it over"),
        ("cancelled", {"error": "Cancelled by root."}, "ended", "Cancelled by root."),
        (
            "cancelled",
            {"error": "The rule was disabled or deleted."},
            "ended",
            "cancelled: the rule was disabled or deleted",
        ),
        ("cancelled", {}, "ended", "cancelled"),
        ("refused", {"error": "Its author may not."}, "failed", "refused: Its author may not."),
        ("refused", {"error": "Refused: its author may not."}, "failed", "Refused: its author may not."),
        ("discarded", {"attempts": 0, "error": "x"}, "failed", "given up: x"),
        ("discarded", {"attempts": 1, "error": "x"}, "failed", "given up after 1 try: x"),
        ("discarded", {"attempts": 9, "error": "x"}, "failed", "given up after 9 tries: x"),
        (
            "discarded",
            {"attempts": 3, "error": "Given up: 3 attempts ended with the process that made them."},
            "failed",
            "given up after 3 tries: 3 attempts ended with the process that made them",
        ),
        ("pending", {}, "waiting", "waiting for the action before it"),
        ("pending", {"next_attempt_at": BEFORE}, "waiting", "waiting for a worker since May 6, 2031, 10:20 a.m."),
        ("pending", {"next_attempt_at": SOON}, "waiting", "waiting until May 6, 2031, 10:40 a.m."),
        (
            "pending",
            {"next_attempt_at": SOON, "error": "Too many mails"},
            "waiting",
            "waiting until May 6, 2031, 10:40 a.m.: Too many mails",
        ),
        (
            "pending",
            {"next_attempt_at": BEFORE, "leased_by": "a", "lease_until": SOON},
            "waiting",
            "a worker has it in hand",
        ),
        (
            "pending",
            {"next_attempt_at": BEFORE, "leased_by": "a", "lease_until": BEFORE},
            "waiting",
            "waiting for a worker since May 6, 2031, 10:20 a.m.",
        ),
        ("pending", {"next_attempt_at": BEFORE, "lane": "its endpoint is off"}, "held", "its endpoint is off"),
        ("pending", {"lane": "its endpoint is off"}, "waiting", "waiting for the action before it"),
        (
            "pending",
            {"pauses": [UNTIL], "pause_reason": "Stocktaking", "next_attempt_at": BEFORE},
            "held",
            "held back by a pause until May 6, 2031, 10:40 a.m.: Stocktaking",
        ),
        ("pending", {"pauses": [UNTIL, ENDLESS]}, "held", "held back by a pause until somebody resumes"),
        (
            "pending",
            {"pauses": [Pause(until=BEFORE), UNTIL]},
            "held",
            "held back by a pause until May 6, 2031, 10:40 a.m.",
        ),
    ],
    ids=str,
)
def test_an_execution_is_said_in_what_it_is_and_why(state: str, facts: dict[str, Any], tone: str, said: str) -> None:
    assert execution(state, **facts) == (tone, said)


@pytest.mark.parametrize(
    ("facts", "then"),
    [
        ({"next_attempt_at": SOON}, "next try May 6, 2031, 10:40 a.m."),
        ({"next_attempt_at": NOW}, "its next try waits for a worker"),
        ({}, "next try –"),
        ({"next_attempt_at": SOON, "pauses": [UNTIL]}, "held back by a pause until May 6, 2031, 10:40 a.m."),
        ({"next_attempt_at": SOON, "lane": "its endpoint is off"}, "its endpoint is off"),
    ],
    ids=str,
)
def test_what_failed_is_said_with_its_next_try(facts: dict[str, Any], then: str) -> None:
    said = execution("retryable", failures=1, error="The disk is full.", **facts)
    assert said == ("failed", f"failed: The disk is full; {then}")


def test_what_was_put_off_and_never_failed_is_waiting() -> None:
    said = execution("retryable", failures=0, error="More mail than may be sent.", next_attempt_at=SOON)
    assert said == ("waiting", "waiting until May 6, 2031, 10:40 a.m.: More mail than may be sent.")


def test_to_whom_the_data_is_hidden_no_reason_is_quoted() -> None:
    hidden = {"unseen": "you may not view what it holds", "error": "ada@example.com is unknown"}
    for state in ("succeeded", "discarded", "refused", "cancelled"):
        _, said = execution(state, **hidden)
        assert said.endswith("you may not view what it holds")
        assert "ada" not in said


def test_a_reason_is_text_and_never_markup() -> None:
    words = execution_words(Execution(state="succeeded", summary="<b>x</b> & y"), Circumstances(NOW))
    assert "&lt;b&gt;x&lt;/b&gt; &amp; y" in words.sentence()


@pytest.mark.parametrize(
    ("state", "facts", "tone", "said"),
    [
        ("released", {}, "well", "released"),
        ("released", {"reason": "Ada let it go."}, "well", "released: Ada let it go."),
        ("dropped", {"reason": TOO_SELDOM}, "held", "held back: it did not happen so often in that time"),
        ("dropped", {"reason": "Held back by hand."}, "held", "Held back by hand."),
        (
            "dropped",
            {"reason": "The rule acts at most once an hour.", "terms": {"throttle": [1, 3600]}},
            "held",
            "held back by the limit: at most once an hour",
        ),
        (
            "dropped",
            {"reason": "The rule acts at most once an hour.", "terms": {"throttle": [1, 3600]}, "free_at": SOON},
            "held",
            "held back by the limit until May 6, 2031, 10:40 a.m.: at most once an hour",
        ),
        ("waiting", {"due_at": NOW}, "waiting", "waiting for a worker since May 6, 2031, 10:30 a.m."),
        ("waiting", {"pauses": [ENDLESS]}, "held", "held back by a pause until somebody resumes"),
        (
            "waiting",
            {"terms": {"often": [3, 3600]}},
            "held",
            "held back until May 6, 2031, 10:40 a.m.: it acts when there are 3 in 1 hour",
        ),
        (
            "waiting",
            {"terms": {"coalesce": 60, "debounce": True}},
            "held",
            "held back until May 6, 2031, 10:40 a.m.: it acts when nothing more has come for 1 minute",
        ),
        (
            "waiting",
            {"terms": {"coalesce": 60}},
            "held",
            "held back until May 6, 2031, 10:40 a.m.: it waits 1 minute for more, and the last one acts",
        ),
        ("waiting", {"terms": None}, "held", "held back until May 6, 2031, 10:40 a.m."),
        ("waiting", {"terms": ["of", "an", "older", "release"]}, "held", "held back until May 6, 2031, 10:40 a.m."),
    ],
    ids=str,
)
def test_a_held_match_is_said_in_what_it_waits_for(state: str, facts: dict[str, Any], tone: str, said: str) -> None:
    assert match(state, **facts) == (tone, said)


def test_a_match_without_terms_waits_for_nothing_that_can_be_said() -> None:
    assert waits_for(HeldMatch(terms={})) == ""
    assert waits_for(HeldMatch(terms={"throttle": [2, 60]})) == "at most twice a minute"


REASONS = (
    "It has acted on this object before.",
    "A later match of the same acts in its place.",
    TOO_SELDOM,
    "The rule was disabled or deleted.",
    NO_LONGER,
    OBJECT_GONE,
    NOT_AFTER_THAT,
    'The rule "a "quoted" one" was disabled or deleted.',
    "Given up: 12 attempts ended with the process that made them.",
)


@pytest.mark.parametrize("reason", REASONS)
def test_what_workers_wrote_down_is_said_in_the_readers_language(reason: str) -> None:
    with translation.override("de"):
        told = written(reason)
    assert told not in (reason, written(reason))
    assert all(part in told for part in ('a "quoted" one', "12") if part in reason)


@pytest.mark.parametrize("reason", ["", "Given up: many attempts ended with the process that made them.", "Other"])
def test_what_a_site_wrote_is_left_as_it_is(reason: str) -> None:
    assert written(reason) == reason


def test_a_row_has_room_for_so_much_of_a_reason() -> None:
    assert shortened("a \n\t b  c") == "a b c"
    assert shortened("x" * LONGEST) == "x" * LONGEST
    assert shortened("x" * (LONGEST + 1)) == "x" * LONGEST + "…"
