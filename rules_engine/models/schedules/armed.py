"""What rules that wait by the clock wait for: since when something is so, and when that is long enough."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine import types
from rules_engine.databases.uncached import UncachedQuerySet


class Armed(models.Model):
    """That something came to be so, or is so no more, as a save has told; of each key workers keep one row.

    Saves only add rows, in their own transaction, so that none of them waits for another or for a worker. Workers take
    them together, one worker at a time for a rule, and no save ever reads what they lock.
    """

    class State(models.TextChoices):
        NEW = "new", _("new")
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")

    id = models.UUIDField(primary_key=True, default=types.new_id, editable=False)
    rule_slug = models.CharField(_("rule"), max_length=100)
    #: The object, or what the rule waits for by itself; empty where all is alike.
    key = models.CharField(_("waits for"), max_length=255, blank=True, default="", db_default="")
    model = models.CharField(_("model"), max_length=200, blank=True, default="", db_default="")
    object_pk = models.JSONField(_("object"), null=True)
    surroundings = models.CharField(max_length=100, blank=True, default="", db_default="", editable=False)
    #: Whether it is so, or no more.
    holds = models.BooleanField(_("holds"), default=True, db_default=True)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.NEW, db_default=State.NEW)
    #: When a worker looks at it next: at once at what is new.
    due_at = models.DateTimeField(_("due"), db_default=Now())
    created_at = models.DateTimeField(_("since"), db_default=Now(), editable=False)
    #: The event that it led to; null before.
    event_id = models.UUIDField(_("event"), null=True)

    objects: ClassVar[models.Manager[Armed]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("armed rule")
        verbose_name_plural = _("armed rules")
        ordering = ("due_at",)
        indexes = [
            models.Index(fields=("due_at",), name="rules_armed_due"),
            # By rule: the planner, where it has no statistics yet, would look through all that a rule waits for.
            models.Index(fields=("rule_slug", "due_at"), name="rules_armed_rule_due"),
            models.Index(fields=("rule_slug", "key", "created_at"), name="rules_armed_key"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_slug} {self.key}".strip()
