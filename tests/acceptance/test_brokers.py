"""One scenario on each broker: a process saves, another one works."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import kombu
import pytest
import redis
from django.conf import settings
from django.core.management import call_command

from rules_engine.models import Execution
from rules_engine.outbox import crowding
from tests import services
from tests.acceptance.conftest import Mailbox, working

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = f"rules-test-{os.getpid()}"
SAVE = """
import django
django.setup()
from project.clinic.models import Doctor
Doctor.objects.create(first_name="Ada", last_name="Byron", email="ada@clinic.example", slug="ada")
"""
#: As many hints as 500 commits send, while nobody takes them.
HINT = """
import os, django
django.setup()
from rules_engine.outbox import hints
for _ in range(500):
    hints.send(os.environ["TEST_QUEUE"])
"""


def filesystem_url() -> str:
    return "filesystem://localhost"


def redis_url() -> str:
    """The last of Redis's usual sixteen databases, which sites rarely use."""
    return urlunsplit(urlsplit(services.redis_url() or "")._replace(path="/15"))


def amqp_url() -> str:
    return services.amqp_url() or ""


SERVERS = [
    pytest.param(redis_url, id="redis", marks=pytest.mark.redis),
    pytest.param(amqp_url, id="rabbitmq", marks=pytest.mark.rabbitmq),
]


@pytest.fixture(params=[pytest.param(filesystem_url, id="filesystem"), *SERVERS])
def broker(request: pytest.FixtureRequest) -> Iterator[str]:
    """A broker's address; the queue of the test is removed from it."""
    url = request.param()
    yield url
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            client.delete(*client.keys(f"*{QUEUE}*"))
    elif url.startswith("amqp"):
        with kombu.Connection(url) as connection:
            channel = connection.channel()
            channel.queue_delete(QUEUE)
            channel.exchange_delete(QUEUE)


def with_broker(environment: dict[str, str], url: str) -> dict[str, str]:
    return {
        **environment,
        "CELERY_BROKER_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.own_queue",
        "TEST_QUEUE": QUEUE,
    }


def run_in(environment: dict[str, str], code: str) -> None:
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=settings.BASE_DIR, check=True, timeout=60)


def test_what_one_process_saves_another_mails(
    broker: str, outside: dict[str, str], mailbox: Mailbox, tmp_path: Path
) -> None:
    call_command("rulepack", "install", "clinic", verbosity=0)
    environment = with_broker(outside, broker)
    with working(environment, QUEUE, tmp_path, by_command=True) as worker:
        run_in(environment, SAVE)
        worker.eventually(lambda: mailbox.messages)
        worker.eventually(lambda: not Execution.objects.live().exists())
    [welcome] = mailbox.messages
    assert welcome["To"] == "ada@clinic.example"
    assert set(Execution.objects.values_list("queue", flat=True)) == {QUEUE}


@pytest.mark.parametrize("broker", SERVERS, indirect=True)
def test_hints_that_no_worker_takes_end_at_a_hundred(broker: str, outside: dict[str, str]) -> None:
    run_in(with_broker(outside, broker), HINT)
    with kombu.Connection(broker) as connection:
        waiting = connection.channel().queue_declare(QUEUE, passive=True).message_count
    # RabbitMQ counts a message a moment after it came.
    assert crowding.MOST / 2 <= waiting <= crowding.MOST + crowding.EVERY
