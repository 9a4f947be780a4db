"""Workers whose threads are greenlets, as ``celery worker -P gevent`` has them, carry out all that others do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from project.shop.models import Product
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule
from tests import http_server as behave
from tests.factories import make_endpoint
from tests.faults.processes import python, said
from tests.faults.workers import Crew, crew_with_redis
from tests.http_server import MisbehavingServer

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres("its driver lets greenlets run beside each other"),
]

PATCH = {
    "gevent": "from gevent import monkey; monkey.patch_all()\n",
    "eventlet": "import eventlet; eventlet.monkey_patch()\n",
}
TWO_AT_ONCE = """
import threading
from webhooks.http.client import deliver_now

ends = []

def deliver():
    ends.append(deliver_now(os.environ["RECEIVER"], b"{}", {}).status)

def use_database():
    end = time.monotonic() + 5
    while len(ends) < 2 and time.monotonic() < end:
        Doctor.objects.count()
        time.sleep(0.01)

greenlets = [threading.Thread(target=work) for work in (deliver, use_database, deliver)]
for greenlet in greenlets:
    greenlet.start()
for greenlet in greenlets:
    greenlet.join()
say(ends=ends)
"""
ALLOWED = {"ALLOW_HTTP": True, "ALLOWED_NETWORKS": ["127.0.0.0/8"], "DEADLINE_SECONDS": 10}


@pytest.fixture
def receiver() -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        running.on("/", behave.late(0.3))
        yield running


@pytest.fixture
def crew(
    process_environment: dict[str, str], tmp_path: Path, receiver: MisbehavingServer, settings: Any
) -> Iterator[Crew]:
    settings.WEBHOOKS = {**ALLOWED, "ALLOWED_PORTS": [receiver.port]}
    with crew_with_redis(process_environment, tmp_path, settings.WEBHOOKS) as crew:
        yield crew


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_a_worker_of_greenlets_sends_webhooks_and_does_the_rest(
    pool: str, crew: Crew, receiver: MisbehavingServer
) -> None:
    pytest.importorskip(pool)
    make_endpoint(url=receiver.url("/"))
    actions = [
        ("webhook", {"endpoint": "crm"}),
        ("log_message", {"message": "x"}),
        ("write_audit_entry", {"note": "n"}),
    ]
    create_rule(model=Product, slug="r", actions=actions)
    with transaction.atomic():
        for number in range(20):
            Product.objects.create(name=f"p{number}", slug=f"p{number}", price="1")
    crew.start(10, pool=pool)
    crew.eventually(lambda: not Execution.objects.exclude(state="succeeded").exists())
    assert Counter(Execution.objects.values_list("kind", flat=True)) == {kind: 20 for kind, _config in actions}
    assert Attempt.objects.filter(outcome="succeeded").count() == 60
    assert len(receiver.requests) == 20
    assert "async context" not in crew.workers[0].log


@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_a_delivery_leaves_the_other_greenlets_their_database(
    library: str, receiver: MisbehavingServer, process_environment: dict[str, str]
) -> None:
    """In a web server of greenlets, too, where somebody tests an endpoint."""
    pytest.importorskip(library)
    environment = {**process_environment, "RECEIVER": receiver.url("/"), "WEBHOOK_ALLOWED_PORTS": str(receiver.port)}
    assert said(python(TWO_AT_ONCE, environment, first=PATCH[library])) == [{"ends": [200, 200]}]
