"""What a developer writes for "when an order becomes paid, one task": receivers, and a task enqueued after the commit.

None of it is durable: a process that dies between the commit and the message loses it, and so does a broker that is
down.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save, pre_save

from tests.benchmarks.models import HandOrder, HandSnapshotOrder, HandTenOrder
from tests.benchmarks.tasks import pay

ACTIONS = 10


def remember(sender: Any, instance: Any, **_sent: Any) -> None:
    """Read the status that is stored, before the save."""
    rows = sender.objects.filter(pk=instance.pk)
    instance.status_before = rows.values_list("status", flat=True).first()


def is_paid_now(instance: Any, created: bool) -> bool:
    """Whether this save made the order a paid one."""
    return not created and instance.status == "paid" and instance.status_before != "paid"


def enqueue(instance: Any, created: bool, **_sent: Any) -> None:
    """One task, after the commit."""
    if is_paid_now(instance, created):
        transaction.on_commit(partial(pay.delay, "benchmarks.order", instance.pk))


def enqueue_and_remember(instance: Any, created: bool, **_sent: Any) -> None:
    """One task, after the commit; what is stored now is what was before the next save."""
    enqueue(instance, created)
    instance.status_before = instance.status


def enqueue_ten(instance: Any, created: bool, **_sent: Any) -> None:
    """Ten tasks, after the commit."""
    if is_paid_now(instance, created):
        for number in range(ACTIONS):
            transaction.on_commit(partial(pay.delay, "benchmarks.order", instance.pk, number))


def connect() -> None:
    """Connect each to its class."""
    pre_save.connect(remember, sender=HandOrder)
    post_save.connect(enqueue, sender=HandOrder)
    post_save.connect(enqueue_and_remember, sender=HandSnapshotOrder)
    pre_save.connect(remember, sender=HandTenOrder)
    post_save.connect(enqueue_ten, sender=HandTenOrder)
