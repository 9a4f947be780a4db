"""Celery's side of those who are measured: a task that does nothing, and one that inserts a row."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils import timezone

#: Where messages of those go that are put beside the engine; no worker listens until a measure says so.
QUEUE = "benchmarks"


@shared_task(queue=QUEUE, ignore_result=True)
def pay(model: str, pk: Any, number: int = 0) -> None:
    """Stand for what a site does when an order is paid."""


@shared_task(queue=QUEUE, ignore_result=True)
def insert(number: int) -> None:
    """Insert a row, as an audit trail written by hand does."""
    from tests.benchmarks.models import Outbox

    now = timezone.now()
    payload = {"status": f"s{number}"}
    Outbox.objects.create(rule=1, model="shop.order", object_pk=str(number), payload=payload, made_at=now, due_at=now)
