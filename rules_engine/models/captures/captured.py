"""Changes that database triggers have captured, and which tables have such triggers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, NamedTuple

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.triggers.tables import CAPTURED_TABLE, TableCapture
from rules_engine.databases.uncached import UncachedQuerySet


class CapturedChangeQuerySet(UncachedQuerySet["CapturedChange"]):
    """Captured changes, as ``CapturedChange.objects`` gives them."""

    def due(self) -> CapturedChangeQuerySet:
        """Return those that rules are to be told of now."""
        return self.filter(Q(retry_at=None) | Q(retry_at__lte=Now()))


class CapturedChange(models.Model):
    """One row of a site's table that was inserted, updated or deleted, by whoever.

    Written by a trigger in the transaction of the change, and removed in the one that records what it led to. Of the
    same row they come in the order of their ids: whoever changes it holds it until the commit.
    """

    id = models.BigAutoField(primary_key=True)
    #: The label of the model whose table it is; of a many-to-many relation that of its rows.
    model = models.CharField(_("model"), max_length=255)
    #: create, update or delete.
    operation = models.CharField(_("operation"), max_length=10)
    object_pk = models.CharField(_("object"), max_length=255, blank=True, default="", db_default="")
    #: JSON, as the trigger of that database writes it: the columns' values by their names (``databases.triggers``).
    #: Empty where there is nothing to tell.
    old = models.TextField(blank=True, default="", db_default="")
    new = models.TextField(blank=True, default="", db_default="")
    #: JSON: who made the change, in which request, by which execution; or the database's user.
    origin = models.TextField(blank=True, default="", db_default="")
    captured_at = models.DateTimeField(_("captured"), db_default=Now(), editable=False)
    failures = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    #: When it is tried again, after it could not be told.
    retry_at = models.DateTimeField(null=True, editable=False)

    objects = CapturedChangeQuerySet.as_manager()

    class Meta:
        db_table = CAPTURED_TABLE
        verbose_name = _("captured change")
        verbose_name_plural = _("captured changes")
        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.operation} {self.model} {self.object_pk}".strip()


class Coverage(NamedTuple):
    """What the triggers of a table capture, and what those before them did, for writers that did not know of the new
    ones yet: changes before ``since`` by whoever knew a lower ``generation``, or said none."""

    now: TableCapture | None
    before: TableCapture | None
    generation: int
    since: datetime
    #: The triggers that are there.
    names: tuple[str, ...] = ()

    def of_writer(self, generation: int | None, at: datetime) -> TableCapture | None:
        """Return what a writer left to the triggers that knew this generation at that time; None is one that said
        nothing, such as another program."""
        if generation is not None:
            return self.now if generation >= self.generation else self.before
        return self.now if at >= self.since else self.before


class InstalledTrigger(models.Model):
    """The triggers of one table: what they capture, so that processes know what is not theirs to tell any more."""

    #: The label of the model, or of a many-to-many relation's rows.
    model = models.CharField(_("model"), max_length=255, unique=True)
    #: ``TableCapture``, as plain data; null where the triggers are about to go.
    captures = models.JSONField(null=True)
    #: What was captured before; null for nothing.
    before = models.JSONField(null=True)
    #: The number of the rule set since which this is so.
    generation = models.BigIntegerField(default=0)
    #: Until then processes may not know of this generation.
    since = models.DateTimeField(_("since"))
    names = models.JSONField(_("triggers"), default=list)

    objects: ClassVar[models.Manager[InstalledTrigger]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("installed triggers")
        verbose_name_plural = _("installed triggers")
        ordering = ("model",)

    def __str__(self) -> str:
        return self.model

    @property
    def coverage(self) -> Coverage:
        """What is captured, as plain data."""
        now, before = _capture(self.captures), _capture(self.before)
        return Coverage(now, before, self.generation, self.since, tuple(self.names))

    @classmethod
    def coverages(cls, using: str) -> dict[str, Coverage]:
        """Return what is captured of each table, by the label of its model. One query."""
        return {row.model: row.coverage for row in cls.objects.using(using)}


def _capture(stored: Mapping[str, Any] | None) -> TableCapture | None:
    return None if stored is None else TableCapture.from_stored(stored)
