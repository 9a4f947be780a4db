"""Django's own tasks as the runner: ``RULES_ENGINE["RUNNER"] = "tasks"``, with whatever backend the site has.

Django has them since 6.0; before that the package ``django-tasks`` brings the same. What is enqueued says no more than
Celery's hint does: "there is work in this queue".
"""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from rules_engine.work import tasks

_framework: Any = import_module("django.tasks" if find_spec("django.tasks") else "django_tasks")
#: Those that come with Django: the one runs a task where it is enqueued, the other never.
WITHOUT_WORKERS = ("ImmediateBackend", "DummyBackend")

_sweeping_in: int | None = None


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
    """Have a worker drain the queue. Raises whatever a backend raises that cannot take it."""
    drain.using(queue_name=_queue_for(queue)).enqueue(queue=queue)


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
