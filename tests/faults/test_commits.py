"""Between a change and its hint: transactions that overlap, are undone in part, or lose their connection; a broker
that is full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.db import DatabaseError, connections, transaction

from project.clinic.models import Doctor
from rules_engine.models import Event, Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule, run_due
from tests import sessions
from tests.factories import make_doctor
from tests.faults.probe_app.actions import ACTIONS
from tests.faults.workers import Crew, redis_server

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "{{ instance.slug }}"})]


def in_another_connection(work: Callable[[], object]) -> None:
    """Do it, and wait for its end."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()


@pytest.mark.row_locks
def test_what_commits_later_than_its_key_says_is_not_passed_over() -> None:
    create_rule(model=Doctor, actions=LOG)
    with transaction.atomic():
        make_doctor(slug="earlier")
        in_another_connection(lambda: make_doctor(slug="later"))
        in_another_connection(run_due)
        assert list(Execution.objects.exclude(summary="").values_list("summary", flat=True)) == ["Logged: later"]
    earlier, later = Execution.objects.order_by("id")
    assert (earlier.state, later.state) == ("pending", "succeeded"), "the keys should be in the other order"
    assert run_due() == 1
    assert Execution.objects.get(pk=earlier.pk).summary == "Logged: earlier"


def test_of_an_inner_block_that_is_undone_nothing_fires() -> None:
    create_rule(model=Doctor, actions=LOG)
    with transaction.atomic():
        make_doctor(slug="outer")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            make_doctor(slug="inner")
            raise ZeroDivisionError
    assert run_due() == 1
    assert Execution.objects.get().summary == "Logged: outer"
    assert Event.objects.count() == 1


@pytest.mark.row_locks
def test_a_connection_lost_in_a_save_leaves_neither_change_nor_event() -> None:
    create_rule(model=Doctor, actions=LOG)
    with pytest.raises(DatabaseError), transaction.atomic():
        make_doctor(slug="lost")
        session = sessions.number()
        in_another_connection(lambda: sessions.end(session))
        make_doctor(slug="later")
    connections.close_all()
    assert not Doctor.objects.exists()
    assert not Event.objects.exists()
    make_doctor(slug="after")
    assert run_due() == 1


@pytest.fixture
def crew(process_environment: dict[str, str], tmp_path: Path) -> Iterator[Crew]:
    for action in ACTIONS:
        registry.register_action(action)
    with redis_server(tmp_path) as server:
        crew = Crew(process_environment, tmp_path, server.url)
        try:
            yield crew
        finally:
            crew.end()
            for action in ACTIONS:
                del registry._actions[action.kind]


@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru"])
def test_what_a_full_redis_does_not_take_or_keep_is_done(crew: Crew, policy: str) -> None:
    create_rule(model=Doctor, actions=[("probe_ledger", {"folder": str(crew.folder)})])
    crew.start()
    with redis.Redis.from_url(crew.broker) as client:
        client.config_set("maxmemory-policy", policy)
        client.config_set("maxmemory", 1)
        make_doctor(slug="ada")
        crew.eventually(lambda: not Execution.objects.live().exists())
        client.config_set("maxmemory", 0)
    make_doctor(slug="grace")
    crew.eventually(lambda: not Execution.objects.live().exists())
    assert len(crew.done()) == len(set(crew.done())) == 2
