"""What a worker's statements look at where much waits: as much as they take, whatever the backlog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, transaction

from rules_engine.work import claims
from rules_engine.work.tasks import due_queues

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

WAITING, TAKEN = 20_000, 50
INSERT = """
INSERT INTO rules_engine_execution (id, event_id, rule_slug, rule_version, kind, config, position, author_id, state,
    queue, lane, order_key, attempts, failures, crashes, delay, on_failure, next_attempt_at, leased_by, summary, error,
    created_at)
SELECT gen_random_uuid(), gen_random_uuid(), 'r', 1, 'log_message', '{}', 0, '', 'pending',
    CASE WHEN number % 2 = 0 THEN 'rules' ELSE 'webhooks' END, '', '', 0, 0, 0, 0, 'go_on', now(), '', '', '', now()
FROM generate_series(1, %s) AS number
"""


@pytest.fixture
def backlog() -> None:
    """Executions that one transaction wrote, and a database that has looked at how many they are."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT.replace("% 2", "%% 2"), [WAITING])
        cursor.execute("ANALYZE rules_engine_execution")


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


def taken_and_given_back() -> Iterator[int]:
    claim = claims.claim("rules", limit=TAKEN)
    yield claims.renew(claim.worker)
    yield claims.give_back(claim.worker)


def test_a_claim_looks_at_what_it_takes(backlog: None) -> None:
    numbers: list[int] = []
    assert rows_looked_at(lambda: numbers.extend(taken_and_given_back())) <= 4 * TAKEN
    assert numbers == [TAKEN, TAKEN]


def test_the_queues_that_are_due_are_found_without_counting_what_waits(backlog: None) -> None:
    told: list[str] = []
    assert rows_looked_at(lambda: told.extend(due_queues())) <= TAKEN
    assert told == ["rules", "webhooks"]
