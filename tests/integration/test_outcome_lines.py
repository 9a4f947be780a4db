"""One line of the log an outcome, with the ids as fields; nothing of what is undone, and no secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from project.shop.models import Product
from rules_engine.actions import Action, ActionContext, ActionResult, TransientError
from rules_engine.models import Event, Execution
from rules_engine.outbox.releasing import release_due
from rules_engine.rules import registry
from rules_engine.testing import create_rule
from rules_engine.work import queues

pytestmark = pytest.mark.django_db(transaction=True)

OUTCOMES = "rules_engine.outcomes"
NOTE = [("log_message", {"message": "x"})]


class Fails(Action):
    """Raises what the test says."""

    kind = "fails"
    label = "Fail"
    schema = {"type": "object", "keys": {}}
    error: Exception = TransientError("not now")

    def run(self, context: ActionContext, config: Any) -> ActionResult:
        raise self.error


@pytest.fixture
def fails() -> Iterator[None]:
    registry.register_action(Fails)
    yield
    del registry._actions["fails"]


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, logger="rules_engine")
    return lambda: [record for record in caplog.records if record.name == OUTCOMES]


def save() -> None:
    Product.objects.create(name="p", slug="p", price="1")


def act() -> None:
    queues.drain("rules", seconds=30)


def test_a_match_and_its_execution_are_a_line_each(lines: Any):
    create_rule(model=Product, slug="r", actions=NOTE)
    save()
    act()
    matched, succeeded = lines()
    event, execution = Event.objects.get(), Execution.objects.get()
    assert (matched.outcome, matched.levelno, matched.event_id) == ("matched", logging.INFO, str(event.pk))
    assert (succeeded.outcome, succeeded.levelno) == ("succeeded", logging.INFO)
    assert (succeeded.event_id, succeeded.execution_id) == (str(event.pk), str(execution.pk))
    assert (succeeded.rule, succeeded.kind, succeeded.queue, succeeded.attempt) == ("r", "log_message", "rules", 1)
    assert str(execution.pk) in succeeded.getMessage()


def test_a_save_that_nothing_matches_is_no_line(lines: Any):
    create_rule(model=Product, condition={"==": [{"var": "instance.name"}, "other"]}, actions=NOTE)
    save()
    assert lines() == []


def test_what_is_undone_is_no_line(lines: Any):
    create_rule(model=Product, actions=NOTE)
    with transaction.atomic():
        save()
        transaction.set_rollback(True)
    assert lines() == []


def test_a_failure_is_a_warning_until_it_is_given_up(lines: Any, fails: None, settings: Any):
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETRY_SCHEDULE": [0]}
    create_rule(model=Product, actions=[("fails", {})])
    save()
    act()
    assert [(line.outcome, line.levelno, line.attempt) for line in lines()[1:]] == [
        ("retryable", logging.WARNING, 1),
        ("discarded", logging.ERROR, 2),
    ]


def test_a_rule_that_cannot_be_evaluated_is_an_error(lines: Any):
    create_rule(model=Product, slug="r", condition={"<": [{"var": "instance.name"}, 5]}, actions=NOTE)
    save()
    failed = next(line for line in lines() if line.outcome == "rule_error")
    assert (failed.levelno, failed.rule, failed.event_id) == (logging.ERROR, "r", str(Event.objects.get().pk))


def test_a_released_match_is_a_line(lines: Any):
    create_rule(model=Product, slug="r", actions=NOTE, throttle_count=5, throttle_seconds=60)
    save()
    release_due()
    released = lines()[-1]
    assert (released.outcome, released.rule, released.event_id) == ("released", "r", str(Event.objects.get().pk))


def test_rows_that_an_error_quotes_reach_neither_log_nor_page(lines: Any, fails: None, monkeypatch: Any):
    quoted = "null value\nDETAIL:  Failing row contains (1, pbkdf2_sha256$secret)."
    monkeypatch.setattr(Fails, "error", IntegrityError(quoted))
    create_rule(model=Product, actions=[("fails", {})])
    save()
    act()
    line = lines()[-1]
    text = logging.Formatter("%(message)s").format(line)
    assert "IntegrityError" in text
    assert "null value" in text
    assert "pbkdf2" not in text
    assert "pbkdf2" not in Execution.objects.get().error


def test_without_opentelemetry_nothing_is_imported_or_kept():
    create_rule(model=Product, actions=NOTE)
    save()
    act()
    assert Event.objects.get().trace is None
    assert not any(name.split(".")[0] == "opentelemetry" for name in sys.modules)
