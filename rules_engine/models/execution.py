"""The outbox: executions, their attempts, and the verbs workers use on them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any, ClassVar, cast

from django.db import models, router
from django.db.models import F, Q, Window
from django.db.models.functions import Now, RowNumber
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import types
from rules_engine.context import snapshot
from rules_engine.context.visible import MayView, visible
from rules_engine.databases.generic import seconds_from_now
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.models.event import Event, contexts_of
from rules_engine.models.tallies import counting
from rules_engine.tracing import spans
from rules_engine.troubles.signals import is_trouble


class State(models.TextChoices):
    """Where an execution stands."""

    PENDING = "pending", _("pending")
    RUNNING = "running", _("running")
    SUCCEEDED = "succeeded", _("succeeded")
    RETRYABLE = "retryable", _("retryable")
    DISCARDED = "discarded", _("discarded")
    CANCELLED = "cancelled", _("cancelled")
    REFUSED = "refused", _("refused")


WAITING = (State.PENDING, State.RETRYABLE)
LIVE = (State.PENDING, State.RETRYABLE, State.RUNNING)
IS_LIVE = Q(state__in=LIVE)
IN_TURN = Q(state__in=LIVE, lane="")
#: States that an execution ends in without having done its work.
FAILED = (State.DISCARDED, State.CANCELLED, State.REFUSED)
#: States that say that something went wrong, for good or for now.
TROUBLED = (State.DISCARDED, State.REFUSED, State.RETRYABLE)
ENDED = (State.SUCCEEDED, *FAILED)
#: Why an action was not carried out that comes after one whose rule says "stop" and that did not succeed.
NOT_AFTER_THAT = "An action before it did not succeed, and the rule says that nothing is to be done after that."


class ExecutionQuerySet(UncachedQuerySet["Execution"]):
    """Verbs of the outbox. Every time in them is the database's."""

    def waiting(self) -> ExecutionQuerySet:
        """Those that nobody has started on since they were last due."""
        return self.filter(state__in=WAITING)

    def live(self) -> ExecutionQuerySet:
        """Those that have not ended."""
        return self.filter(state__in=LIVE)

    def unleased(self) -> ExecutionQuerySet:
        """Those that no worker owns."""
        return self.filter(Q(lease_until__isnull=True) | Q(lease_until__lte=Now()))

    def due(self) -> ExecutionQuerySet:
        """Those that a worker may take now, crashed ones included."""
        return self.live().unleased().filter(next_attempt_at__lte=Now())

    def in_order_of_time(self) -> ExecutionQuerySet:
        """Those that a worker may take now, in the database that is written, oldest first."""
        return self.due().using(router.db_for_write(self.model)).order_by("next_attempt_at", "id")

    def firsts(self) -> ExecutionQuerySet:
        """Of those with the same lane and order key that have not ended, the first one each."""
        place = Window(RowNumber(), partition_by=[F("lane"), F("order_key")], order_by="id")
        return self.live().annotate(place=place).filter(place=1)

    def of_claim(self, *workers: str) -> ExecutionQuerySet:
        """Those that these claims still own. By what they are not: asked by the states of what is live, PostgreSQL's
        planner, where it has no statistics yet, looks through all that waits."""
        return self.using(router.db_for_write(self.model)).filter(leased_by__in=workers).exclude(state__in=ENDED)

    def renew(self, workers: Collection[str], lease: float) -> int:
        """Push the end of the leases of these claims ``lease`` seconds into the future."""
        return self.of_claim(*workers).update(lease_until=seconds_from_now(lease))

    def give_back(self, worker: str) -> int:
        """Give back what a claim took and did not start; no attempt is charged."""
        return self.of_claim(worker).exclude(state=State.RUNNING).update(leased_by="", lease_until=None)

    def postpone(self, worker: str, seconds: float) -> int:
        """Give back what a claim took and did not start, to be due in so many seconds; no attempt is charged."""
        mine, later = self.of_claim(worker).exclude(state=State.RUNNING), seconds_from_now(seconds)
        return mine.update(leased_by="", lease_until=None, next_attempt_at=later)

    def cancel(self, reason: str) -> int:
        """End those that nobody has started; what is running goes on. ``reason`` is a sentence for people."""
        ended = {"state": State.CANCELLED, "error": reason, "finished_at": Now(), "leased_by": "", "lease_until": None}
        return counting.cancelled(self.waiting().update(**ended), self.db)

    def retry(self) -> int:
        """Make ended or waiting ones due at once, with a fresh count of attempts left to the schedule."""
        return self.filter(state__in=(*FAILED, State.RETRYABLE)).update(**_due_again())

    def replay(self, lane: str | None = None) -> int:
        """Make ended ones due at once, also those that succeeded; what is recorded of their attempts stays. ``lane``
        is where they wait then, unless it is None."""
        there = {} if lane is None else {"lane": lane}
        return self.filter(state__in=ENDED).update(**_due_again(), **there)

    def of_queues(self, queues: Collection[str]) -> ExecutionQuerySet:
        """Those that wait in one of these Celery queues."""
        return self.filter(queue__in=queues)


def _due_again() -> dict[str, Any]:
    return {
        "state": State.RETRYABLE,
        "next_attempt_at": Now(),
        "failures": 0,
        "crashes": 0,
        "leased_by": "",
        "lease_until": None,
        "finished_at": None,
    }


class Execution(models.Model):
    """One configured action for one event: the unit of work, and a row of the outbox."""

    State = State

    #: Set by ``claim`` on one whose last lease expired; and when its attempt was begun here, by ``time.monotonic``.
    is_suspect, began = False, 0.0
    #: Its author, what they may view (None is all), where they are, and the action of its kind; set by who claims it.
    author: Any = None
    author_sees: MayView | None = None
    author_place = ""
    action: Any = None
    #: OpenTelemetry's spans of the claim and of the attempt that goes on; None where none are made.
    claim_span = attempt_span = cast("Any", None)

    id = models.UUIDField(primary_key=True, default=types.new_id, editable=False)
    event = models.ForeignKey(
        Event, on_delete=models.DO_NOTHING, db_constraint=False, related_name="executions", verbose_name=_("event")
    )
    rule_slug = models.CharField(_("rule"), max_length=100)
    rule_version = models.PositiveIntegerField(_("rule version"))
    kind = models.CharField(_("kind"), max_length=100)
    config = models.JSONField(_("config"), default=dict, db_default={})
    position = models.PositiveIntegerField(_("position"), default=0, db_default=0)
    author_id = models.CharField(_("author"), max_length=64, blank=True, default="", db_default="")
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PENDING, db_default=State.PENDING
    )
    queue = models.CharField(_("queue"), max_length=100)
    lane = models.CharField(_("lane"), max_length=200, blank=True, default="", db_default="")
    order_key = models.CharField(_("order key"), max_length=255, blank=True, default="", db_default="")
    #: Attempts started, for people; ``failures`` is what the retry schedule counts from.
    attempts = models.PositiveIntegerField(_("attempts"), default=0, db_default=0)
    failures = models.PositiveIntegerField(default=0, editable=False, db_default=0)
    #: Attempts that ended with the process that made them.
    crashes = models.PositiveSmallIntegerField(_("crashes"), default=0, db_default=0)
    #: Besides the event: ``{"context": {"each", "held"}, "decimals": […], "for_each": as the rule has it}``, the ids of
    #: ``"events"``, and ``"at", "zone", "asks_again"`` of one that acts later. Null for most.
    given = models.JSONField(_("besides the event"), null=True, blank=True)
    #: Seconds between the commit, or the end of what it waits for, and the first attempt.
    delay = models.PositiveIntegerField(_("delay"), default=0, db_default=0)
    #: "stop": what comes after it in its rule waits until it has succeeded.
    on_failure = models.CharField(max_length=10, default="go_on", editable=False, db_default="go_on")
    #: Null while it waits for an action before it.
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, db_default=Now())
    lease_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    leased_by = models.CharField(_("leased by"), max_length=200, blank=True, default="", db_default="")
    summary = models.TextField(_("what it did"), blank=True, default="", db_default="")
    error = models.TextField(_("error"), blank=True, default="", db_default="")
    created_at = models.DateTimeField(_("created"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    objects = ExecutionQuerySet.as_manager()

    class Meta:
        verbose_name = _("execution")
        verbose_name_plural = _("executions")
        ordering = ("-created_at",)
        permissions = [("retry_execution", _("Can retry and cancel executions"))]
        indexes = [
            # Claiming: only what has not ended is in it, so it stays small however long the table grows.
            # In the order of claims to the last column, or what one transaction wrote would be sorted whole each time.
            models.Index(fields=["queue", "next_attempt_at", "id"], name="rules_execution_due", condition=IS_LIVE),
            # Where much waits, rules take turns; batch senders have lanes for that.
            models.Index(
                fields=["queue", "rule_slug", "next_attempt_at", "id"], name="rules_execution_turn", condition=IN_TURN
            ),
            # What workers hold, or held when they died: as few as are in flight, however many wait.
            models.Index(fields=("leased_by",), name="rules_execution_leased", condition=~Q(leased_by="")),
            # Batch senders claim by lane.
            models.Index(
                fields=("queue", "lane", "next_attempt_at", "id"),
                name="rules_execution_lane",
                condition=Q(state__in=LIVE) & ~Q(lane=""),
            ),
            # How a lane does, and what is replayed of it.
            models.Index(fields=("queue", "lane", "created_at"), name="rules_execution_of_lane", condition=~Q(lane="")),
            models.Index(fields=("rule_slug", "created_at"), name="rules_execution_rule"),
            # What goes wrong is asked for by every list and overview, and is little.
            models.Index(
                fields=("rule_slug", "created_at"), name="rules_execution_troubled", condition=Q(state__in=TROUBLED)
            ),
            models.Index(fields=("created_at",), name="rules_execution_created"),
        ]

    def __str__(self) -> str:
        """What it is: of which rule, or who ordered it, as far as its event is at hand."""
        if self.rule_slug:
            return gettext("%(kind)s of %(rule)s") % {"kind": self.kind, "rule": self.rule_slug}
        event = self._state.fields_cache.get("event")
        is_own = event is not None and is_trouble(event.signal)
        text = gettext("%(kind)s, ordered by itself") if is_own else gettext("%(kind)s, ordered by hand")
        return text % {"kind": self.kind}

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.state in LIVE

    @property
    def may_have_crashed(self) -> bool:
        """Whether, before it is begun, somebody had it who did not end it: a crash must leave a trace."""
        return self.is_suspect or self.state == State.RUNNING

    def context(self) -> types.ActionContext:
        """What its action is given."""
        event = self.event.captured()
        if self.given:
            own = snapshot.restore(self.given["context"], self.given.get("decimals", ()))
            if ids := self.given.get("events"):
                own["events"] = contexts_of(ids, self.author_sees)
            event = event._replace(context={**event.context, **own})
        if self.author_sees is not None:
            # The event holds what other rules read as well.
            event = event._replace(context=visible(event.context, event.model, self.author_sees)[0])
        return types.ActionContext(
            execution_id=self.id,
            attempt=self.attempts,
            event=event,
            rule_slug=self.rule_slug,
            rule_version=self.rule_version,
            author_id=self.author_id or None,
            earlier=self.earlier_details if self.attempts > 1 else tuple,
            traceparent="" if self.attempt_span is None else spans.traceparent_of(self.attempt_span),
        )

    def earlier_details(self) -> list[dict[str, Any]]:
        """What the attempts before the present one recorded, in order."""
        if self.attempts <= 1:
            return []
        attempts = Attempt.objects.using(router.db_for_write(Attempt))
        before = attempts.filter(execution=self, number__lt=self.attempts).order_by("number")
        return list(before.values_list("detail", flat=True))


class Attempt(models.Model):
    """One try of an execution. Its row is committed just before the effect starts, so that a crash leaves a trace."""

    class Outcome(models.TextChoices):
        STARTED = "started", _("started")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        LOST = "lost", _("lost with its process")
        PUT_OFF = "put_off", _("put off")

    execution = models.ForeignKey(
        Execution,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,  # that of the constraint begins with it
        related_name="attempt_set",
        verbose_name=_("execution"),
    )
    number = models.PositiveIntegerField(_("number"))
    outcome = models.CharField(
        _("outcome"), max_length=10, choices=Outcome.choices, default=Outcome.STARTED, db_default=Outcome.STARTED
    )
    worker = models.CharField(_("worker"), max_length=200, blank=True, default="", db_default="")
    started_at = models.DateTimeField(_("started"), db_default=Now(), editable=False)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)
    error_type = models.CharField(_("error type"), max_length=200, blank=True, default="", db_default="")
    error = models.TextField(_("error"), blank=True, default="", db_default="")
    detail = models.JSONField(_("detail"), default=dict, blank=True, db_default={})

    objects: ClassVar[models.Manager[Attempt]] = UncachedQuerySet.as_manager()

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ("execution", "number")
        constraints = [models.UniqueConstraint(fields=("execution", "number"), name="rules_engine_attempt_number")]

    def __str__(self) -> str:
        return f"{self.number}: {self.outcome}"

    @property
    def duration(self) -> timedelta | None:
        """How long it took, by the database's clock; None while it goes on."""
        return self.finished_at - self.started_at if self.finished_at else None
