"""What is old is forgotten whole, and nobody waits for that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from rules_engine.models import Attempt, Event, Execution, RuleError, RuleFailures
from rules_engine.models.execution import State
from rules_engine.testing import create_rule, run_due
from rules_engine.work import retention
from tests import sessions
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

OLD, HOUR = timedelta(days=40), timedelta(hours=1)


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)


def animals(number: int) -> None:
    """Make animals, each with an event, an execution that has ended, and its attempt."""
    create_rule(slug="r", model=Animal, actions=[("log_message", {"message": "x"})])
    for _ in range(number):
        Animal.objects.create()
    assert run_due() == number


def grow_old(*, but: int = 0) -> None:
    """Make all records old, but for the last few executions."""
    then = timezone.now() - OLD
    last = Execution.objects.order_by("-id").values_list("pk", flat=True)[:but]
    Execution.objects.exclude(pk__in=list(last)).update(created_at=then)
    Attempt.objects.update(started_at=then)
    Event.objects.update(created_at=then)


def left() -> tuple[int, int, int]:
    return Event.objects.count(), Execution.objects.count(), Attempt.objects.count()


@contextmanager
def at_the_first(word: str, table: str, do: Callable[[], Any]) -> Iterator[None]:
    """Do something right before the first statement of a kind on a table."""
    waiting = [do]

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        if waiting and f"{word} FROM {connection.ops.quote_name(table)}" in sql:
            waiting.pop()()
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        yield
    assert not waiting


def test_what_is_old_goes_in_batches_and_what_is_young_stays() -> None:
    animals(5)
    grow_old(but=1)
    told = retention.prune()
    assert (told["executions"], told["attempts"], told["events"]) == (4, 4, 4)
    assert left() == (1, 1, 1)
    assert Attempt.objects.get().execution == Execution.objects.get()


def test_an_execution_that_grows_old_meanwhile_goes_with_its_attempts() -> None:
    animals(4)
    grow_old(but=2)
    with at_the_first("DELETE", "rules_engine_execution", grow_old):
        retention.prune()
    assert left() == (0, 0, 0)


@pytest.mark.postgres("elsewhere rows are found, locked and removed by their keys")
def test_what_is_old_is_removed_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 10)
    animals(12)
    grow_old()
    keys = list(Execution.objects.values_list("pk", flat=True))
    with CaptureQueriesContext(connection) as queries:
        retention.prune()
    assert left() == (0, 0, 0)
    about = [query["sql"] for query in queries if 'DELETE FROM "rules_engine_execution"' in query["sql"]]
    assert len(about) == 3, "ten with their attempts, two, and none"
    assert not [key for key in keys if any(str(key) in sql or key.hex in sql for sql in about)]


def test_a_batch_that_took_long_is_followed_by_fewer_rows() -> None:
    assert retention.next_size(1_000, 0.2) == 500
    assert retention.next_size(60, 0.2) == retention.next_size(50, 0.2) == 50
    assert retention.next_size(2, 0.2) == 2


def test_after_quick_batches_more_rows_go_together_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1_000)
    assert [retention.next_size(size, 0.001) for size in (50, 700, 1_000)] == [100, 1_000, 1_000]
    assert retention.next_size(500, 0.04) == 500


def test_attempts_that_were_left_behind_are_found() -> None:
    animals(3)
    grow_old()
    Execution.objects.all()._raw_delete("default")
    kept = Attempt.objects.latest("pk")
    Attempt.objects.filter(pk=kept.pk).update(started_at=timezone.now())
    assert retention.prune()["attempts"] == 2
    assert Attempt.objects.get() == kept


def test_what_is_replayed_while_it_is_pruned_is_kept() -> None:
    animals(2)
    grow_old()
    chosen = Execution.objects.order_by("id").values_list("pk", flat=True)[0]

    def replay() -> None:
        assert Execution.objects.filter(pk=chosen).replay() == 1

    with at_the_first("DELETE", "rules_engine_execution", replay):
        retention.prune()
    assert Execution.objects.get().state == State.RETRYABLE
    assert left() == (1, 1, 1)


def test_errors_of_rules_are_pruned_by_their_keys() -> None:
    rows = [RuleError(rule_slug="r", rule_version=1, message=str(n)) for n in range(7)]
    RuleError.objects.bulk_create(rows)
    RuleError.objects.exclude(message="3").update(created_at=timezone.now() - OLD)
    assert retention.prune()["rule errors"] == 6
    assert RuleError.objects.get().message == "3"


def test_a_dry_run_counts_what_a_real_one_removes() -> None:
    animals(3)
    grow_old(but=1)
    told = retention.prune(dry_run=True)
    assert left() == (3, 3, 3)
    # An event goes once its executions have gone.
    assert {**retention.prune(), "events": 0} == {**told, "events": 0}


@pytest.mark.row_locks
def test_nobody_is_waited_for() -> None:
    animals(5)
    grow_old()
    other: Any = connections.create_connection("default")
    busy = Execution.objects.order_by("id").values_list("pk", "event_id")[0]
    key = Execution._meta.pk.get_db_prep_value(busy[0], connection)
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM rules_engine_execution WHERE id = %s FOR UPDATE", [key])
        with transaction.atomic():
            sessions.wait_for_no_lock()
            retention.prune()
        assert left() == (1, 1, 1)
        assert Execution.objects.get().pk == busy[0]
        with other.cursor() as cursor:
            cursor.execute("ROLLBACK")
        retention.prune()
        assert left() == (0, 0, 0)
    finally:
        other.close()


def test_what_a_breaker_counted_long_ago_is_forgotten() -> None:
    for slug in ("mended", "gone", "failing"):
        RuleFailures.objects.create(rule_slug=slug, part="condition", version=1)
    RuleFailures.objects.exclude(rule_slug="failing").update(last_failed_at=timezone.now() - OLD)
    assert retention.prune(dry_run=True)["failures of rules"] == 2
    assert retention.prune()["failures of rules"] == 2
    assert RuleFailures.objects.get().rule_slug == "failing"


def test_what_a_breaker_counted_just_now_outlasts_a_short_retention(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETENTION_DAYS": 0.001}
    RuleFailures.objects.create(rule_slug="failing", part="condition", version=1, last_failed_at=timezone.now() - HOUR)
    retention.prune()
    assert RuleFailures.objects.exists()
