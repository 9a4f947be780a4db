"""Matches that wait: what a throttle, a coalescing rule or ``for_each`` decides outside of the save; and activity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine import types
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.models.event import Event
from rules_engine.models.execution import Execution

#: Why a match was held back, as its row says it: the rule acts once, another acts in its place, there is no such rule.
ACTED_BEFORE = "It has acted on this object before."
TAKEN_TOGETHER = "A later match of the same acts in its place."
TOO_SELDOM = "It did not happen so often in that time."
RULE_GONE = "The rule was disabled or deleted."
#: The throttle's reason begins so.
USED_UP = "The rule acts at most"


class HeldMatchQuerySet(UncachedQuerySet["HeldMatch"]):
    """Held matches, as ``HeldMatch.objects`` gives them."""


class HeldMatch(models.Model):
    """A rule matched an event, and a worker is to say whether, and how often, its actions are carried out.

    Written in the caller's transaction in place of executions; nobody waits for anybody there.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RELEASED = "released", _("released")
        DROPPED = "dropped", _("held back")

    id = models.UUIDField(primary_key=True, default=types.new_id, editable=False)
    event = models.ForeignKey(
        Event, on_delete=models.DO_NOTHING, db_constraint=False, related_name="held_matches", verbose_name=_("event")
    )
    rule_slug = models.CharField(_("rule"), max_length=100)
    rule_version = models.PositiveIntegerField(_("rule version"))
    author_id = models.CharField(_("author"), max_length=64, blank=True, default="", db_default="")
    #: ``{"throttle": [count, seconds], "coalesce": seconds, "debounce": flag, "once": flag}``, as the rule had it, with
    #: ``"often": [times, seconds]`` and ``"lists": true`` where it has those; ``"events"`` are then the ids of all that
    #: it stands for, as many as are handed on.
    terms = models.JSONField(default=dict, editable=False, db_default={})
    #: The actions as rows of the outbox, ``rows`` among them where there is one execution for each of those.
    actions = models.JSONField(default=list, editable=False, db_default=[])
    throttle_key = models.CharField(_("counted for"), max_length=255, blank=True, default="", db_default="")
    coalesce_key = models.CharField(_("taken together as"), max_length=255, blank=True, default="", db_default="")
    #: The object of which the rule says "once"; empty where it does not.
    once_key = models.CharField(_("once for"), max_length=255, blank=True, default="", db_default="")
    #: How many matches it stands for, itself among them; null when another does, or when none is to count it.
    stands_for = models.PositiveIntegerField(_("stands for"), null=True, default=1)
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.WAITING, db_default=State.WAITING
    )
    reason = models.TextField(_("reason"), blank=True, default="", db_default="")
    #: When the first of those that this one stands for began to wait: no debounce goes on for ever.
    waits_since = models.DateTimeField(_("waiting since"), db_default=Now(), editable=False)
    due_at = models.DateTimeField(_("due"), db_default=Now())
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)
    decided_at = models.DateTimeField(_("decided"), null=True, blank=True)

    objects = HeldMatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("held match")
        verbose_name_plural = _("held matches")
        ordering = ("-created_at",)
        permissions = [("release_heldmatch", _("Can release and discard held matches"))]
        indexes = [
            # What workers look for: it holds only what waits.
            models.Index(fields=("due_at",), name="rules_held_due", condition=Q(state="waiting")),
            # What a throttle counts, what waits together, and what a rule says "once" of.
            models.Index(fields=("rule_slug", "throttle_key", "state", "decided_at"), name="rules_held_throttle"),
            models.Index(fields=("rule_slug", "coalesce_key", "state"), name="rules_held_coalesce"),
            models.Index(fields=("rule_slug", "once_key", "state"), name="rules_held_once"),
            models.Index(fields=("created_at",), name="rules_held_created"),
            # The latest of a rule, beside its form.
            models.Index(fields=("rule_slug", "created_at"), name="rules_held_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_slug}: {self.event_id}"

    def given(self, row: Any, held: Mapping[str, int], for_each: Any = None) -> dict[str, Any]:
        """Return what an execution of this match knows besides the event: as ``Execution.given`` keeps it."""
        context: dict[str, Any] = {"held": dict(held)}
        listed: dict[str, Any] = {}
        if self.terms.get("lists"):
            listed["events"] = self.terms.get("events") or [str(self.event_id)]
            context["held"]["more"] = max(0, (self.stands_for or 1) - len(listed["events"]))
        if row is None:
            return {"context": context, **listed}
        decimals = [f"/each{pointer}" for pointer in row["decimals"]]
        return {"context": {**context, "each": row["row"]}, "decimals": decimals, "for_each": for_each, **listed}


class Activity(Execution):
    """What rules did, could not do yet, or hold back: executions and held matches as one list of the admin.

    A row is an execution or a held match; this has no table of its own, but a name and a place in the admin's menu.
    """

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("activity")
        verbose_name_plural = _("activity")
