"""How each rule has failed, added up over all processes: a row for what failed once, and none for all others."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet


class RuleFailures(models.Model):
    """What failed of a rule in its present version. Only ``live/breakers`` writes it, and no save waits for it.

    The window of "most of the time" has two halves, so that no failure needs a row of its own: what was counted since
    ``half_from``, and in the half before that.
    """

    rule_slug = models.CharField(_("rule"), max_length=100)
    #: "condition" or "actions", as ``troubles.failures`` has it.
    part = models.CharField(max_length=10)
    version = models.PositiveIntegerField(_("version"))
    in_a_row = models.PositiveIntegerField(_("failures in a row"), default=0, db_default=0)
    failed = models.PositiveIntegerField(default=0, db_default=0)
    succeeded = models.PositiveIntegerField(default=0, db_default=0)
    failed_before = models.PositiveIntegerField(default=0, db_default=0)
    succeeded_before = models.PositiveIntegerField(default=0, db_default=0)
    half_from = models.DateTimeField(db_default=Now())
    last_failed_at = models.DateTimeField(_("last failure"), db_default=Now(), db_index=True)
    last_error = models.TextField(_("last error"), blank=True, default="", db_default="")
    #: Since when it is told of: until it is resumed or edited nobody tells of it again.
    opened_at = models.DateTimeField(_("told"), null=True)

    objects: ClassVar[models.Manager[RuleFailures]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("failures of a rule")
        verbose_name_plural = _("failures of rules")
        constraints = [models.UniqueConstraint(fields=("rule_slug", "part"), name="rules_engine_failures_of")]

    def __str__(self) -> str:
        return f"{self.rule_slug}: {self.in_a_row}"


class Trouble(models.Model):
    """A trouble that stands and was told of: of two that find it at once, one makes the row, and tells."""

    class Kind(models.TextChoices):
        OVERDUE = "overdue", _("work is overdue")
        NO_WORKER = "no_worker", _("no worker was seen")
        CHAIN = "chain", _("a chain was stopped")

    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    #: What it is about: a queue, or the id of a chain's first event. Empty for the whole site.
    about = models.CharField(max_length=100, blank=True, default="", db_default="")
    since = models.DateTimeField(_("since"), db_default=Now(), editable=False)

    objects: ClassVar[models.Manager[Trouble]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("trouble")
        verbose_name_plural = _("troubles")
        constraints = [models.UniqueConstraint(fields=("kind", "about"), name="rules_engine_trouble_of")]

    def __str__(self) -> str:
        return f"{self.kind} {self.about}".strip()
