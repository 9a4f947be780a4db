"""Django's own tasks carry out what is due: by the workers of django-tasks-db, held to what Celery's are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core import checks
from django.db import InterfaceError, OperationalError, connection, connections
from django_tasks_db.models import DBTaskResult

from rules_engine.checks import check_runner
from rules_engine.models import Execution
from rules_engine.outbox import crowding, hints
from tests.faults import test_workers
from tests.faults.conftest import probes as probes
from tests.faults.test_workers import all_ended, assert_each_done_once, rule, save
from tests.faults.workers import Crew, Worker

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.postgres("what it tells is the same on each"),
    pytest.mark.usefixtures("probes"),
]

# What workers of one process each are held to.
test_a_lease_ends_by_the_clock = test_workers.test_a_lease_ends_by_the_clock_of_the_database
test_only_the_clock_of_the_database_counts = test_workers.test_only_the_clock_of_the_database_counts
test_a_frozen_worker_finds_itself_refused = (
    test_workers.test_a_worker_frozen_past_its_lease_finds_its_late_finish_refused
)
test_the_work_of_a_killed_one_is_done_again = test_workers.test_an_attempt_of_a_killed_worker_is_made_again_with_its_key
BACKEND = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []}}


class SweepingCrew(Crew):
    """Workers that sweep: a worker of Django's tasks does from the first task on that it took, and the one that is up
    first takes all there are."""

    def start(self, *processes: int, **options: Any) -> Worker:
        worker = super().start(*processes, **options)
        if options.get("ready", True):
            self.tell_until_sweeping(worker)
        return worker

    def start_two(self, *processes: int, **options: Any) -> tuple[Worker, Worker]:
        both = super().start_two(*processes, **options)
        for worker in both:
            self.tell_until_sweeping(worker)
        return both

    def tell_until_sweeping(self, worker: Worker) -> None:
        def has_taken_one() -> bool:
            hints.send("rules")
            return "state=SUCCESSFUL" in worker.log

        self.eventually(has_taken_one)


@pytest.fixture
def any_crew(process_environment: dict[str, str], tmp_path: Path, settings: Any) -> Iterator[Crew]:
    """Workers of django-tasks-db, told by what this process enqueues."""
    settings.TASKS = BACKEND
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RUNNER": "tasks", "HINTS": True}
    crew = SweepingCrew(process_environment, tmp_path, runner="tasks")
    try:
        yield crew
    finally:
        hints.flush(5)
        crew.end()


def test_what_is_committed_is_carried_out(any_crew: Crew) -> None:
    rule(any_crew)
    any_crew.start(SWEEP_SECONDS=1000.0)
    save("ada", "grace")
    any_crew.eventually(lambda: Execution.objects.count() == 2 and all_ended())
    assert_each_done_once(any_crew, 2)


def test_a_database_that_is_gone_is_one_line_and_no_failed_task(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from rules_engine.work.standalone import django_tasks

    def fail(queue: str) -> int:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(django_tasks.tasks, "drain_queue", fail)
    assert django_tasks.drain.func("rules") == 0
    [said] = [record for record in caplog.records if "does not answer" in record.getMessage()]
    assert said.exc_info is None


def test_a_check_says_that_nobody_carries_tasks_out(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RUNNER": "tasks"}
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    [problem] = check_runner(None)
    assert (problem.id, problem.level) == ("rules_engine.W032", checks.WARNING)
    settings.TASKS = BACKEND
    assert check_runner(None) == []


def test_a_queue_that_the_backend_does_not_have_is_carried_by_another(any_crew: Crew, settings: Any) -> None:
    settings.TASKS = {"default": {**BACKEND["default"], "QUEUES": ["low", "default"]}}
    rule(any_crew)
    save("ada")
    any_crew.start()
    any_crew.eventually(all_ended)
    assert_each_done_once(any_crew, 1)


@pytest.fixture
def nobody_works(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Django's tasks, which this process alone enqueues, as one that has just begun."""
    settings.TASKS = BACKEND
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RUNNER": "tasks"}
    monkeypatch.setattr(crowding, "_rooms", {})
    yield
    DBTaskResult.objects.all().delete()


@pytest.mark.usefixtures("nobody_works")
def test_tasks_that_no_worker_takes_end_at_a_hundred_a_queue() -> None:
    for _ in range(3 * crowding.MOST):
        hints.send("rules")
    hints.send("webhooks")
    assert DBTaskResult.objects.filter(queue_name="rules").count() == crowding.MOST
    assert DBTaskResult.objects.filter(queue_name="webhooks").count() == 1


@pytest.mark.usefixtures("nobody_works")
def test_tasks_are_enqueued_again_when_workers_are_back() -> None:
    for _ in range(2 * crowding.MOST):
        hints.send("rules")
    DBTaskResult.objects.update(status="SUCCESSFUL")
    crowding._rooms.clear()  # as in another process, or a second later
    hints.send("rules")
    assert DBTaskResult.objects.ready().count() == 1


@pytest.mark.usefixtures("nobody_works")
def test_where_tasks_cannot_be_counted_the_latest_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    from rules_engine.work.standalone import django_tasks

    monkeypatch.setattr(django_tasks, "COUNTING", "another")
    for _ in range(3 * crowding.MOST):
        hints.send("rules")
    assert DBTaskResult.objects.count() == crowding.EVERY
    DBTaskResult.objects.update(status="RUNNING")
    crowding._rooms.clear()
    hints.send("rules")
    assert DBTaskResult.objects.ready().count() == 1


@pytest.mark.usefixtures("nobody_works")
def test_a_connection_that_was_lost_is_opened_anew_for_the_next_hint() -> None:
    hints.send("rules")
    end_connection()
    with pytest.raises((OperationalError, InterfaceError)):
        hints.send("rules")
    hints.send("rules")
    assert DBTaskResult.objects.count() == 2


def end_connection() -> None:
    """Have the server end this thread's connection, over another."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [pid] = cursor.fetchone()
    other = connections.create_connection("default")
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])
    other.close()
