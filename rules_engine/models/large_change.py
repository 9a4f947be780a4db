"""Many-to-many changes that concern more objects than rules are told of while the save waits."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine import types
from rules_engine.databases.uncached import UncachedQuerySet


class LargeChange(models.Model):
    """A part of such a change: the keys of some objects, of each of which a worker tells the rules.

    Written in the transaction of the change, and removed in the one that records what it led to.
    """

    id = models.UUIDField(primary_key=True, default=types.new_id, editable=False)
    #: The watched model, what the relation is called there, and whether its field stands at the other end.
    model = models.CharField(_("model"), max_length=255)
    relation = models.CharField(_("relation"), max_length=255)
    is_target = models.BooleanField(default=False)
    operation = models.CharField(_("operation"), max_length=10)
    #: The one object at the other end.
    other_model = models.CharField(max_length=255)
    other_pk = models.JSONField()
    #: The watched model's own, as their key tells them.
    keys = models.JSONField(default=list)
    #: Who made the change, in which request, by which execution.
    origin = models.JSONField(default=dict)
    occurred_at = models.DateTimeField(_("occurred"))
    #: How often telling it has failed.
    failures = models.PositiveIntegerField(_("failures"), default=0)
    due_at = models.DateTimeField(_("due"), db_default=Now(), db_index=True)
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)

    objects: ClassVar[models.Manager[LargeChange]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("large change")
        verbose_name_plural = _("large changes")

    def __str__(self) -> str:
        return f"{self.model}.{self.relation}: {len(self.keys)}"
