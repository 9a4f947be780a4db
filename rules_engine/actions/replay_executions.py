"""``replay_executions``: makes ended executions due again, also those that succeeded. Ordered by code, never by a rule.

An execution itself, so that it is durable, on record with who asked for it, and goes on after a crash. It keeps no
cursor: what it made due ends, if at all, after it was asked, and is then no longer among what it looks for. What is
being retried it has tried at once, where it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import router
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf
from rules_engine.errors import Problem
from rules_engine.models import Attempt, Event, Execution
from rules_engine.models.execution import ENDED, FAILED, ExecutionQuerySet, State
from rules_engine.outbox import hints
from rules_engine.rules.contract import Action, Route
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, RuleSpec

#: Rows changed by one statement: some milliseconds of locks, with a commit after each.
BATCH = 500


@dataclass(frozen=True, slots=True)
class Selection:
    """Executions that have ended, in lanes of one queue: those that failed, unless ``states`` says otherwise.

    With ``failing`` it is also those that failed and are to be tried again by themselves later. ``since`` and ``until``
    are about when they were recorded. ``detail`` is what their last attempt recorded: a value for a key, or a list of
    two, from and to. Raises ``ValueError`` for a state that is no end.
    """

    queue: str
    lanes: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None
    states: tuple[str, ...] = tuple(map(str, FAILED))
    detail: Mapping[str, Any] = field(default_factory=dict)
    failing: bool = False

    def __post_init__(self) -> None:
        for state in self.states:
            if state not in ENDED:
                raise ValueError(f"Expected states that executions end in ({', '.join(ENDED)}), and got {state!r}.")

    def rows(self) -> ExecutionQuerySet:
        """Return those that have ended, also those whose event is no longer recorded."""
        return self._selected(Q(state__in=self.states))

    def retried(self) -> ExecutionQuerySet:
        """Return those that are being retried and that no worker has now; none unless ``failing``."""
        rows = self._selected(Q(state=State.RETRYABLE, failures__gt=0)) if self.failing else Execution.objects.none()
        return recorded(rows.unleased())

    def _selected(self, among: Q) -> ExecutionQuerySet:
        rows = Execution.objects.using(router.db_for_write(Execution)).filter(queue=self.queue, lane__in=self.lanes)
        rows = rows.exclude(lane="").filter(among)
        if self.since is not None:
            rows = rows.filter(created_at__gte=self.since)
        if self.until is not None:
            rows = rows.filter(created_at__lte=self.until)
        if self.detail:
            last = Attempt.objects.filter(execution=OuterRef("pk"), number=OuterRef("attempts"))
            rows = rows.filter(Exists(last.filter(**dict(_lookups(self.detail)))))
        return rows

    def count(self) -> tuple[int, int]:
        """Say how many can be replayed, and how many not, because their event is no longer recorded."""
        rows = self.rows()
        replayable = recorded(rows).count()
        return replayable, rows.count() - replayable

    def as_json(self) -> dict[str, Any]:
        """Return what ``from_json`` takes."""
        return {
            "queue": self.queue,
            "lanes": list(self.lanes),
            "since": self.since and self.since.isoformat(),
            "until": self.until and self.until.isoformat(),
            "states": list(self.states),
            "detail": dict(self.detail),
            # A key of its own, which a worker of an earlier release passes over.
            "failing": self.failing,
        }


def from_json(stored: Mapping[str, Any]) -> Selection:
    """Return a selection as ``as_json`` wrote it."""
    since, until = (stored[name] and datetime.fromisoformat(stored[name]) for name in ("since", "until"))
    states, detail = tuple(stored["states"]), stored.get("detail") or {}
    failing = bool(stored.get("failing"))
    return Selection(stored["queue"], tuple(stored["lanes"]), since, until, states, detail, failing)


def recorded(rows: ExecutionQuerySet) -> ExecutionQuerySet:
    """Return those whose event is there: without it nobody knows any more what is to be done."""
    return rows.filter(Exists(Event.objects.filter(pk=OuterRef("event_id"))))


def _lookups(detail: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in detail.items():
        if isinstance(value, list | tuple):
            yield f"detail__{key}__gte", value[0]
            yield f"detail__{key}__lte", value[1]
        else:
            yield f"detail__{key}", value


@register_action
class ReplayExecutions(Action):
    """See the module. ``into`` names the lane that they wait in then, so that a sender can put fresh ones first."""

    kind = "replay_executions"
    label = _("Replay executions")
    schema = {"type": "object", "keys": {}}
    only_ordered = True

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        yield Problem(
            "", gettext("Executions are replayed by people, from the admin or the command line, and not by a rule.")
        )

    def route(self, config: Mapping[str, Any]) -> Route:
        """Let it wait in a lane of that name in the ordinary queue, so that what was replayed of a lane can be
        found."""
        return Route(conf.queue(), lane=str(config["selection"]["lanes"][0]))

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        selection = from_json(config["selection"])
        # The database's clock, as that of the ends.
        asked = Execution.objects.values_list("created_at", flat=True).get(pk=context.execution_id)
        rows, count = selection.rows().filter(finished_at__lte=asked), 0
        for ids in _batches(recorded(rows)):
            due = Execution.objects.using(rows.db).filter(pk__in=ids, state__in=ENDED, finished_at__lte=asked)
            count += due.replay(config.get("into") or None)
            hints.notify(selection.queue)
        lost, tried = rows.count(), _try_at_once(selection, asked)
        said = [f"{count} executions are due again"]
        if lost:
            said.append(f"{lost} are not: their event is not recorded")
        if tried:
            said.append(f"{tried} that were being retried are tried at once")
        return ActionResult("; ".join(said), {"replayed": count, "not_recorded": lost, "tried_at_once": tried})


def _try_at_once(selection: Selection, asked: datetime) -> int:
    """Make those due that are being retried, and give them all their attempts again; say how many they were."""
    rows, count = selection.retried(), 0
    # After a crash, what has failed once more since it was asked has had its turn.
    begun = Attempt.objects.filter(execution=OuterRef("pk"), number=OuterRef("attempts"), started_at__gt=asked)
    for ids in _batches(rows.filter(~Exists(begun))):
        count += selection.retried().filter(pk__in=ids).retry()
        hints.notify(selection.queue)
    return count


def _batches(rows: ExecutionQuerySet) -> Iterator[list[Any]]:
    """Return the keys, oldest first, read batch by batch: what was changed meanwhile is not read twice."""
    last: tuple[Any, Any] | None = None
    while True:
        part = rows
        if last is not None:
            moment, pk = last
            part = rows.filter(Q(created_at__gt=moment) | Q(created_at=moment, pk__gt=pk), created_at__gte=moment)
        batch = list(part.order_by("created_at", "pk").values_list("created_at", "pk")[:BATCH])
        if not batch:
            return
        yield [pk for _moment, pk in batch]
        last = batch[-1]
