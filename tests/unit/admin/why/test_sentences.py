"""What the pages say of one rule at one change: what came of it, and what would change that. Nothing is asked of a
database: rows here are made in memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.utils import timezone, translation

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.why.speaker import Speaker
from rules_engine.admin.why.words import sentence_of
from rules_engine.models import Execution, HeldMatch, Pause, Rule
from rules_engine.models.held import TOO_SELDOM
from rules_engine.test.limits import LimitUse, Use
from rules_engine.test.verdicts import Verdict
from rules_engine.test.why import Said

#: Of another day, so that the date is told.
AT, LATER = datetime(2031, 5, 6, 10, 30, tzinfo=UTC), datetime(2031, 5, 6, 11, 0, tzinfo=UTC)
RULE = Rule(slug="paid", model="shop.order", signals=["post_save"], throttle_count=1, throttle_seconds=3600)
LOG = Execution(kind="log_message", rule_slug="paid", error="The  disk\nis full.", summary="Logged A-7.", attempts=3)
QUIET = Execution(kind="log_message", rule_slug="paid")
PAUSE = Pause(rule_slug="paid", paused_by="ada", reason="The printer is out of ink", until=LATER)


def speaker(*rights: str, rule: Rule | None = RULE, is_object_seen: bool = True, is_rule_seen: bool = True) -> Speaker:
    titles = Titles.of("shop.order")
    return Speaker(titles, {}, frozenset(rights), is_object_seen, is_rule_seen, rule, "event", "post_save")


def sentence(cause: Any, *rights: str, to: Speaker | None = None, **facts: Any) -> str:
    said = facts.pop("said", Said(facts.pop("of", RULE), "paid", "matched"))
    with timezone.override(UTC), translation.override("en"):
        return sentence_of(Verdict("acted", cause, said, **facts), to or speaker(*rights))


@pytest.mark.parametrize(
    ("cause", "facts", "expected"),
    [
        ("running", {"execution": LOG}, "Write a log message: a worker is at it right now."),
        ("after_another", {"execution": LOG}, "Write a log message: after the action before it has succeeded."),
        ("queue", {"execution": QUIET, "at": AT}, "In the queue since May 6, 2031, 10:30 a.m."),
        ("queue", {"execution": QUIET}, "A worker takes it up within seconds."),
        ("queue", {"execution": QUIET, "is_silent": True}, "No worker was ever seen: it is done when one is started."),
        (
            "queue",
            {"execution": QUIET, "is_silent": True, "silent_since": AT},
            "No worker was seen since May 6, 2031, 10:30 a.m.: it is done when one is started.",
        ),
        ("later", {"execution": QUIET, "next_at": LATER}, "Due at May 6, 2031, 11 a.m."),
        ("to_decide", {"at": AT}, "A worker decides on it; due since May 6, 2031, 10:30 a.m."),
        ("to_decide", {"is_silent": True}, "No worker was ever seen"),
        ("retrying", {"execution": LOG, "next_at": LATER}, "The disk is full. Tried again at May 6, 2031, 11 a.m."),
        ("retrying", {"execution": LOG, "pause": PAUSE}, "It is tried again when the pause is over."),
        ("given_up", {"execution": LOG}, "Given up after 3 tries. It is done when somebody retries it."),
        ("refused", {"execution": LOG}, "It was refused, and is not tried again by itself."),
        ("nothing_left", {}, "It matched. What it did then is not on record, or there was nothing for it to do."),
        ("rule_gone", {}, "The rule was switched off or deleted while this waited."),
        ("shadow", {}, "as a shadow it does nothing. It acts when it is switched from shadow to on."),
        ("off", {}, "It is switched off."),
        ("dropping_pause", {"pause": PAUSE}, "What happens meanwhile is not looked at, and not made up for."),
        ("let_go", {"match": HeldMatch(reason=TOO_SELDOM)}, "It did not happen so often in that time"),
        ("let_go", {"match": HeldMatch(reason="Ada let it go.")}, "Ada let it go."),
    ],
)
def test_it_is_said_what_came_of_it_and_what_comes_next(cause: Any, facts: dict[str, Any], expected: str) -> None:
    assert expected in sentence(cause, **facts)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"often": 3}, "for more of them; the rule acts when there are enough."),
        ({"debounce": 60}, "Held until nothing more has come"),
        ({}, "for more of the same; then the last one acts."),
    ],
)
def test_what_waits_for_more_says_for_what(terms: dict[str, Any], expected: str) -> None:
    said = sentence("for_more", match=HeldMatch(terms=terms), next_at=LATER)
    assert expected in said
    assert "May 6, 2031, 11 a.m." in said


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        (None, "which acts in its place."),
        (HeldMatch(state="waiting", due_at=LATER), "That one waits until May 6, 2031, 11 a.m."),
        (HeldMatch(state="released", decided_at=LATER), "That one acted at May 6, 2031, 11 a.m."),
        (HeldMatch(state="dropped"), "That one was held back, too."),
    ],
)
def test_of_what_acts_in_its_place_it_is_said_how_that_went(instead: Any, expected: str) -> None:
    said = sentence("together", instead=instead)
    assert said.startswith("Taken together with a later change")
    assert expected in said


def test_several_actions_are_counted_and_one_is_not() -> None:
    assert sentence("running", execution=LOG, count=2, total=5).endswith("2 of 5 actions.")
    assert sentence("running", execution=LOG, count=5, total=5).endswith("5 actions.")
    assert "action." not in sentence("running", execution=LOG).removesuffix("right now.")


def test_what_an_action_said_is_for_those_who_may_see_the_object() -> None:
    # Errors and summaries quote the object's data.
    blind = speaker(is_object_seen=False)
    for cause in ("done", "retrying", "given_up", "refused", "cancelled", "later"):
        told = sentence(cause, execution=LOG, at=AT, next_at=LATER)
        hidden = sentence(cause, to=blind, execution=LOG, at=AT, next_at=LATER)
        assert ("disk" in told) or ("A-7" in told)
        assert "disk" not in hidden
        assert "A-7" not in hidden
        assert "Write a log message" in hidden


def test_a_long_error_is_cut_and_on_one_line() -> None:
    said = sentence("refused", execution=Execution(kind="log_message", error="broken\n" * 200))
    assert "\n" not in said
    assert "…" in said
    assert len(said) < 400


def test_who_paused_and_why_is_for_those_who_may_view_pauses() -> None:
    assert sentence("pause", "pause", pause=PAUSE) == (
        "Paused by ada until May 6, 2031, 11 a.m.: The printer is out of ink."
    )
    assert sentence("pause", pause=PAUSE) == "Paused until May 6, 2031, 11 a.m."
    endless = Pause(rule_slug="paid", paused_by="ada")
    assert sentence("pause", "pause", pause=endless) == "Paused by ada until somebody resumes."
    assert sentence("pause", pause=endless) == "Paused until somebody resumes."


def test_what_was_cancelled_can_be_retried_while_its_rule_is_on() -> None:
    again = "It is done when somebody retries it."
    assert again in sentence("cancelled", execution=LOG, to=speaker(rule=Rule(slug="paid", enabled=True)))
    assert again not in sentence("cancelled", execution=LOG, to=speaker(rule=Rule(slug="paid", enabled=False)))
    assert again not in sentence("cancelled", execution=LOG, to=speaker(rule=None))


def use(at: datetime = AT) -> Use:
    return Use(match=1, model="shop.order", object_pk="7", at=at)


def test_a_limit_says_how_often_and_when_there_is_room() -> None:
    said = sentence("limit", limit=LimitUse((1, 3600), uses=[use()], next_at=LATER))
    assert said.startswith("At most once an hour. It acted for")
    assert said.endswith("It can act again at May 6, 2031, 11 a.m.")
    assert "There is room for it again now." in sentence("limit", limit=LimitUse((1, 3600), uses=[use()]))
    assert "The rule has another limit by now." in sentence("limit", limit=LimitUse((5, 3600), uses=[use()]))
    assert "Before that: " in sentence("limit", limit=LimitUse((2, 3600), uses=[use(), use(LATER)]))


def test_once_for_each_object_says_when_it_was_and_what_to_do() -> None:
    said = sentence("once", limit=LimitUse(None, uses=[use()]))
    assert said.startswith("Once for each object. It acted on this object at May 6, 2031, 10:30 a.m.")
    assert "unless “once per object” is taken off the rule" in said
    assert "It has acted on this object before." in sentence("once", limit=LimitUse(None))


def test_what_a_record_lacks_is_named_to_who_may_see_what_is_read() -> None:
    lacking = Said(RULE, "paid", "not_recorded", missing=("total",))
    assert "does not hold what the rule reads: total" in sentence("missing", said=lacking)
    blind = speaker(is_rule_seen=False)
    assert sentence("missing", said=lacking, to=blind) == "There is no record of what it said."


def test_a_rule_for_another_signal_says_when_it_is_for() -> None:
    for_deletes = Rule(slug="gone", model="shop.order", signals=["post_delete"])
    assert sentence("other_signal", to=speaker(rule=for_deletes)).startswith("It is for when an order")
    before = Rule(slug="first", model="shop.order", signals=["pre_save"])
    assert "before this change is not on record" in sentence("other_signal", to=speaker(rule=before))
    by_clock = Rule(slug="daily", model="", signals=[], schedule={"kind": "every", "each": "day", "at": "08:00"})
    assert sentence("other_signal", to=speaker(rule=by_clock)).startswith("It acts by the clock: every day")
