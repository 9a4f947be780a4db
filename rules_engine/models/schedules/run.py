"""Runs: one rule told of objects that are there already, part by part, by workers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine import types
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.surroundings.state import LONGEST


class Run(models.Model):
    """One rule, told of objects as they are: all that its condition selects, or those of some keys.

    Each part advances ``cursor`` in the transaction that records what it led to, so a worker that dies takes nothing
    along, and nothing is told twice.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting for a worker")
        RUNNING = "running", _("going on")
        DONE = "done", _("done")
        CANCELLED = "cancelled", _("cancelled")
        STOPPED = "stopped", _("stopped")

    id = models.UUIDField(primary_key=True, default=types.new_id, editable=False)
    rule_slug = models.CharField(_("rule"), max_length=100)
    #: The version that was asked for: a rule that is another one since is not run. Null runs it as it is by then.
    rule_version = models.PositiveIntegerField(_("version"), null=True)
    model = models.CharField(_("model"), max_length=255)
    #: What its events have as their signal: "run", or "due" of what time brought about.
    signal = models.CharField(_("signal"), max_length=200)
    #: What its events have as ``due``; null where nothing was.
    due = models.JSONField(null=True)
    #: The keys that were chosen, in order; null is all that the condition selects. Forgotten when it has ended.
    keys = models.JSONField(null=True)
    #: Who asked for it, as events have it (``actor``); null is nobody. And their name, for lists.
    actor = models.JSONField(null=True)
    asked_by = models.CharField(_("asked for by"), max_length=255, blank=True, default="", db_default="")
    #: What the connection said besides its rows where it was asked for, such as a tenant's schema.
    surroundings = models.CharField(max_length=LONGEST, default="", db_default="", blank=True, editable=False)
    #: Whether it only counts, and does nothing.
    counts_only = models.BooleanField(default=False, db_default=False)
    #: The last key that was looked at, as keys are told, or how many of ``keys`` were; null before the first.
    cursor = models.JSONField(null=True)
    #: The last key that there was when it began: what comes after that is no part of it.
    last = models.JSONField(null=True)
    #: Grows with each part, so that of two workers one alone tells it.
    step = models.PositiveIntegerField(default=0, db_default=0)
    #: How many objects are to be looked at, as far as that was counted when it began.
    total = models.BigIntegerField(_("objects"), null=True)
    looked_at = models.BigIntegerField(_("looked at"), default=0, db_default=0)
    matched = models.BigIntegerField(_("matched"), default=0, db_default=0)
    failed = models.BigIntegerField(_("failed"), default=0, db_default=0)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.WAITING, db_default=State.WAITING
    )
    #: Why it was stopped, or what it waits for.
    reason = models.TextField(_("reason"), blank=True, default="", db_default="")
    #: How often a part could not be told, since the last that could.
    failures = models.PositiveIntegerField(_("failures"), default=0, db_default=0)
    due_at = models.DateTimeField(_("due"), db_default=Now())
    created_at = models.DateTimeField(_("asked for at"), db_default=Now(), editable=False)
    started_at = models.DateTimeField(_("began"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    objects: ClassVar[models.Manager[Run]] = UncachedQuerySet.as_manager()

    #: The states of those that have not ended.
    LIVE = (State.WAITING, State.RUNNING)

    class Meta:
        verbose_name = _("run")
        verbose_name_plural = _("runs")
        ordering = ("-created_at",)
        indexes = [
            models.Index(fields=("state", "due_at"), name="rules_run_due"),
            models.Index(fields=("rule_slug", "created_at"), name="rules_run_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_slug}: {self.get_state_display()}"

    @property
    def is_live(self) -> bool:
        """Say whether it has not ended."""
        return self.state in self.LIVE

    @property
    def is_of_keys(self) -> bool:
        """Say whether objects were chosen one by one."""
        return self.keys is not None

    @property
    def actor_id(self) -> Any:
        """The key of whoever asked for it; None where nobody did."""
        return (self.actor or {}).get("id")
