"""How far rules on time have been looked after, and what was due and is done with: once, whoever looks."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.surroundings.state import LONGEST


class Schedule(models.Model):
    """One rule that acts on time and is switched on, in one place. All times are the database's."""

    id = models.BigAutoField(primary_key=True)
    rule_slug = models.CharField(_("rule"), max_length=100)
    #: Where it is looked after, of a rule that holds in all surroundings; empty at home, and of a rule that holds in
    #: its own alone, which says itself where that is.
    surroundings = models.CharField(max_length=LONGEST, default="", db_default="", blank=True, editable=False)
    #: Of what the rule says of time: where that is another, it is armed anew.
    digest = models.CharField(max_length=64, editable=False)
    #: What was due before that does not act: the rule was off, or said something else.
    since = models.DateTimeField(_("since"), db_default=Now())
    #: All that was due until then is done with, but for what was committed late.
    looked_until = models.DateTimeField(_("looked until"), null=True)
    next_look_at = models.DateTimeField(_("next look"), db_default=Now())
    #: From then on a look goes back as far as anything may be late, and not just to the last look.
    next_wide_at = models.DateTimeField(db_default=Now())
    #: Grows with each look, so that of two workers one alone has it.
    step = models.PositiveBigIntegerField(default=0, db_default=0)
    #: How much was due while no worker looked, and is left out as the rule says.
    skipped = models.PositiveBigIntegerField(_("left out"), default=0, db_default=0)
    #: Why it cannot be looked after; empty where it can.
    error = models.TextField(_("error"), blank=True, default="", db_default="")

    objects: ClassVar[models.Manager[Schedule]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("schedule of a rule")
        verbose_name_plural = _("schedules of rules")
        constraints = [
            models.UniqueConstraint(fields=("rule_slug", "surroundings"), name="rules_engine_schedule_of_place")
        ]
        indexes = [models.Index(fields=("next_look_at",), name="rules_schedule_next_look")]

    def __str__(self) -> str:
        return self.rule_slug


class Firing(models.Model):
    """Something that was due and is done with: a rule, an object of it, in one place, and when that was due. There is
    one of each."""

    id = models.BigAutoField(primary_key=True)
    rule_slug = models.CharField(_("rule"), max_length=100)
    #: The object's key as a text; empty where the rule acts on no object.
    object_key = models.CharField(_("object"), max_length=255, blank=True, default="", db_default="")
    #: Where it was due, as ``Schedule`` has it.
    surroundings = models.CharField(max_length=LONGEST, default="", db_default="", blank=True, editable=False)
    due_at = models.DateTimeField(_("due"))
    #: What that was worked out from, as the column has it: one of these, or none where no object has a date.
    of_date = models.DateField(null=True)
    of_moment = models.DateTimeField(null=True)
    #: The event, or the run, that it led to; null where the rule's condition said no.
    event_id = models.UUIDField(_("event"), null=True)
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)

    objects: ClassVar[models.Manager[Firing]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("firing")
        verbose_name_plural = _("firings")
        constraints = [
            models.UniqueConstraint(
                fields=("rule_slug", "object_key", "due_at", "surroundings"), name="rules_engine_fired_once_a_place"
            )
        ]
        indexes = [
            models.Index(fields=("due_at",), name="rules_firing_due"),
            models.Index(fields=("rule_slug", "due_at"), name="rules_firing_rule_due"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_slug} {self.object_key}".strip()
