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
