"""The sample of a rule test: what its header may say of the event, and that what it leaves out is null."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from rules_engine.test.kept.running import run
from rules_engine.test.kept.samples import MisshapenSample, event_of, sample_of
from rules_engine.types import ActionSpec, RuleSpec, RuleTestSpec

AT = datetime(2031, 5, 6, 10, 30, tzinfo=UTC)
RULE = RuleSpec(
    slug="r",
    name="R",
    model="zoo.animal",
    signals=("post_save",),
    condition={">": [{"var": "instance.legs"}, 3]},
    actions=(ActionSpec("log_message", {"message": "{{ instance.name }}", "level": "info"}),),
)


def kept(context: dict[str, Any], operation: str = "update", **expected: Any) -> RuleTestSpec:
    return RuleTestSpec("T", "post_save", AT, operation, context, {"outcome": "acts", **expected})


def test_what_a_sample_leaves_out_is_null() -> None:
    event = event_of(RULE, kept({"instance": {"pk": 7, "legs": 4}}))
    assert (event.pk, event.occurred_at, event.context["created"]) == (7, AT, False)
    assert event.context["changes"] is None
    assert event_of(RULE, kept({"instance": {"pk": 7}}, operation="create")).context["created"] is True


def test_names_of_what_changed_are_those_of_the_changes() -> None:
    changes = {"legs": {"old": 3, "new": 4}}
    assert event_of(RULE, kept({"instance": {"pk": 7}, "changes": changes})).context["changed"] == ["legs"]


def test_a_sample_of_an_event_has_its_decimals_again() -> None:
    sample = sample_of({"event": {"pk": 7}, "instance": {"pk": 7, "weight": Decimal("4.20")}, "held": {"count": 2}})
    assert "held" not in sample
    event = event_of(RULE, kept(sample))
    assert event.context["instance"]["weight"] == Decimal("4.20")


def test_the_sample_itself_is_not_changed() -> None:
    context = {"event": {"pk": 9}, "instance": {"pk": 7}}
    event_of(RULE, kept(context))
    assert context == {"event": {"pk": 9}, "instance": {"pk": 7}}


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("post_save", '"event" is an object, or left out.'),
        ([1], '"event" is an object, or left out.'),
        ({"decimals": ["/instance/gone"]}, "what is not there or no such thing"),
        ({"decimals": ["/instance/name"]}, "what is not there or no such thing"),
        ({"decimals": 5}, "what is not there or no such thing"),
    ],
)
def test_a_header_that_is_none_is_said_and_raises_nothing_else(header: Any, said: str) -> None:
    test = kept({"event": header, "instance": {"pk": 7, "legs": 4, "name": "Rex"}})
    with pytest.raises(MisshapenSample) as refused:
        event_of(RULE, test)
    assert said in str(refused.value)
    verdict = run(RULE, test)
    assert not verdict.is_passed
    assert any(said in difference for difference in verdict.differences)


def test_a_test_passes_where_what_comes_is_what_it_expects() -> None:
    context = {"instance": {"pk": 7, "legs": 4, "name": "Rex"}}
    action = {"kind": "log_message", "settings": {"message": "Rex"}}
    assert run(RULE, kept(context, actions=[action])).is_passed
    verdict = run(RULE, kept({"instance": {"pk": 7, "legs": 2, "name": "Rex"}}))
    assert not verdict.is_passed
    assert "Expected: it acts. Now: it stops" in verdict.differences[0]


def test_a_text_that_reads_what_the_sample_lacks_says_so() -> None:
    verdict = run(RULE, kept({"instance": {"pk": 7, "legs": 4}}))
    assert verdict.differences == [
        '"Message" of action 1 (Write a log message): The sample lacks what it reads: instance.name.'
    ]
