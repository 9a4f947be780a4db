"""The audit trail: entries are added, and neither changed nor removed by ordinary means."""

from __future__ import annotations

from typing import Any, NoReturn

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.errors import RulesEngineError


class AuditTrailProtected(RulesEngineError):
    """Audit entries cannot be changed or deleted; retention is set by RULES_ENGINE["AUDIT_RETENTION_DAYS"]."""

    def __init__(self) -> None:
        super().__init__(str(self.__doc__))


class AuditEntryQuerySet(UncachedQuerySet["AuditEntry"]):
    """Entries can be read and added."""

    def update(self, **values: Any) -> NoReturn:
        raise AuditTrailProtected

    def bulk_update(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditTrailProtected

    def delete(self) -> NoReturn:
        raise AuditTrailProtected

    def forget(self) -> int:
        """Remove entries for retention or erasure, the two ways out that an operator has. Returns how many."""
        return self._raw_delete(self.db)


class AuditEntry(models.Model):
    """Who did what to which object, in which request."""

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField(_("when"))
    operation = models.CharField(_("operation"), max_length=20)
    model = models.CharField(_("model"), max_length=200, blank=True)
    object_pk = models.CharField(_("object"), max_length=255, blank=True)
    object_text = models.CharField(_("object's name"), max_length=255, blank=True)
    actor_id = models.CharField(_("actor"), max_length=64, blank=True)
    actor_name = models.CharField(_("actor's name"), max_length=255, blank=True)
    request_id = models.CharField(_("request"), max_length=64, blank=True)
    request_path = models.CharField(_("path"), max_length=500, blank=True)
    fields = models.JSONField(_("fields"), default=dict, blank=True)
    changes = models.JSONField(_("changes"), default=dict, blank=True)
    note = models.TextField(_("note"), blank=True)
    rule_slug = models.CharField(_("rule"), max_length=100, blank=True)
    rule_version = models.PositiveIntegerField(_("rule version"), null=True, blank=True)
    event_id = models.UUIDField(_("event"), null=True, blank=True)
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ("-at",)
        indexes = [
            models.Index(fields=("model", "object_pk", "at"), name="rules_audit_object"),
            models.Index(fields=("actor_id", "at"), name="rules_audit_actor"),
            models.Index(fields=("at",), name="rules_audit_at"),
        ]

    def __str__(self) -> str:
        # Not what was done: that may be a text made of the object's data.
        return f"{self.model} {self.object_pk}".strip() or str(self.event_id or self.pk)

    def save(self, *args: Any, **options: Any) -> None:
        if not self._state.adding:
            raise AuditTrailProtected
        super().save(*args, **options)

    def delete(self, *args: Any, **options: Any) -> NoReturn:
        raise AuditTrailProtected
