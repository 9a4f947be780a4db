"""What a site's action answers is recorded as far as it can be, and never makes what it did happen again."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from project.clinic.models import Doctor
from rules_engine.actions import ActionResult
from rules_engine.errors import PutOff
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import Note, note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]


class Mute:
    """Has no words, and is neither true nor false, as arrays of numbers are."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__

    def __bool__(self) -> bool:
        raise ValueError("neither")


def answering(monkeypatch: pytest.MonkeyPatch, answer: Any, timing: str = "after_commit") -> None:
    """Have the action of a rule act, and then give that answer, or raise it."""
    create_rule("clinic.doctor", actions=[note("{{ instance.first_name }}", timing=timing)])
    real = Note.run

    def run(self: Note, context: Any, config: Any) -> Any:
        real(self, context, config)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Note, "run", run)


@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
@pytest.mark.parametrize(
    ("answer", "summary", "detail"),
    [
        (None, "", {}),
        ("sent", "sent", {}),
        (0, "", {}),
        (3, "3", {}),
        (Mute(), "", {}),
        (ActionResult(), "", {}),
        (ActionResult("a\x00b\ud800"), "a\ufffdb?", {}),
        (ActionResult(7), "7", {}),  # type: ignore[arg-type]
        (ActionResult(None), "", {}),  # type: ignore[arg-type]
        (ActionResult(Mute()), "", {}),  # type: ignore[arg-type]
        (ActionResult("x", None), "x", {}),  # type: ignore[arg-type]
        (ActionResult("x", ["a"]), "x", {}),  # type: ignore[arg-type]
        (ActionResult("x", "text"), "x", {}),  # type: ignore[arg-type]
        (ActionResult("x", MappingProxyType({"n": float("nan"), 5: {1}})), "x", {"n": None, "5": [1]}),
        (ActionResult("x", {"is": Mute()}), "x", {"is": {"type": "Mute", "text": "<ValueError in str()>"}}),
    ],
)
def test_an_odd_answer_is_recorded_as_far_as_it_goes(
    monkeypatch: pytest.MonkeyPatch, noted: list[str], answer: Any, summary: str, detail: Any, timing: str
) -> None:
    answering(monkeypatch, answer, timing)
    Doctor.objects.create(first_name="Ada")
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, execution.summary, execution.error) == ("succeeded", summary, "")
    run_due()
    assert noted == ["Ada"]
    if timing == "after_commit":
        assert Attempt.objects.get().detail == detail


@pytest.mark.parametrize("wait", [None, "soon", float("inf"), -5])
def test_a_turn_that_comes_at_no_time_is_waited_for_by_the_schedule(monkeypatch: pytest.MonkeyPatch, wait: Any) -> None:
    answering(monkeypatch, PutOff("Full.", retry_after=wait))
    Doctor.objects.create(first_name="Ada")
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, execution.error, execution.failures) == ("pending", "Full.", 0)
    assert execution.next_attempt_at is not None


#: What a hook of an action may come to by mistake; an error is raised.
ODD_HOOKS = [ValueError("x"), None, 5, "x", Mute(), [Mute()], [5]]


def hooked(monkeypatch: pytest.MonkeyPatch, hook: str, answer: Any) -> None:
    def odd(self: Note, *args: Any, **named: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Note, hook, odd)


@pytest.mark.parametrize("answer", ODD_HOOKS)
@pytest.mark.parametrize("hook", ["reads", "effects"])
def test_an_action_that_misdescribes_itself_holds_up_no_other_rule(
    monkeypatch: pytest.MonkeyPatch, noted: list[str], hook: str, answer: Any
) -> None:
    create_rule("clinic.doctor", slug="odd", actions=[note("{{ instance.first_name }}")])
    well = create_rule("clinic.doctor", slug="well", actions=[("log_message", {"message": "x"})])
    hooked(monkeypatch, hook, answer)
    well.save()  # all are compiled anew
    assert Doctor.objects.create(first_name="Ada").pk
    run_due()
    assert Execution.objects.get(rule_slug="well").state == "succeeded"
    odd = Execution.objects.filter(rule_slug="odd").first()
    assert odd is None or odd.state in ("succeeded", "retryable")


@pytest.mark.parametrize("answer", [*ODD_HOOKS[:-1], [-1], [float("inf")], {"a": 1}])
def test_an_action_that_names_no_waits_is_tried_again_by_the_sites(
    monkeypatch: pytest.MonkeyPatch, answer: Any, settings: Any
) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETRY_SCHEDULE": [3_600]}
    create_rule("clinic.doctor", actions=[note("{{ instance.first_name }}", fails=True, passing=True)])
    hooked(monkeypatch, "retry_schedule", answer)
    Doctor.objects.create(first_name="Ada")
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, execution.attempts, execution.error) == ("retryable", 1, "Ada failed")
    wait = (execution.next_attempt_at - Attempt.objects.get().finished_at).total_seconds()
    assert 3_600 * 0.79 <= wait <= 3_600 * 1.21
