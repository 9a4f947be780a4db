"""Beside psycopg's pool: who looks every second gives its connection back, and who renews leases asks for none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections

from rules_engine import checks
from rules_engine.databases.pools import is_pooled, pool_size
from rules_engine.live import watcher
from rules_engine.models import Execution
from rules_engine.testing import create_rule
from rules_engine.work import claims, tasks
from rules_engine.work.workers import worker_pools
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres("only Django's backend of it has a pool")]


@pytest.fixture
def use_pool(transactional_db: None) -> Iterator[Callable[[int], Any]]:
    """Have all connections of the test come from a pool of that size."""
    pytest.importorskip("psycopg_pool")
    connection.close()
    with pytest.MonkeyPatch.context() as patch:

        def use(size: int) -> Any:
            options = {"min_size": size, "max_size": size, "timeout": 0.5}
            patch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
            patch.setitem(connection.settings_dict["OPTIONS"], "pool", options)
            return connection.pool  # type: ignore[attr-defined]

        yield use
        connection.close()
        connection.close_pool()  # type: ignore[attr-defined]


def in_thread(work: Callable[[], Any]) -> None:
    """Do it in a thread, which does not close its connection at the end."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


@pytest.mark.parametrize("look", [watcher._look_from_afar, tasks.look_for_work])
def test_a_look_gives_its_connection_back(look: Callable[[], Any], use_pool: Any) -> None:
    pool = use_pool(1)
    in_thread(look)
    with connection.cursor() as cursor:  # waits for half a second at most
        cursor.execute("SELECT 1")
    assert pool.get_stats()["pool_size"] == 1


def test_without_a_pool_a_look_keeps_its_connection() -> None:
    kept = []

    def work() -> None:
        watcher._look_from_afar()
        kept.append(connection.connection is not None)
        connections.close_all()

    in_thread(work)
    assert kept == [True]


def test_a_lease_is_renewed_though_the_pool_is_used_up(use_pool: Any, settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "LEASE_SECONDS": 0.6}
    create_rule(model=Animal, slug="r", actions=[("log_message", {"message": "x"})])
    Animal.objects.create(name="a")
    connection.close()
    pool = use_pool(1)
    with connection.cursor() as cursor:  # the one connection is in use from here on
        claim = claims.claim()
        with claims.LeaseKeeper(claim.worker):
            time.sleep(1.5)
            cursor.execute("SELECT 1")
            assert pool.get_stats()["pool_available"] == 0
            assert not claims.claim()
    assert Execution.objects.get().leased_by == claim.worker


@pytest.mark.parametrize(
    ("pool", "concurrency", "needed"),
    [
        ("prefork", 8, 2),
        ("solo", 8, 2),
        ("threads", 8, 9),
        ("celery.concurrency.thread:TaskPool", 8, 9),
        ("gevent", "100", 101),
        ("eventlet", 3, 4),
    ],
)
def test_a_worker_needs_a_connection_for_each_task_of_a_process(pool: str, concurrency: Any, needed: int) -> None:
    assert worker_pools.connections_needed(pool, concurrency) == needed


@pytest.mark.parametrize(
    ("options", "size"), [({"max_size": 3}, 3), ({"min_size": 2}, 2), ({"min_size": 2, "max_size": None}, 2), (True, 4)]
)
def test_a_pool_that_is_too_small_for_the_workers_is_told(
    options: Any, size: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    conf = SimpleNamespace(worker_pool="threads", worker_concurrency=size)
    monkeypatch.setattr(worker_pools, "current_app", SimpleNamespace(conf=conf))
    assert checks.check_pool(None) == [], "there is no pool"

    class Worker:
        pool_cls, concurrency = "threads", 40

    with monkeypatch.context() as patch:
        patch.setitem(connection.settings_dict["OPTIONS"], "pool", options)
        assert (is_pooled("default"), pool_size("default")) == (True, size)
        [told] = checks.check_pool(None)
        assert told.id == "rules_engine.W012"
        assert f"has {size} connections; a worker needs {size + 1}" in told.msg

        worker_pools.say_what_is_needed(Worker)
        assert "a worker needs 41" in caplog.text

        conf.worker_concurrency = size - 1
        assert checks.check_pool(None) == []
