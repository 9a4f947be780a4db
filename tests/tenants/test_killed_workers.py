"""A worker that is killed while it acts inside a tenant: another acts in the same tenant, and in no other."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, transaction
from django_tenants.utils import schema_context

from rules_engine.models import Execution
from rules_engine.testing import create_rule
from rules_engine.testing.faults.processes import Worker, begin
from rules_engine.testing.faults.waiting import eventually
from tests import sessions
from tests.tenants.orders.models import Order

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tenants")]

ADDED = ("create_object", {"model": "orders.order", "values": [{"field": "name", "value": "of {{ instance.name }}"}]})
SEEN = ("update_objects", {"values": [{"field": "note", "value": "seen"}]})


@pytest.fixture
def start(process_environment: dict[str, str], tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    """What starts a worker of our own; all are ended with the test."""
    environment = {**process_environment, "DJANGO_SETTINGS_MODULE": "tests.tenants.worker_settings"}
    workers: list[Worker] = []

    def begun() -> Worker:
        command = [sys.executable, "-m", "django", "rules_worker", "--processes=1"]
        workers.append(begin(command, environment, tmp_path / f"worker{len(workers)}.log"))
        return workers[-1]

    yield begun
    for worker in workers:
        worker.kill()


def orders_of(schema: str) -> list[tuple[str, str]]:
    with schema_context(schema):
        return list(Order.objects.order_by("pk").values_list("name", "note"))


def is_waited_for() -> bool:
    with connection.cursor() as cursor:
        # What it says of others it says all through a transaction.
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(sessions.WAITING[connection.vendor])
        return bool(cursor.fetchall())


def test_what_a_killed_worker_was_doing_in_a_tenant_is_done_there_once(start: Callable[[], Worker]) -> None:
    create_rule(
        Order, operations=["create"], condition={"==": [{"var": "instance.note"}, "new"]}, actions=[ADDED, SEEN]
    )
    for schema in ("beta", "acme"):
        with schema_context(schema), transaction.atomic():
            Order.objects.create(name=schema, note="new")
    # Whoever marks the order of acme as seen waits here, inside of that tenant.
    with schema_context("acme"), transaction.atomic():
        Order.objects.select_for_update().get()
        worker = start()
        eventually(is_waited_for, lambda: worker.log)
        worker.kill()
    assert orders_of("acme")[0] == ("acme", "new")
    last = start()
    eventually(lambda: not Execution.objects.live().exists(), lambda: last.log)
    assert orders_of("acme") == [("acme", "seen"), ("of acme", "")]
    assert orders_of("beta") == [("beta", "seen"), ("of beta", "")]
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
