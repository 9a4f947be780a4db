"""What a worker's statements look at where much waits: as much as they take, whatever the backlog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from rules_engine.models import Execution
from rules_engine.work import claims
from rules_engine.work.leases import leasing
from rules_engine.work.tasks import due_queues

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres("its plans are told in its words")]

WAITING, TAKEN = 20_000, 50
INSERT = """
INSERT INTO rules_engine_execution (id, event_id, rule_slug, rule_version, kind, config, position, author_id, state,
    queue, lane, order_key, attempts, failures, crashes, delay, on_failure, next_attempt_at, leased_by, summary, error,
    created_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'r', 1, 'log_message', '{}', 0, '', 'pending',
    CASE WHEN number % 2 = 0 THEN 'rules' ELSE 'webhooks' END, '', '', 0, 0, 0, 0, 'go_on', now(), '', '', '', now()
FROM generate_series(1, %s) AS number
"""


@pytest.fixture(params=["statistics", "no statistics"])
def backlog(request: pytest.FixtureRequest) -> None:
    """Executions that one transaction wrote, and a database that has looked at how many they are, or has not yet."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT.replace("% 2", "%% 2"), [WAITING])
        if request.param == "statistics":
            cursor.execute("ANALYZE rules_engine_execution")
            return
        cursor.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        if cursor.fetchone() != (True,):
            pytest.skip("only a superuser may remove statistics")
        cursor.execute("DELETE FROM pg_statistic WHERE starelid = 'rules_engine_execution'::regclass")


def most_rows(node: dict[str, Any]) -> int:
    """The most rows that a step of a plan handed on or threw away."""
    own = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return int(max([own, *map(most_rows, node.get("Plans", ()))]))


def rows_looked_at(work: Callable[[], Any]) -> int:
    """The most rows that a step of any statement on executions looked at: each is explained before it is done."""
    most = 0

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        nonlocal most
        if "rules_engine_execution" in sql:
            with connection.connection.cursor() as cursor:
                cursor.execute("SAVEPOINT explained")
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", params)
                [[told]] = cursor.fetchone()
                cursor.execute("ROLLBACK TO SAVEPOINT explained")
            most = max(most, most_rows(told["Plan"]))
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(explained):
        work()
    return most


def taken_and_given_back(*queues: str) -> Iterator[int]:
    claim = claims.claim(*queues, limit=TAKEN)
    yield claims.renew(claim.worker)
    yield claims.give_back(claim.worker)


def test_a_claim_looks_at_what_it_takes(backlog: None) -> None:
    numbers: list[int] = []
    assert rows_looked_at(lambda: numbers.extend(taken_and_given_back("rules"))) <= 4 * TAKEN
    assert numbers == [TAKEN, TAKEN]


@pytest.mark.parametrize("backlog", ["statistics"], indirect=True)
@pytest.mark.parametrize("queues", [("rules", "webhooks"), ()])
def test_a_claim_of_several_queues_sorts_no_more_than_it_takes(queues: tuple[str, ...], backlog: None) -> None:
    numbers: list[int] = []
    assert rows_looked_at(lambda: numbers.extend(taken_and_given_back(*queues))) <= 4 * TAKEN
    assert numbers == [TAKEN, TAKEN]


def test_the_queues_that_are_due_are_found_without_counting_what_waits(backlog: None) -> None:
    told: list[str] = []
    assert rows_looked_at(lambda: told.extend(due_queues())) <= TAKEN
    assert told == ["rules", "webhooks"]


def test_an_expired_lease_is_found_without_looking_at_what_waits(backlog: None) -> None:
    expired = Execution.objects.filter(queue="rules").latest("id")
    ago = timezone.now() - timedelta(seconds=1)
    Execution.objects.filter(pk=expired.pk).update(leased_by="gone", lease_until=ago)
    told: list[str] = []
    assert rows_looked_at(lambda: told.append(claims.claim("rules", limit=TAKEN).worker)) <= 4 * TAKEN
    # The event of none is there, so that it goes on as if it had found nothing.
    assert Execution.objects.get(pk=expired.pk).leased_by == told[0]


def test_the_oldest_of_several_queues_are_taken_first(backlog: None) -> None:
    old = Execution.objects.filter(queue="webhooks").values_list("pk", flat=True)[:3]
    Execution.objects.filter(pk__in=list(old)).update(next_attempt_at=timezone.now() - timedelta(hours=1))
    claim = claims.claim(limit=4)
    taken = Execution.objects.filter(leased_by=claim.worker).order_by("next_attempt_at", "id")
    assert list(taken.values_list("queue", flat=True))[:3] == ["webhooks"] * 3
    assert len(taken) == 4


def test_where_very_many_leases_expired_all_are_looked_at(backlog: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leasing, "MOST_EXPIRED", 3)
    Execution.objects.filter(queue="webhooks").update(leased_by="a", lease_until=timezone.now() - timedelta(seconds=1))
    last = Execution.objects.filter(queue="rules").latest("id")
    Execution.objects.filter(pk=last.pk).update(leased_by="z", lease_until=timezone.now() - timedelta(seconds=1))
    claim = claims.claim("rules")
    assert Execution.objects.get(pk=last.pk).leased_by == claim.worker
