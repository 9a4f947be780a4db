"""All rows of an event: made without a database, one dataclass a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rules_engine import models
from rules_engine.models.execution import NOT_AFTER_THAT, State
from rules_engine.outbox.batch import Batch, make_batch
from rules_engine.outbox.held import released_rows
from rules_engine.outbox.outcomes import ActionOutcome
from rules_engine.outbox.rows import MISSES_KEPT, ErrorRow, EventRow, ExecutionRow, HeldRow
from rules_engine.rules.holding import Hold
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import ActionSpec, Evaluation, Event
from tests.unit.compiled import NOTE, compiled

NOW = datetime(2026, 5, 6, tzinfo=UTC)


def event(**context: Any) -> Event:
    return Event(UUID(int=1), "post_save", "update", "zoo.animal", 5, NOW, UUID(int=1), 0, context)


def batch_of(*rules: CompiledRule, of: Event | None = None, **more: Any) -> Batch:
    given = {"evaluations": (), "ended": (), "each_rows": {}, "transaction": "", **more}
    return make_batch(of or event(), rules, **given)


def errors(*outcomes: str) -> Sequence[Evaluation]:
    return [Evaluation(f"r{n}", 1, outcome) for n, outcome in enumerate(outcomes)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "model"),
    [
        (EventRow, models.Event),
        (ExecutionRow, models.Execution),
        (HeldRow, models.HeldMatch),
        (ErrorRow, models.RuleError),
    ],
)
def test_a_row_has_the_columns_of_its_table(row: type[Any], model: type[Any]):
    assert {field.name for field in fields(row)} <= {field.attname for field in model._meta.concrete_fields}


def test_each_action_of_a_rule_is_an_execution_that_waits():
    made = batch_of(compiled("a", NOTE, ActionSpec("log_message", {"message": "x"}, 1, delay=60)))
    assert [(row.rule_slug, row.position, row.state, row.delay) for row in made.executions] == [
        ("a", 0, "pending", 0),
        ("a", 1, "pending", 60),
    ]
    assert len({row.id for row in made.executions}) == 2
    assert made.event.execution_count == 2


def test_what_belongs_to_one_object_has_one_order_key():
    assert batch_of(compiled("a", NOTE)).executions[0].order_key == "zoo.animal:5"


def test_a_rule_in_shadow_is_on_record_and_does_nothing():
    made = batch_of(compiled("a", NOTE, shadow=True), evaluations=errors("matched"))
    assert made.executions == []
    assert [one["outcome"] for one in made.event.evaluations] == ["matched"]


def test_an_event_keeps_who_which_request_and_where_decimals_are():
    context = {
        "instance": {"weight": Decimal("1.50")},
        "actor": {"id": 3, "username": "ada\x00"},
        "request": {"id": "r1", "method": "POST", "path": "/"},
    }
    row = batch_of(of=event(**context)).event
    assert (row.actor_id, row.actor_name, row.request_id) == ("3", "ada\ufffd", "r1")
    assert (row.context["instance"], row.decimals) == ({"weight": "1.50"}, ["/instance/weight"])


def test_an_event_says_which_execution_caused_it():
    caused = Event(UUID(int=1), "s", None, "", None, NOW, UUID(int=2), 1, {}, cause_id=UUID(int=3))
    row = batch_of(of=caused).event
    assert (row.cause_id, row.root_id, row.depth, row.operation, row.object_pk) == (UUID(int=3), UUID(int=2), 1, "", "")


def test_of_very_many_misses_some_are_kept_and_of_all_else_everything():
    outcomes = ["not_matched"] * (MISSES_KEPT + 10) + ["matched", "error"]
    kept = batch_of(evaluations=errors(*outcomes)).event.evaluations
    assert len(kept) == MISSES_KEPT + 2
    assert [one["outcome"] for one in kept[-2:]] == ["matched", "error"]


def test_what_went_wrong_is_told_once_a_minute_but_stands_on_each_event():
    news, known = (Evaluation("r", 1, "error", "condition", "no\x00", is_known=is_known) for is_known in (False, True))
    made = batch_of(evaluations=[news, known])
    assert [(row.rule_slug, row.gate, row.message) for row in made.errors] == [("r", "condition", "no\ufffd")]
    assert [one["detail"] for one in made.event.evaluations] == ["no\ufffd"] * 2


def test_what_acted_in_the_process_is_written_as_it_ended():
    rule = compiled("a", ActionSpec("log_message", {"message": "x"}, timing="before_save"))
    ended = [
        ActionOutcome(rule, rule.actions[0], State.SUCCEEDED, "done"),
        ActionOutcome(rule, rule.actions[0], State.REFUSED, "no"),
    ]
    rows = batch_of(rule, ended=ended).ended
    assert [(row.state, row.summary, row.error, row.attempts) for row in rows] == [
        ("succeeded", "done", "", 1),
        ("refused", "", "no", 1),
    ]
    assert [row.id for row in rows] == [end.id for end in ended]
    assert {row.finished_at for row in rows} == {NOW}


def test_a_failure_before_the_save_cancels_what_workers_would_do():
    first = ActionSpec("log_message", {"message": "x"}, timing="before_save", on_failure="stop")
    rule = compiled("a", first, ActionSpec("log_message", {"message": "y"}, 1))
    made = batch_of(rule, ended=[ActionOutcome(rule, rule.actions[0], State.DISCARDED, "no")])
    assert made.executions == []
    assert [(row.state, row.attempts, row.error) for row in made.ended] == [
        ("discarded", 1, "no"),
        ("cancelled", 0, NOT_AFTER_THAT),
    ]


def stopping(*timings: str) -> CompiledRule:
    """A rule whose actions stop it where they fail."""
    return compiled(
        "a",
        *(
            ActionSpec("log_message", {"message": "x"}, n, timing=timing, on_failure="stop")  # type: ignore[arg-type]
            for n, timing in enumerate(timings)
        ),
    )


def test_workers_carry_out_what_comes_before_the_stop_alone():
    rule = stopping("after_commit", "before_save", "after_commit")
    made = batch_of(rule, compiled("b", NOTE), ended=[ActionOutcome(rule, rule.actions[1], State.DISCARDED, "no")])
    assert [(row.rule_slug, row.position) for row in made.executions] == [("a", 0), ("b", 0)]
    assert [(row.position, row.state) for row in made.ended] == [(1, "discarded"), (2, "cancelled")]


def test_what_succeeded_before_the_save_stops_nothing():
    rule = stopping("before_save", "after_commit")
    made = batch_of(rule, ended=[ActionOutcome(rule, rule.actions[0], State.SUCCEEDED)])
    assert [row.position for row in made.executions] == [1]
    assert [row.position for row in made.ended] == [0]


def held(*actions: ActionSpec, each_rows: Any = (), **fields: Any) -> HeldRow:
    [row] = batch_of(compiled("a", *actions, **fields), each_rows=dict(each_rows), transaction="t1").held
    return row


def test_a_rule_that_holds_back_makes_one_held_match_and_no_execution():
    row = held(NOTE, ActionSpec("log_message", {"message": "x"}, 1), throttle_count=1, throttle_seconds=60)
    assert row.terms == {"throttle": [1, 60], "coalesce": None, "debounce": False, "once": False}
    assert [action["position"] for action in row.actions] == [0, 1]
    assert row.executions == 2


def test_what_is_taken_together_in_one_transaction_is_keyed_by_it():
    assert held(NOTE, coalesce_seconds=0).coalesce_key == "zoo.animal:5@t1"
    assert held(NOTE, coalesce_seconds=5).coalesce_key == "zoo.animal:5"


def test_a_key_that_cannot_be_told_is_the_rules_error_and_nothing_is_held():
    rule = compiled("a", NOTE, throttle_count=1, throttle_seconds=60)
    made = batch_of(replace(rule, hold=Hold(throttle=(1, 60), throttle_by="{% if %}")))
    assert (made.held, made.executions, made.event.execution_count) == ([], [], 0)
    assert [row.rule_slug for row in made.errors] == ["a"]
    assert "It cannot be said what it is held back by" in made.errors[0].message


EACH = ActionSpec("log_message", {"message": "{{ each.price }}"}, for_each="instance.meals")


def test_the_rows_of_an_action_for_each_wait_with_their_match():
    row = held(EACH, each_rows={("a", 0): [{"price": Decimal("1.50")}, {"price": None}]})
    assert row.executions == 2
    assert row.actions[0]["rows"][0] == {"row": {"price": "1.50"}, "decimals": ["/price"]}
    assert row.actions[0]["for_each"] == "instance.meals"


def match(*actions: dict[str, Any]) -> models.HeldMatch:
    columns = {"kind": "log_message", "config": {}, "state": "pending", "queue": "rules"}
    listed = [{**columns, "position": n, **action} for n, action in enumerate(actions)]
    return models.HeldMatch(event_id=UUID(int=1), rule_slug="a", rule_version=2, author_id="3", actions=listed)


def released(*actions: dict[str, Any]) -> list[ExecutionRow]:
    return released_rows(match(*actions), {"count": 4}, NOW)


def test_a_released_match_becomes_executions_that_know_its_count():
    [row] = released({"lane": "crm"})
    assert (row.rule_slug, row.rule_version, row.author_id, row.lane, row.state) == ("a", 2, "3", "crm", "pending")
    assert row.given == {"context": {"held": {"count": 4}}}


def test_a_released_action_for_each_becomes_an_execution_a_row():
    rows = released({"rows": [{"row": {"price": "1.50"}, "decimals": ["/price"]}] * 2, "for_each": "instance.meals"})
    assert len({row.id for row in rows}) == 2
    assert rows[0].given == {
        "context": {"held": {"count": 4}, "each": {"price": "1.50"}},
        "decimals": ["/each/price"],
        "for_each": "instance.meals",
    }


def test_rows_that_could_not_be_told_end_their_action_and_what_it_stops():
    rows = released({"rows": "No list.", "on_failure": "stop"}, {})
    assert [(row.state, row.error, row.finished_at) for row in rows] == [
        ("discarded", "No list.", NOW),
        ("cancelled", NOT_AFTER_THAT, NOW),
    ]


def test_a_match_held_by_an_older_release_may_know_other_columns():
    [row] = released({"gone_since": 1})
    assert (row.lane, row.delay, row.on_failure) == ("", 0, "go_on")


@pytest.mark.parametrize(
    ("positions", "states"),
    [
        ([0, 1, 2], ["discarded", "cancelled", "cancelled"]),
        ([1, 0, 2], ["discarded", "pending", "cancelled"]),
        ([2, 0, 1], ["discarded", "pending", "pending"]),
    ],
)
def test_only_what_comes_after_the_action_that_failed_is_cancelled(positions: list[int], states: list[str]) -> None:
    first, *others = positions
    rows = released({"rows": "No list.", "on_failure": "stop", "position": first}, *({"position": n} for n in others))
    assert [row.state for row in rows] == states
    assert [row.finished_at is None for row in rows] == [state == "pending" for state in states]


def test_where_an_action_without_rows_says_go_on_the_others_act() -> None:
    rows = released({"rows": "No list.", "on_failure": "go_on"}, {})
    assert [row.state for row in rows] == ["discarded", "pending"]


def test_an_action_for_each_of_no_rows_becomes_no_execution() -> None:
    assert released({"rows": [], "for_each": "instance.meals"}) == []


@pytest.mark.parametrize(
    ("terms", "stands_for", "events", "more"),
    [
        ({"lists": True}, 1, [str(UUID(int=1))], 0),
        ({"lists": True}, None, [str(UUID(int=1))], 0),
        ({"lists": True, "events": ["a", "b"]}, 2, ["a", "b"], 0),
        ({"lists": True, "events": ["a", "b"]}, 7, ["a", "b"], 5),
    ],
)
def test_an_action_that_lists_the_events_knows_how_many_more(
    terms: dict[str, Any], stands_for: int | None, events: list[str], more: int
) -> None:
    waited = match({"later": {"at": "08:00"}})
    waited.terms, waited.stands_for = terms, stands_for
    [row] = released_rows(waited, {"count": 4}, NOW)
    assert row.given == {"at": "08:00", "context": {"held": {"count": 4, "more": more}}, "events": events}
