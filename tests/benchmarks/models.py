"""One table of twelve fields, seen through a class a variant: receivers of one are not heard by another."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import models


class OrderFields(models.Model):
    number = models.CharField(max_length=30)
    status = models.CharField(max_length=20, default="new")
    customer = models.CharField(max_length=80)
    email = models.EmailField()
    quantity = models.IntegerField(default=1)
    total = models.DecimalField(max_digits=12, decimal_places=2)
    discount = models.DecimalField(max_digits=6, decimal_places=2, null=True)
    is_paid = models.BooleanField(default=False)
    notes = models.TextField(blank=True)
    due_on = models.DateField(null=True)
    ordered_at = models.DateTimeField()
    changed_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Order(OrderFields):
    """The table, and a save that nothing listens to."""


class CapturedOrder(OrderFields):
    """A table like it, for what database triggers capture."""


class Seen:
    """Meta of a class that sees the table of ``Order``."""

    managed = False
    db_table = "benchmarks_order"


def seen(name: str, *bases: type, **attributes: Any) -> type[OrderFields]:
    """Make a class of that name that sees the table of ``Order``."""
    meta = type("Meta", (Seen,), {})
    return type(name, (*bases, OrderFields), {"__module__": __name__, "Meta": meta, **attributes})


class RemembersStatus(models.Model):
    """Remembers the status that was loaded, as many sites do it."""

    class Meta:
        abstract = True

    @classmethod
    def from_db(cls, db: Any, field_names: Sequence[str], values: Sequence[Any]) -> Any:
        made = super().from_db(db, field_names, values)
        made.status_before = made.__dict__.get("status")
        return made


HandOrder = seen("HandOrder")
HandTenOrder = seen("HandTenOrder")
HandSnapshotOrder = seen("HandSnapshotOrder", RemembersStatus)
#: About what the engine has to do, written for one rule.
IdealOutboxOrder = seen("IdealOutboxOrder", RemembersStatus)
IdealRawOrder = seen("IdealRawOrder", RemembersStatus)
IdealSelectOrder = seen("IdealSelectOrder")
#: With rules; a class for each number of them.
OneRuleOrder = seen("OneRuleOrder")
TenActionsOrder = seen("TenActionsOrder")
UnchangedOrder = seen("UnchangedOrder")
#: With the setting OLD_VALUES_AT_LOAD.
UnchangedAtLoadOrder = seen("UnchangedAtLoadOrder")
OneRuleAtLoadOrder = seen("OneRuleAtLoadOrder")
OldValueOrder = seen("OldValueOrder")
AuditedOrder = seen("AuditedOrder")
LoggedOrder = seen("LoggedOrder")
StartedOrder = seen("StartedOrder")
#: A rule waits whether it stays so; and a receiver adds a row.
ArmedOrder = seen("ArmedOrder")
OneRowOrder = seen("OneRowOrder")
COUNTS = (1, 1_000, 10_000)
BY_CHANGE = {count: seen(f"ByChange{count}Order") for count in COUNTS}
BY_CONDITION = {count: seen(f"ByCondition{count}Order") for count in COUNTS}

if "django_lifecycle" in settings.PEERS:
    from django_lifecycle import AFTER_UPDATE, LifecycleModelMixin, hook

    from tests.benchmarks.tasks import pay

    class LifecycleOrder(LifecycleModelMixin, OrderFields):
        class Meta(Seen):
            pass

        @hook(AFTER_UPDATE, when="status", has_changed=True, is_now="paid", on_commit=True)
        def paid(self) -> None:
            pay.delay("benchmarks.lifecycleorder", self.pk)


if "django_webhook" in settings.PEERS:
    WebhookOrder = seen("WebhookOrder")


if "pghistory" in settings.PEERS:
    import pghistory

    @pghistory.track(pghistory.UpdateEvent(), fields=["id", "total"])
    class HistoryOrder(OrderFields):
        """A table like it, of which django-pghistory keeps the key and the total of each update."""


class Outbox(models.Model):
    """What an outbox needs at least."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    rule = models.IntegerField()
    model = models.CharField(max_length=100)
    object_pk = models.CharField(max_length=64)
    payload = models.JSONField(default=dict)
    state = models.SmallIntegerField(default=0)
    attempts = models.SmallIntegerField(default=0)
    made_at = models.DateTimeField()
    due_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=("state", "due_at"), name="benchmarks_outbox_due")]


class Related(models.Model):
    """Has a relation of each kind, for what deleting asks."""

    name = models.CharField(max_length=30)
    orders = models.ManyToManyField(Order)


class Hanging(models.Model):
    """Goes with what it hangs on."""

    related = models.ForeignKey(Related, on_delete=models.CASCADE)
