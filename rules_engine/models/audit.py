"""The audit trail: entries are added, and neither changed nor removed by ordinary means."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine.models.append_only import AppendOnly, AppendOnlyQuerySet, AuditTrailProtected
from rules_engine.types import new_id

__all__ = ["AuditEntry", "AuditSeal", "AuditTrailProtected"]


class AuditEntryQuerySet(AppendOnlyQuerySet["AuditEntry"]):
    """Entries can be read and added. The two doors below are ``rules_engine.audit``'s alone."""

    def unsealed(self) -> AuditEntryQuerySet:
        """Return those that no seal has, in the order in which they are sealed."""
        found: AuditEntryQuerySet = self.filter(seal__isnull=True).order_by("created_at", "id")
        return found

    def mark_sealed(self, keys: Collection[Any], number: int) -> int:
        """Write down which seal has these entries. Returns how many."""
        return models.QuerySet.update(self.filter(pk__in=keys, seal__isnull=True), seal=number)

    def forget(self, keys: Collection[Any]) -> int:
        """Remove entries for retention or erasure, the two ways out that an operator has. Returns how many."""
        return models.QuerySet._raw_delete(self.filter(pk__in=keys), self.db)


class AuditEntry(AppendOnly):
    """Who did what to which object, in which request."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    at = models.DateTimeField(_("when"))
    operation = models.CharField(_("operation"), max_length=20)
    model = models.CharField(_("model"), max_length=200, blank=True, default="", db_default="")
    object_pk = models.CharField(_("object"), max_length=255, blank=True, default="", db_default="")
    object_text = models.CharField(_("object's name"), max_length=255, blank=True, default="", db_default="")
    actor_id = models.CharField(_("actor"), max_length=64, blank=True, default="", db_default="")
    actor_name = models.CharField(_("actor's name"), max_length=255, blank=True, default="", db_default="")
    request_id = models.CharField(_("request"), max_length=64, blank=True, default="", db_default="")
    request_path = models.CharField(_("path"), max_length=500, blank=True, default="", db_default="")
    fields = models.JSONField(_("fields"), default=dict, blank=True, db_default={})
    changes = models.JSONField(_("changes"), default=dict, blank=True, db_default={})
    note = models.TextField(_("note"), blank=True, default="", db_default="")
    rule_slug = models.CharField(_("rule"), max_length=100, blank=True, default="", db_default="")
    rule_version = models.PositiveIntegerField(_("rule version"), null=True, blank=True)
    event_id = models.UUIDField(_("event"), null=True, blank=True)
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)
    #: The number of the seal that has it, written by workers once it is sealed; no constraint, as everywhere here.
    seal = models.BigIntegerField(_("seal"), null=True, editable=False)

    objects = AuditEntryQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        ordering = ("-at",)
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=("model", "object_pk", "at"), name="rules_audit_object"),
            models.Index(fields=("actor_id", "at"), name="rules_audit_actor"),
            models.Index(fields=("at",), name="rules_audit_at"),
            models.Index(fields=("seal", "created_at", "id"), name="rules_audit_seal"),
        ]

    def __str__(self) -> str:
        # Not what was done: that may be a text made of the object's data.
        return f"{self.model} {self.object_pk}".strip() or str(self.event_id or self.pk)


class AuditSeal(AppendOnly):
    """One link of the chain: the hashes of some entries, or of those that retention removed, and the last link's."""

    class Reason(models.TextChoices):
        RETENTION = "retention", _("retention")
        ERASURE = "erasure", _("erasure")

    number = models.BigIntegerField(_("number"), primary_key=True, editable=False)
    sealed_at = models.DateTimeField(_("sealed"), editable=False)
    #: Pairs of an entry's key and its hash, in the order in which they were recorded.
    entries = models.JSONField(_("entries"), default=list, editable=False, db_default=[])
    #: The same of sealed entries that were removed, and why.
    removed = models.JSONField(_("removed"), default=list, editable=False, db_default=[])
    reason = models.CharField(
        _("reason"), max_length=10, choices=Reason.choices, blank=True, editable=False, default="", db_default=""
    )
    #: When the newest entry of the whole chain was recorded: a later seal has none that is much older.
    until = models.DateTimeField(_("until"), null=True, editable=False)
    #: Entries sealed so far, those of this seal included.
    total = models.BigIntegerField(_("total"), editable=False)
    previous = models.CharField(
        _("previous hash"), max_length=64, blank=True, editable=False, default="", db_default=""
    )
    hash = models.CharField(_("hash"), max_length=64, editable=False)

    objects: ClassVar[models.Manager[AuditSeal]] = AppendOnlyQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit seal")
        verbose_name_plural = _("audit seals")
        ordering = ("number",)
        base_manager_name = "objects"
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.number)
