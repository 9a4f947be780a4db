"""What happened, which rules could not be evaluated on it, and what is still to be told of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, ClassVar, Self

from django.db import models, router
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from rules_engine import types
from rules_engine.context import snapshot
from rules_engine.context.kept import short_form
from rules_engine.context.visible import MayView, visible
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.surroundings.state import LONGEST, here
from rules_engine.tracing import kept


class Event(models.Model):
    """One captured occurrence that some rule matched or failed on; immutable."""

    id = models.UUIDField(primary_key=True, default=types.new_id, editable=False)
    signal = models.CharField(_("signal"), max_length=200)
    operation = models.CharField(_("operation"), max_length=10, blank=True, default="", db_default="")
    model = models.CharField(_("model"), max_length=200, blank=True, default="", db_default="")
    object_pk = models.CharField(_("object"), max_length=255, blank=True, default="", db_default="")
    occurred_at = models.DateTimeField(_("occurred"))
    root_id = models.UUIDField(_("first event of its chain"))
    depth = models.PositiveSmallIntegerField(_("depth"), default=0, db_default=0)
    #: The execution whose action made the change; null for an event from outside.
    cause_id = models.UUIDField(_("caused by"), null=True, editable=False)
    #: How many executions it led to, for the budget of its chain.
    execution_count = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    actor_id = models.CharField(_("actor"), max_length=64, blank=True, default="", db_default="")
    actor_name = models.CharField(_("actor's name"), max_length=255, blank=True, default="", db_default="")
    request_id = models.CharField(_("request"), max_length=64, blank=True, default="", db_default="")
    context = models.JSONField(_("context"), default=dict, db_default={})
    #: JSON pointers of the strings in ``context`` that are exact decimals.
    decimals = models.JSONField(default=list, editable=False, db_default=[])
    #: ``[{"rule", "version", "outcome", "gate"?, "detail"?}, …]`` in the order the rules were tried.
    evaluations = models.JSONField(_("evaluations"), default=list, db_default=[])
    #: The number of the rule set that it was matched by; null where no rule was asked. No worker acts by an older one.
    rule_set = models.BigIntegerField(null=True, editable=False)
    #: What the connection said besides its rows (``surroundings.state``); empty where the site tells nothing.
    surroundings = models.CharField(
        _("surroundings"), max_length=LONGEST, default="", db_default="", blank=True, editable=False
    )
    #: Its place in a trace (``tracing.kept``); null where there is none.
    trace = models.CharField(_("trace"), max_length=kept.LONGEST, null=True, editable=False)  # noqa: DJ001
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

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        """Make the event of its row, with its context as it was. See ``short_form``."""
        event = super().from_db(*args, **kwargs)
        held = event.__dict__
        if isinstance(held.get("context"), dict):
            # What is fetched with some of these columns alone has no context to be read; ``refresh_from_db`` has all.
            try:
                captured = _CAPTURED(held)
            except KeyError:
                return event
            event.context, event.decimals = whole_of(*captured)
        return event

    def refresh_from_db(
        self,
        using: str | None = None,
        fields: Iterable[str] | None = None,
        from_queryset: models.QuerySet[Event] | None = None,
    ) -> None:
        """Fetch as Django does; the context comes with the columns that say a part of it."""
        wanted = None if fields is None else list(fields)
        if wanted is not None and not {"context", "decimals"}.isdisjoint(wanted):
            wanted = list(dict.fromkeys((*wanted, *self.CAPTURED)))
        super().refresh_from_db(using, wanted, from_queryset)

    @property
    def key_here(self) -> str:
        """Return the object's key, where the object can be looked up from here; empty for one in other surroundings,
        where the key is another object's, or that of no table."""
        return self.object_pk if self.surroundings in ("", here()) else ""

    #: What ``captured_of`` takes, in its order.
    CAPTURED = ("context", "decimals", *short_form.Columns._fields)

    def captured(self) -> types.Event:
        """Return the event as plain data: its decimals exact again, and what was cut off told apart."""
        return self.captured_of(*(getattr(self, name) for name in self.CAPTURED))

    @staticmethod
    def captured_of(context: Any, decimals: Any, *said: Any) -> types.Event:
        """Return as plain data the columns ``CAPTURED``, for whoever reads thousands and needs no instances."""
        columns = short_form.Columns(*said)
        if isinstance(context.get("event"), list):  # in its short form, where no row was read
            context, decimals = whole_of(context, decimals, *said)
        header: Mapping[str, Any] = context.get("event", {})
        operation: Any = columns.operation or None
        if pointers := [*header.get("cut", ()), *decimals]:
            context = snapshot.restore(context, pointers)
        return types.Event(
            id=columns.id,
            signal=columns.signal,
            operation=operation,
            model=columns.model,
            pk=header.get("pk"),
            occurred_at=columns.occurred_at,
            root_id=columns.root_id,
            depth=columns.depth,
            context=context,
            surroundings=columns.surroundings,
        )


#: Takes those columns from what an event holds, all at once: workers read thousands.
_CAPTURED = itemgetter(*Event.CAPTURED)


def whole_of(context: Any, decimals: Any, *said: Any) -> short_form.Kept:
    """Return the context, and the pointers of its decimals, of an event with the columns ``CAPTURED``."""
    return short_form.restore(short_form.Kept(context, decimals), short_form.Columns(*said))


def contexts_of(keys: Sequence[Any], may_view: MayView | None) -> list[Mapping[str, Any]]:
    """Return the contexts of these events, in this order, of those that are still on record; without objects of models
    that may not be viewed. None views all."""
    stored = Event.objects.using(router.db_for_write(Event))
    rows = {str(event.pk): event.captured() for event in stored.filter(pk__in=keys)}
    events = [rows[str(key)] for key in keys if str(key) in rows]
    if may_view is None:
        return [event.context for event in events]
    return [visible(event.context, event.model, may_view)[0] for event in events]


class RuleError(models.Model):
    """An evaluation that failed. A table of its own: counting on the rule's row would make savers wait in line."""

    rule_slug = models.CharField(_("rule"), max_length=100)
    rule_version = models.PositiveIntegerField(_("version"))
    event_id = models.UUIDField(_("event"), null=True)
    gate = models.CharField(_("gate"), max_length=20, blank=True, default="", db_default="")
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
    is_target = models.BooleanField(default=False, db_default=False)
    operation = models.CharField(_("operation"), max_length=10)
    #: The one object at the other end.
    other_model = models.CharField(max_length=255)
    other_pk = models.JSONField()
    #: The watched model's own, as their key tells them.
    keys = models.JSONField(default=list, db_default=[])
    #: Who made the change, in which request, by which execution.
    origin = models.JSONField(default=dict, db_default={})
    #: As an event has them.
    surroundings = models.CharField(max_length=LONGEST, default="", db_default="", blank=True, editable=False)
    occurred_at = models.DateTimeField(_("occurred"))
    #: How often telling it has failed.
    failures = models.PositiveIntegerField(_("failures"), default=0, db_default=0)
    due_at = models.DateTimeField(_("due"), db_default=Now(), db_index=True)
    created_at = models.DateTimeField(_("recorded"), db_default=Now(), editable=False)

    objects: ClassVar[models.Manager[LargeChange]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("large change")
        verbose_name_plural = _("large changes")

    def __str__(self) -> str:
        return f"{self.model}.{self.relation}: {len(self.keys)}"
