"""Errors of a site's actions that say odd things, or cannot say anything: recorded, told and counted all the same."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from project.clinic.models import Doctor
from rules_engine import keep_to_one_line
from rules_engine.actions import PermanentError, TransientError
from rules_engine.live.breakers.adding import add_up
from rules_engine.models import Execution, RuleFailures
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import Note, note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]


class Unspeakable(PermanentError):
    """Cannot be printed, nor asked for details."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__

    @property
    def detail(self) -> Any:
        raise ValueError("no details")

    @detail.setter
    def detail(self, value: Any) -> None:
        pass


def raising(monkeypatch: pytest.MonkeyPatch, error: Exception, timing: str = "after_commit") -> None:
    """Have the action of a rule raise that for one doctor, and not for another."""
    create_rule("clinic.doctor", slug="odd", actions=[note("{{ instance.first_name }}", timing=timing)])
    real = Note.run

    def run(self: Note, context: Any, config: Any) -> Any:
        if context.data["instance"]["first_name"] == "odd":
            raise error
        return real(self, context, config)

    monkeypatch.setattr(Note, "run", run)


def test_what_cannot_be_printed_ends_its_own_execution_and_no_other(
    monkeypatch: pytest.MonkeyPatch, noted: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    raising(monkeypatch, Unspeakable("x"))
    for name in ("odd", "Ada"):
        Doctor.objects.create(first_name=name)
    run_due()
    odd, ada = Execution.objects.order_by("pk")
    assert (odd.state, odd.error, odd.attempts) == ("discarded", "Unspeakable", 1)
    assert (ada.state, noted) == ("succeeded", ["Ada"])
    assert any("was given up at attempt 1: <Unspeakable>" in line for line in caplog.messages)


def test_a_wait_that_is_no_number_is_that_of_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    raising(monkeypatch, TransientError("x", retry_after="Wed, 21 Oct 2026 07:28:00 GMT"))  # type: ignore[arg-type]
    Doctor.objects.create(first_name="odd")
    run_due()
    assert Execution.objects.get().state == "retryable"


@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"], ids=["NUL", "half a character"])
def test_an_error_that_no_database_takes_is_counted_like_others(
    monkeypatch: pytest.MonkeyPatch, text: str, timing: str
) -> None:
    raising(monkeypatch, PermanentError(text), timing)
    create_rule(
        "clinic.doctor", slug="other", condition={"<": [{"var": "instance.first_name"}, 5]}, actions=[note("x")]
    )
    Doctor.objects.create(first_name="odd")
    run_due()
    add_up()
    assert sorted(RuleFailures.objects.values_list("rule_slug", "failed")) == [("odd", 1), ("other", 1)]


def test_a_line_that_quotes_half_a_character_is_written_all_the_same(tmp_path: Path) -> None:
    logger = keep_to_one_line(logging.getLogger("tests.halves"))
    handler = logging.FileHandler(tmp_path / "log", encoding="utf-8")
    logger.addHandler(handler)
    try:
        logger.error("It said %s.", "a\ud800b", exc_info=PermanentError("c\udfffd"))
    finally:
        logger.removeHandler(handler)
        handler.close()
    first, *_, last = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    assert (first, last) == ("It said a\\ud800b.", "rules_engine.errors.PermanentError: c\\udfffd")


def test_a_line_tells_what_it_can_of_a_value_that_cannot_be_printed(caplog: pytest.LogCaptureFixture) -> None:
    class Odd:
        def __str__(self) -> str:
            raise ValueError("no words")

        __repr__ = __str__

    logger = keep_to_one_line(logging.getLogger("tests.odd"))
    logger.warning("It is %s, or %r.", Odd(), Odd())
    assert caplog.messages == ["It is <Odd>, or <Odd>."]
