"""Signs of life: when workers and sweeps were last seen at work."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet


class HeartbeatQuerySet(UncachedQuerySet["Heartbeat"]):
    """Heartbeats, as ``Heartbeat.objects`` gives them."""

    def beat(self, kind: str, host: str) -> None:
        """Say that somebody of that kind is at work on that host, now. One statement, two the first time."""
        if not self.filter(kind=kind, host=host).update(seen_at=Now()):
            self.bulk_create([Heartbeat(kind=kind, host=host)], ignore_conflicts=True)


class Heartbeat(models.Model):
    """The last sign of life of one kind of process on one host."""

    class Kind(models.TextChoices):
        SWEEP = "sweep", _("looks for due work")
        WORK = "work", _("does what is due")
        UNTOLD = "untold", _("is not told of new work, and looks for it")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    host = models.CharField(_("host"), max_length=200)
    seen_at = models.DateTimeField(_("last seen"), db_default=Now(), editable=False)

    objects = HeartbeatQuerySet.as_manager()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")
        ordering = ("kind", "host")
        constraints = [models.UniqueConstraint(fields=("kind", "host"), name="rules_engine_heartbeat_of")]

    def __str__(self) -> str:
        return f"{self.kind} {self.host}"
