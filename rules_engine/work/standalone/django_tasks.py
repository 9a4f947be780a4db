"""Django's own tasks as the runner: ``RULES_ENGINE["RUNNER"] = "tasks"``, with whatever backend the site has.

Django has them since 6.0; before that the package ``django-tasks`` brings the same. What is enqueued says no more than
Celery's hint does: "there is work in this queue".
"""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.db import DatabaseError, InterfaceError, close_old_connections, router

from rules_engine.outbox.crowding import MOST, has_room, say_if_unbounded
from rules_engine.work import tasks

_NAME = "django.tasks" if find_spec("django.tasks") else "django_tasks"
_framework: Any = import_module(_NAME)
_exceptions: Any = import_module(f"{_NAME}.exceptions")
#: Those that come with Django: the one runs a task where it is enqueued, the other never.
WITHOUT_WORKERS = ("ImmediateBackend", "DummyBackend")

#: The package whose backend keeps tasks as rows.
COUNTING = "django_tasks_db"

_sweeping_in: int | None = None
#: What was enqueued last in each queue.
_latest: dict[str, Any] = {}


def _backend() -> Any:
    return _framework.task_backends[_framework.DEFAULT_TASK_BACKEND_ALIAS]


def _queue_for(queue: str) -> str:
    """The queue of the backend's that is called so, or else its first, where it says which it has."""
    named = sorted(_backend().queues)
    return queue if not named or queue in named else str(named[0])


def has_workers() -> bool:
    """Say whether the site's backend hands tasks to workers."""
    return type(_backend()).__name__ not in WITHOUT_WORKERS


def enqueue(queue: str) -> None:
    """Have a worker drain the queue, unless enough tasks wait for that. Raises whatever a backend raises that cannot
    take it."""
    try:
        if has_room(queue, _waiting):
            _latest[queue] = drain.using(queue_name=_queue_for(queue)).enqueue(queue=queue)
            say_if_unbounded(queue)
    except (DatabaseError, InterfaceError):
        close_old_connections()  # one that was lost is opened anew by the next hint
        raise


def _waiting(queue: str) -> int:
    """Return how many tasks of ours wait for a worker of the queue. django-tasks-db can count them; of another
    backend's, the one that this process enqueued last tells whether anybody takes them."""
    backend, latest = _backend(), _latest.get(queue)
    if type(backend).__module__.partition(".")[0] == COUNTING:
        rows: Any = import_module(f"{COUNTING}.models").DBTaskResult.objects
        ready = rows.using(router.db_for_write(rows.model)).ready()
        ours = ready.filter(task_path=drain.module_path, queue_name=_queue_for(queue), args_kwargs__kwargs__queue=queue)
        return int(ours[:MOST].count())
    if latest is None or not backend.supports_get_result:
        return 0
    with suppress(_exceptions.TaskResultDoesNotExist):
        latest.refresh()
        return MOST if latest.status == "READY" else 0
    return 0


@_framework.task(queue_name=_queue_for(_framework.DEFAULT_TASK_QUEUE_NAME))
def drain(queue: str) -> int:
    """Run what is due in a queue; returns how many executions it ran. Sweeps from then on, as Celery's workers do.

    A database that does not answer is one line of the log, and no failed task.
    """
    global _sweeping_in
    if _sweeping_in != os.getpid() and has_workers():
        _sweeping_in = os.getpid()
        tasks.start_sweeper()
    return tasks.drain_if_answered(queue)
