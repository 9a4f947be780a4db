"""A worker's connection is kept between its drains, where the site has connections kept, and never else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection, connections, transaction

from rules_engine.databases import keeping
from rules_engine.databases.keeping import kept_connection
from rules_engine.models import Rule
from rules_engine.work import tasks
from tests import sessions

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.row_locks]


@pytest.fixture(autouse=True)
def max_age(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 60)
    connection.close()
    yield
    kept = vars(connections["default"]).pop(keeping.ATTRIBUTE, None)
    if kept is not None:
        kept.driver.close()
    connection.close()


def session() -> int:
    """The session of the database that a drain works in, from task to task as Celery has it."""
    with kept_connection("default"):
        number = sessions.number()
    connection.close()
    return number


def test_one_session_serves_all_drains() -> None:
    assert session() == session()


def test_what_the_site_does_in_between_has_a_session_of_its_own() -> None:
    first = session()
    Rule.objects.count()
    assert connection.connection is not None
    assert session() != first, "the one that is open is gone on with"


@pytest.mark.parametrize("age", [0, -1])
def test_none_is_kept_beyond_its_age(age: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", age)
    assert session() != session()


def test_one_that_the_server_has_closed_is_replaced() -> None:
    first = session()
    sessions.end(first)
    connection.close()
    assert session() != first


def test_one_of_another_process_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    first = session()
    kept: Any = vars(connections["default"])[keeping.ATTRIBUTE]
    monkeypatch.setattr(os, "getpid", lambda: kept.pid + 1)
    assert session() != first
    assert not kept.driver.closed
    kept.driver.close()


def test_one_in_a_transaction_is_not_taken_away() -> None:
    with transaction.atomic():
        with kept_connection("default"):
            Rule.objects.count()
        assert connection.connection is not None


def test_one_on_which_something_failed_is_not_kept() -> None:
    with pytest.raises(DatabaseError), kept_connection("default"), connection.cursor() as cursor:
        cursor.execute("SELECT nothing FROM nowhere")
    assert keeping.ATTRIBUTE not in vars(connections["default"])


def test_a_drain_that_no_worker_runs_takes_no_connection_away() -> None:
    tasks.drain("rules")
    assert connection.connection is not None
    assert keeping.ATTRIBUTE not in vars(connections["default"])
