"""What each action of a tested rule would do, as far as that can be shown, and why not where it cannot."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from rules_engine.errors import PermanentError
from rules_engine.live.compiler import compile_rule
from rules_engine.rules import registry
from rules_engine.rules.contract import Action, Preview
from rules_engine.rules.repetition import Each
from rules_engine.test.previews import ROWS_SHOWN, Planned, Planner, rows_of
from rules_engine.types import ActionContext, ActionSpec, Event, RuleSpec

LOG = {"message": "Order {{ instance.order_number }}"}


class Odd(Action):
    """Raises what it is told to, or says what it was given."""

    kind = "odd"
    label = "Odd"
    schema: Mapping[str, Any] = {"type": "object", "keys": {}}
    raises: Exception | None = None

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        """Tell of the row."""
        if self.raises is not None:
            raise self.raises
        return Preview(f"{context.data.get('each')} {context.data.get('held')}")


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Odd:
    """The odd action, registered."""
    action = Odd()
    monkeypatch.setitem(registry._actions, "odd", action)
    return action


def spec(*actions: ActionSpec, **fields: Any) -> RuleSpec:
    return RuleSpec(slug="r", model="shop.order", signals=("post_save",), actions=actions, **fields)


def planned(rule: RuleSpec, rows: Mapping[int, Any] | None = None, *, is_superuser: bool = True) -> list[Planned]:
    event_id, at = uuid.uuid4(), datetime(2026, 5, 6, tzinfo=UTC)
    context = {"instance": {"order_number": "A1"}}
    event = Event(event_id, "post_save", "update", "shop.order", 1, at, event_id, 0, context)
    user = get_user_model()(username="ada", is_active=True, is_superuser=is_superuser)
    if not is_superuser:
        user._perm_cache = set()
    return Planner(rule, event, user).plan(rows or {})


def test_actions_are_shown_in_their_order_without_those_that_are_off() -> None:
    actions = [
        ActionSpec("log_message", {"message": "second"}, position=2),
        ActionSpec("log_message", {"message": "off"}, position=0, enabled=False),
        ActionSpec("log_message", LOG, position=1),
    ]
    shown = planned(spec(*actions))
    assert [plan.action.position for plan in shown] == [1, 2]
    assert "Order A1" in str(shown[0].previews)


def test_a_kind_that_is_not_there_is_said_so() -> None:
    [plan] = planned(spec(ActionSpec("log_mesage", {})))
    assert 'Did you mean "log_message"?' in plan.trouble


def test_who_lacks_a_permission_is_not_shown_what_takes_it() -> None:
    action = ActionSpec("update_objects", {"target": "instance", "values": [{"field": "discount", "value": "7"}]})
    [plan] = planned(spec(action), is_superuser=False)
    assert plan.previews == ()
    assert "you lack the permission" in plan.trouble
    assert "shop.change_order" in plan.trouble


def test_what_an_action_says_in_words_is_shown_as_it_is(odd: Odd) -> None:
    odd.raises = PermanentError("There is no such address.")
    [plan] = planned(spec(ActionSpec("odd", {})))
    assert (plan.previews, plan.trouble) == ((), "There is no such address.")


def test_what_an_action_raises_by_mistake_is_shown_and_logged(odd: Odd, caplog: pytest.LogCaptureFixture) -> None:
    odd.raises = KeyError("oops")
    [plan] = planned(spec(ActionSpec("odd", {})))
    assert plan.trouble == "KeyError: 'oops'"
    [record] = caplog.records
    assert record.exc_info is not None


def test_of_many_rows_the_first_are_shown_and_all_are_counted(odd: Odd) -> None:
    [plan] = planned(spec(ActionSpec("odd", {}, for_each="instance.items")), {0: list("abcde")})
    assert [preview.summary[0] for preview in plan.previews] == list("abcde")[:ROWS_SHOWN]
    assert plan.count == 5


def test_rows_that_cannot_be_told_are_the_trouble(odd: Odd) -> None:
    [plan] = planned(spec(ActionSpec("odd", {}, for_each="instance.items")), {0: "It did not come to a list."})
    assert plan.trouble == "It did not come to a list."


def test_a_rule_that_holds_back_is_shown_with_nothing_held(odd: Odd) -> None:
    [plan] = planned(spec(ActionSpec("odd", {}), throttle_count=1, throttle_seconds=60))
    assert plan.previews[0].summary == "None {'count': 0, 'together': 0, 'throttled': 0}"


def test_the_rows_of_each_action_or_why_there_are_none() -> None:
    actions = [
        ActionSpec("log_message", LOG, position=0),
        ActionSpec("log_message", LOG, position=1, for_each="instance.items"),
    ]
    compiled = compile_rule(spec(*actions), 1).actions

    def data_of(each: Each) -> Mapping[str, Any]:
        return {"instance": {"items": items}}

    items: Any = [{"pk": 1}]
    assert dict(rows_of(compiled, data_of)) == {1: [{"pk": 1}]}
    items = "none"
    assert "It did not come to a list." in str(dict(rows_of(compiled, data_of))[1])
