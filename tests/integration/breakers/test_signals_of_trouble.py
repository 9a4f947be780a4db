"""The engine's signals of trouble: told once, as durably as what they are about, and never in a circle."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core import mail
from django.core.management import call_command
from django.db import DatabaseError
from django.db.models import F
from django.db.models.functions import Now

from project.clinic.models import Doctor
from rules_engine.models import Event, Execution, Heartbeat, Rule, Trouble
from rules_engine.monitoring.figures import seen
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.troubles.signals import execution_given_up
from rules_engine.work import attempts, tasks
from rules_engine.work.claims import claim
from rules_engine.work.run import run_claim
from rules_engine.work.troubles import noticing
from rules_engine.work.workers import heartbeats
from tests.integration.noting import note
from tests.threads import run_together
from tests.zoo.models import Keeper

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

GIVEN_UP = "rules_engine.execution_given_up"


@pytest.fixture(autouse=True)
def looks_anew() -> None:
    noticing.reset()
    heartbeats.reset()


def failing(slug: str = "mute") -> None:
    create_rule("clinic.doctor", slug=slug, actions=[note("x", fails="x")])


def hearing(*signals: str, said: str, **fields: Any) -> None:
    create_rule(signals=signals, actions=[note(said, **fields)])


def test_what_is_given_up_is_told_with_what_it_was(noted: list[str]) -> None:
    failing()
    hearing(
        GIVEN_UP, said="{{ signal.rule }} {{ signal.kind }} {{ signal.state }} {{ signal.error }} {{ signal.model }}"
    )
    Doctor.objects.create(first_name="Ada")
    run_due()
    assert noted == ["mute note discarded x failed clinic.doctor"]


def test_what_is_tried_again_is_not_told(noted: list[str]) -> None:
    create_rule("clinic.doctor", actions=[note("x", fails="x", passing=True)])
    hearing(GIVEN_UP, said="told")
    Doctor.objects.create(first_name="Ada")
    run_due()
    assert noted == []


def test_rules_on_what_was_given_up_do_not_go_in_a_circle() -> None:
    failing()
    hearing(GIVEN_UP, said="one", fails="one")
    hearing(GIVEN_UP, said="two", fails="two")
    Doctor.objects.create(first_name="Ada")
    run_due()
    assert Event.objects.filter(signal=GIVEN_UP).count() == 1
    assert Execution.objects.filter(state="discarded").count() == 3


def test_nor_do_they_by_way_of_a_row_that_they_make() -> None:
    failing()
    create_rule(
        signals=[GIVEN_UP],
        actions=[("create_object", {"model": "zoo.keeper", "values": [{"field": "name", "value": "Rex"}]})],
    )
    create_rule("zoo.keeper", actions=[note("x", fails="x")])
    Doctor.objects.create(first_name="Ada")
    run_due()
    assert Keeper.objects.count() == 1
    assert Event.objects.filter(signal=GIVEN_UP).count() == 1


def test_the_outcome_and_what_is_told_of_it_stand_or_fall_together(monkeypatch: Any) -> None:
    failing()
    hearing(GIVEN_UP, said="told")
    Doctor.objects.create(first_name="Ada")
    claimed = claim()

    class Killed(BaseException):
        pass

    def kill(*args: Any) -> None:
        raise Killed

    # As if the process ended after the signal, and before the commit.
    real = attempts.given_up.note
    monkeypatch.setattr(attempts.given_up, "note", lambda executions: (real(executions), kill()))
    with pytest.raises(Killed):
        run_claim(claimed)
    assert Event.objects.filter(signal=GIVEN_UP).count() == 0
    assert Execution.objects.get().state == "running"
    monkeypatch.undo()
    Execution.objects.update(lease_until=Now() - timedelta(seconds=1))
    run_due()
    assert Event.objects.filter(signal=GIVEN_UP).count() == 1


def test_a_receiver_that_spoils_the_transaction_does_not_cost_the_outcome() -> None:
    def spoil(**sent: Any) -> None:
        raise DatabaseError("spoilt")

    failing()
    execution_given_up.connect(spoil)
    try:
        Doctor.objects.create(first_name="Ada")
        run_due()
    finally:
        execution_given_up.disconnect(spoil)
    assert Execution.objects.get().state == "discarded"


def absent(seconds: int = 3_600) -> None:
    """A worker that swept last so long ago."""
    Heartbeat.objects.create(kind="sweep", host="there")
    Heartbeat.objects.update(seen_at=Now() - timedelta(seconds=seconds))


def test_that_no_worker_was_seen_is_told_once_by_the_command(noted: list[str]) -> None:
    hearing("rules_engine.no_worker_seen", said="{{ signal.seconds }}")
    absent()
    for _ in range(2):
        call_command("rules_troubles", stdout=(out := StringIO()))
    assert "no_worker: seconds 360" in out.getvalue()
    assert Execution.objects.count() == 1
    tasks.look_for_work()
    noticing.notice()
    assert Trouble.objects.count() == 0


def test_a_worker_that_is_back_tells_that_none_was_there(noted: list[str]) -> None:
    hearing("rules_engine.no_worker_seen", said="{{ signal.seconds }}")
    absent()
    tasks.look_for_work()
    run_due()
    assert [text[:3] for text in noted] == ["360"]


def test_a_clock_that_was_set_back_hides_no_absence_for_long(noted: list[str]) -> None:
    hearing("rules_engine.no_worker_seen", said="{{ signal.seconds }}")
    absent(-36_000)
    assert noticing.notice() == []
    assert [worker.hosts for worker in seen() if worker.kind == Heartbeat.Kind.SWEEP] == [1]
    Heartbeat.objects.update(seen_at=F("seen_at") - timedelta(seconds=400))
    assert [found.kind for found in noticing.notice()] == ["no_worker"]


def test_a_site_where_no_worker_ever_was_is_not_in_trouble() -> None:
    assert noticing.notice() == []


def test_work_that_is_overdue_is_told_once_for_each_queue(noted: list[str]) -> None:
    create_rule("clinic.doctor", slug="slow", actions=[note("x")])
    hearing("rules_engine.work_overdue", said="{{ signal.queue }} {{ signal.seconds }}")
    Doctor.objects.create(first_name="Ada")
    Execution.objects.update(next_attempt_at=Now() - timedelta(seconds=1_000))
    run_together(3, lambda _number: noticing.notice())
    run_due()
    assert [text[:8] for text in sorted(noted)] == ["rules 10", "x"]
    assert noticing.notice() == []
    assert Trouble.objects.count() == 0


def test_a_worker_tells_it_although_its_watcher_looks_more_often(noted: list[str]) -> None:
    create_rule("clinic.doctor", slug="slow", actions=[note("x")])
    hearing("rules_engine.work_overdue", said="{{ signal.queue }}")
    Doctor.objects.create(first_name="Ada")
    Execution.objects.update(next_attempt_at=Now() - timedelta(seconds=1_000))
    noticing.notice_where_nobody_works()
    tasks.look_for_work()
    run_due()
    assert sorted(noted) == ["rules", "x"]


def test_the_command_sends_also_what_is_held_back(noted: list[str]) -> None:
    hearing("rules_engine.no_worker_seen", said="nobody")
    Rule.objects.update(throttle_count=1, throttle_seconds=3_600)
    create_rule("clinic.doctor", slug="slow", actions=[note("x")], throttle_count=1, throttle_seconds=3_600)
    refresh()
    Doctor.objects.create(first_name="Ada")
    absent()
    call_command("rules_troubles", "--send", stdout=StringIO())
    assert noted == ["nobody"]


def test_the_command_sends_what_is_about_trouble_and_nothing_else(settings: Any) -> None:
    settings.ADMINS = [("Ops", "ops@example.com")]
    create_rule("clinic.doctor", slug="slow", actions=[note("x")])
    config = {"to": ["admins"], "subject": "No worker for {{ signal.seconds }} s", "body": "Start one."}
    create_rule(signals=["rules_engine.no_worker_seen"], actions=[("send_email", config)])
    Doctor.objects.create(first_name="Ada")
    absent()
    call_command("rules_troubles", "--send", stdout=StringIO())
    assert [sent.subject[:17] for sent in mail.outbox] == ["No worker for 360"]
    assert Execution.objects.get(rule_slug="slow").state == "pending"


def test_a_chain_that_is_stopped_is_told_once(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "MAX_DEPTH": 1}
    create = ("create_object", {"model": "zoo.keeper", "values": [{"field": "name", "value": "Rex"}]})
    create_rule("clinic.doctor", slug="first", actions=[create, create])
    create_rule(
        "zoo.keeper",
        slug="again",
        actions=[("create_object", {"model": "zoo.tag", "values": [{"field": "name", "value": "K"}]})],
    )
    create_rule("zoo.tag", slug="last", actions=[note("never")])
    hearing("rules_engine.chain_stopped", said="{{ signal.depth }} {{ signal.rules }}")
    Doctor.objects.create(first_name="Ada")
    run_due()
    assert noted == ['2 ["last"]']
