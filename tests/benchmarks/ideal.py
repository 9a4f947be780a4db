"""An outbox for one rule, written for nothing but speed: about what no general engine can beat.

It asks no permissions, knows one model and one field, keeps no event, and tells nobody why it acted.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from django.db import connection, transaction
from django.db.models.signals import post_save, pre_save
from django.utils import timezone

from tests.benchmarks.by_hand import is_paid_now
from tests.benchmarks.models import IdealOutboxOrder, IdealRawOrder, IdealSelectOrder, Outbox
from tests.benchmarks.tasks import pay

SELECT = 'SELECT "status" FROM "benchmarks_order" WHERE "id" = %s'
COLUMNS = Outbox._meta.concrete_fields
NAMES = ", ".join(f'"{field.column}"' for field in COLUMNS)
INSERT = f'INSERT INTO "benchmarks_outbox" ({NAMES}) VALUES ({", ".join(["%s"] * len(COLUMNS))})'


def row(instance: Any) -> Outbox:
    """Make the row of one action."""
    now = timezone.now()
    changes = {"changed": ["status"], "old": {"status": "new"}, "new": {"status": "paid"}}
    key = str(instance.pk)
    return Outbox(id=uuid.uuid4(), rule=1, model="shop.order", object_pk=key, payload=changes, made_at=now, due_at=now)


def insert(made: Outbox) -> None:
    """Insert it by a statement that is ready."""
    with connection.cursor() as cursor:
        cursor.execute(INSERT, [field.get_db_prep_save(getattr(made, field.attname), connection) for field in COLUMNS])


def write_and_tell(instance: Any, created: bool, **_sent: Any) -> None:
    """Insert the row as Django does, and send a message after the commit."""
    if is_paid_now(instance, created):
        made = row(instance)
        Outbox.objects.bulk_create([made])
        transaction.on_commit(partial(pay.delay, "benchmarks.outbox", str(made.pk)))
    instance.status_before = instance.status


def write(instance: Any, created: bool, **_sent: Any) -> None:
    """Insert the row, and leave it to a process that looks for rows."""
    if is_paid_now(instance, created):
        insert(row(instance))
    instance.status_before = instance.status


def read_where_it_matters(instance: Any, **_sent: Any) -> None:
    """Read the status that is stored by a statement that is ready, if the new one could be what is waited for."""
    instance.status_before = instance.status
    if instance.status == "paid":
        with connection.cursor() as cursor:
            cursor.execute(SELECT, (instance.pk,))
            found = cursor.fetchone()
        instance.status_before = found and found[0]


def connect() -> None:
    """Connect each to its class."""
    post_save.connect(write_and_tell, sender=IdealOutboxOrder)
    post_save.connect(write, sender=IdealRawOrder)
    pre_save.connect(read_where_it_matters, sender=IdealSelectOrder)
    post_save.connect(write, sender=IdealSelectOrder)
