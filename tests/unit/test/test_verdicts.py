"""What came of a rule at an event: one verdict with its cause, from what is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rules_engine.models import Execution, HeldMatch, Pause
from rules_engine.models.held import ACTED_BEFORE, RULE_GONE, TAKEN_TOGETHER, USED_UP
from rules_engine.test.limits import Limits, Use
from rules_engine.test.verdicts import Facts, Steps, Verdict, first_of, verdict_of
from rules_engine.test.why import Said

NOW = datetime(2031, 5, 6, 14, 0, tzinfo=UTC)
EARLIER, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
THROTTLED = {"throttle": [1, 7200], "coalesce": None, "debounce": False, "once": False}


def said(verdict: Any = "matched", **fields: Any) -> Said:
    return Said(None, "rule", verdict, **fields)


def steps(state: str, count: int = 1, **fields: Any) -> Steps:
    return Steps(state, count, Execution(kind="log_message", state=state, **fields))


def held(state: str = "dropped", **fields: Any) -> HeldMatch:
    given = {"terms": THROTTLED, "due_at": EARLIER, "created_at": EARLIER, "decided_at": EARLIER, **fields}
    return HeldMatch(rule_slug="rule", state=state, **given)


def pause(**fields: Any) -> Pause:
    return Pause(**{"rule_slug": "rule", "created_at": EARLIER, "paused_by": "Ann", **fields})


def told(answer: Said | None = None, **facts: Any) -> Verdict:
    return verdict_of(answer or said(), Facts(NOW, **facts))


@pytest.mark.parametrize(
    ("states", "outcome", "cause"),
    [
        (["succeeded"], "acted", "done"),
        (["succeeded", "running"], "waiting", "running"),
        (["succeeded", "retryable"], "failed", "retrying"),
        (["retryable", "discarded"], "failed", "given_up"),
        (["succeeded", "refused"], "failed", "refused"),
        (["cancelled", "succeeded"], "held_back", "cancelled"),
    ],
)
def test_of_several_actions_the_one_that_somebody_has_to_see_to_is_told(
    states: list[str], outcome: str, cause: str
) -> None:
    verdict = told(steps=[steps(state, next_attempt_at=LATER) for state in states])
    assert (verdict.outcome, verdict.cause) == (outcome, cause)
    assert (verdict.count, verdict.total) == (1, len(states))


def test_what_fails_says_when_it_is_tried_again() -> None:
    assert told(steps=[steps("retryable", next_attempt_at=LATER)]).next_at == LATER


def test_what_is_due_waits_in_the_queue_and_says_if_a_worker_is_there() -> None:
    due = [steps("pending", 3, next_attempt_at=EARLIER)]
    verdict = told(steps=due, is_silent=True, silent_since=EARLIER)
    assert (verdict.outcome, verdict.cause, verdict.at) == ("waiting", "queue", EARLIER)
    assert (verdict.is_silent, verdict.silent_since, verdict.count) == (True, EARLIER, 3)
    assert not told(steps=due).is_silent


def test_what_is_put_off_waits_for_its_time_or_the_action_before_it() -> None:
    later = told(steps=[steps("pending", next_attempt_at=LATER)])
    assert (later.outcome, later.cause, later.next_at) == ("waiting", "later", LATER)
    assert told(steps=[steps("pending", next_attempt_at=None)]).cause == "after_another"


def test_a_pause_that_stands_is_told_before_the_queue() -> None:
    until = NOW + timedelta(days=2)
    verdict = told(steps=[steps("pending", next_attempt_at=EARLIER)], pauses=[pause(), pause(until=until)])
    assert (verdict.outcome, verdict.cause, verdict.next_at) == ("paused", "pause", None)
    assert told(held=[held("waiting")], pauses=[pause(until=until)]).next_at == until
    assert told(steps=[steps("pending", next_attempt_at=EARLIER)], pauses=[pause(until=EARLIER)]).cause == "queue"


def test_a_rule_that_was_not_tried_while_a_pause_dropped_is_paused() -> None:
    untried = said("untried", untried="unknown")
    dropping = [pause(mode="drop", created_at=EARLIER, until=LATER)]
    assert told(untried, pauses=dropping, occurred_at=NOW).cause == "dropping_pause"
    assert told(untried, pauses=dropping, occurred_at=EARLIER - timedelta(minutes=1)).cause == "unknown"
    assert told(untried, pauses=dropping, occurred_at=LATER).cause == "unknown"
    assert told(untried, pauses=[pause(mode="hold")], occurred_at=NOW).cause == "unknown"


def test_a_limit_says_who_used_it_up_and_when_there_is_room() -> None:
    match = held(throttle_key="7", reason=f"{USED_UP} 1 times in 7,200 seconds.")
    acted = NOW - timedelta(minutes=24)
    use = Use("other", acted, "shop.order", "1")
    limits = Limits(NOW, used={match.pk: [use]}, latest={("rule", "7"): {1: acted}})
    verdict = told(held=[match], limits=limits)
    assert (verdict.outcome, verdict.cause) == ("held_back", "limit")
    assert verdict.limit is not None
    assert (verdict.limit.throttle, verdict.limit.key, list(verdict.limit.uses)) == ((1, 7200), "7", [use])
    assert verdict.next_at == acted + timedelta(hours=2)


def test_a_limit_with_room_again_has_no_next_time() -> None:
    match = held(throttle_key="7", reason=f"{USED_UP} 1 times in 7,200 seconds.")
    limits = Limits(NOW, latest={("rule", "7"): {1: NOW - timedelta(hours=3)}})
    assert told(held=[match], limits=limits).next_at is None
    assert told(held=[match], limits=Limits(NOW)).next_at is None


def test_one_that_acted_says_when_its_limit_has_room_again() -> None:
    limits = Limits(NOW, latest={("rule", ""): {1: EARLIER}})
    verdict = told(steps=[steps("succeeded")], held=[held("released")], limits=limits)
    assert (verdict.outcome, verdict.next_at) == ("acted", EARLIER + timedelta(hours=2))


def test_what_acts_once_names_what_acted_before() -> None:
    match = held(once_key="shop.order:1", reason=ACTED_BEFORE)
    use = Use("first", EARLIER)
    verdict = told(held=[match], limits=Limits(NOW, once={("rule", "shop.order:1"): use}))
    assert (verdict.outcome, verdict.cause) == ("held_back", "once")
    assert verdict.limit is not None
    assert list(verdict.limit.uses) == [use]


def test_what_is_taken_together_names_what_acts_in_its_place() -> None:
    match, later = held(reason=TAKEN_TOGETHER), held("waiting", due_at=LATER)
    verdict = told(held=[match], limits=Limits(NOW, instead={match.pk: later}))
    assert (verdict.outcome, verdict.cause, verdict.instead) == ("held_back", "together", later)


@pytest.mark.parametrize(("reason", "cause"), [(RULE_GONE, "rule_gone"), ("Discarded by ann.", "let_go")])
def test_what_somebody_ended_says_so(reason: str, cause: str) -> None:
    verdict = told(held=[held(reason=reason)])
    assert (verdict.outcome, verdict.cause) == ("held_back", cause)


def test_a_match_that_waits_says_until_when_or_that_a_worker_decides() -> None:
    more = told(held=[held("waiting", due_at=LATER)])
    assert (more.outcome, more.cause, more.next_at) == ("waiting", "for_more", LATER)
    due = told(held=[held("waiting")], is_silent=True)
    assert (due.outcome, due.cause, due.is_silent) == ("waiting", "to_decide", True)


def test_a_match_of_which_nothing_is_left_is_a_shadows_or_unknown() -> None:
    assert told(is_shadow=True).outcome == "shadow"
    assert (told().outcome, told().cause) == ("acted", "nothing_left")


def test_a_rule_that_did_not_match_or_failed_says_where() -> None:
    assert told(said("not_matched", gate="condition")).cause == "gate"
    assert told(said("error", detail="x")).outcome == "failed"
    assert told(said("not_recorded")).outcome == "not_recorded"


@pytest.mark.parametrize("untried", ["other_signal", "off", "own_change", "ended_by", "unknown"])
def test_a_rule_that_was_not_asked_says_why(untried: Any) -> None:
    verdict = told(said("untried", untried=untried))
    assert (verdict.outcome, verdict.cause) == ("untried", untried)


def test_rules_that_are_for_something_else_are_folded() -> None:
    assert told(said("untried", untried="other_signal")).is_folded
    assert told(said("not_matched", gate="operations")).is_folded
    assert not told(said("untried", untried="off")).is_folded
    assert not told(said("not_matched", gate="condition")).is_folded


def test_each_rule_is_told_once_by_what_matters_most() -> None:
    before = told(said("untried", untried="other_signal"))
    after = told(steps=[steps("succeeded")])
    other = verdict_of(Said(None, "other", "error"), Facts(NOW))
    assert first_of([before, after, other]) == [other, after]
