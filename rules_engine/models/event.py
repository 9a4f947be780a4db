"""What happened, which rules could not be evaluated on it, and what is still to be told of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine import types
from rules_engine.context import snapshot
from rules_engine.databases.uncached import UncachedQuerySet


class Event(models.Model):
    """One captured occurrence that some rule matched or failed on; immutable."""

    id = models.UUIDField(primary_key=True, default=types.new_id, editable=False)
    signal = models.CharField(_("signal"), max_length=200)
    operation = models.CharField(_("operation"), max_length=10, blank=True)
    model = models.CharField(_("model"), max_length=200, blank=True)
    object_pk = models.CharField(_("object"), max_length=255, blank=True)
    occurred_at = models.DateTimeField(_("occurred"))
    root_id = models.UUIDField(_("first event of its chain"))
    depth = models.PositiveSmallIntegerField(_("depth"), default=0)
    #: The execution whose action made the change; null for an event from outside.
    cause_id = models.UUIDField(_("caused by"), null=True, editable=False)
    #: How many executions it led to, for the budget of its chain.
    execution_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    actor_id = models.CharField(_("actor"), max_length=64, blank=True)
    actor_name = models.CharField(_("actor's name"), max_length=255, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    context = models.JSONField(_("context"), default=dict)
    #: JSON pointers of the strings in ``context`` that are exact decimals.
    decimals = models.JSONField(default=list, editable=False)
    #: ``[{"rule", "version", "outcome", "gate", "detail"}, …]`` in the order the rules were tried.
    evaluations = models.JSONField(_("evaluations"), default=list)
    #: The number of the rule set that it was matched by; null where no rule was asked. No worker acts by an older one.
    rule_set = models.BigIntegerField(null=True, editable=False)
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)

    objects: ClassVar[models.Manager[Event]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=("model", "object_pk"), name="rules_event_object"),
            # Pruning and the admin's date hierarchy; BRIN would do on PostgreSQL, SQLite has none.
            models.Index(fields=("created_at",), name="rules_event_created"),
            # The budget of a chain adds up the events of one root, from the index alone.
            models.Index(fields=("root_id", "execution_count"), name="rules_event_chain"),
        ]

    def __str__(self) -> str:
        what = f"{self.model} {self.object_pk}".strip()
        return f"{self.signal} {what}".strip()

    #: What ``captured_of`` takes, in its order.
    CAPTURED = ("pk", "signal", "operation", "model", "occurred_at", "root_id", "depth", "context", "decimals")

    def captured(self) -> types.Event:
        """Return the event as plain data: its decimals exact again, and what was cut off told apart."""
        return self.captured_of(*(getattr(self, name) for name in self.CAPTURED))

    @staticmethod
    def captured_of(
        pk: Any,
        signal: str,
        operation: Any,
        model: str,
        occurred_at: datetime,
        root_id: Any,
        depth: int,
        context: Any,
        decimals: Any,
    ) -> types.Event:
        """Return as plain data the columns ``CAPTURED``, for whoever reads thousands and needs no instances."""
        header = context.get("event", {})
        context = snapshot.restore(context, [*header.get("cut", ()), *decimals])
        return types.Event(
            id=pk,
            signal=signal,
            operation=operation or None,
            model=model,
            pk=header.get("pk"),
            occurred_at=occurred_at,
            root_id=root_id,
            depth=depth,
            context=context,
        )


class RuleError(models.Model):
    """An evaluation that failed. A table of its own: counting on the rule's row would make savers wait in line."""

    rule_slug = models.CharField(_("rule"), max_length=100)
    rule_version = models.PositiveIntegerField(_("version"))
    event_id = models.UUIDField(_("event"), null=True)
    gate = models.CharField(_("gate"), max_length=20, blank=True)
    message = models.TextField(_("message"))
    created_at = models.DateTimeField(_("when"), db_default=Now(), editable=False)

    objects: ClassVar[models.Manager[RuleError]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("rule error")
        verbose_name_plural = _("rule errors")
        ordering = ("-created_at",)
        indexes = [models.Index(fields=("rule_slug", "created_at"), name="rules_error_rule")]

    def __str__(self) -> str:
        return f"{self.rule_slug}: {self.message}"


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
