"""A process of the site: commits one change after the other, and prints how long each time the action took to start.

Started by ``starts``, with the database, the broker and the queue in its environment; a worker listens already.
"""

from __future__ import annotations

import random
import sys
import time

import django

if __name__ == "__main__":
    django.setup()

from django.db import transaction

from rules_engine import conf
from tests.benchmarks import worker
from tests.benchmarks.models import StartedOrder
from tests.benchmarks.rule_actions import book
from tests.benchmarks.site import fields

#: Seconds between a start and the next commit, at least and at most: the worker is idle again. Where nobody tells it of
#: work it looks every five seconds, and a commit is to fall anywhere between two looks.
PAUSES = (0.05, 0.15), (0.0, 5.0)


def commit(number: int) -> float:
    """Create an order; returns the seconds from its commit to the start of the action."""
    time.sleep(random.uniform(*PAUSES[not conf.hints()]))
    with transaction.atomic():
        order = StartedOrder.objects.create(**fields(number))
    committed = time.time()
    worker.wait_for(lambda: order.number in noted(), pause=0.005)
    return noted()[order.number] - committed


def noted() -> dict[str, float]:
    """Return when the action started, by the order's number."""
    lines = book().read_text(encoding="utf-8").splitlines() if book().exists() else []
    return {number: float(moment) for number, moment in (line.split() for line in lines if line.count(" ") == 1)}


if __name__ == "__main__":
    commit(1)  # what is prepared once is prepared
    for number in range(2, int(sys.argv[1]) + 2):
        print(commit(number))
