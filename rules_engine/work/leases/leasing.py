"""Leasing executions that are due to a worker, and reading what it has got.

Asked with each hint and each look, mostly for what was asked before: the querysets of what is due are made once, and
the texts of queries with them. None of them may be iterated itself, for it would remember what it found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import router
from django.db.models import Exists, Prefetch, QuerySet, Subquery, prefetch_related_objects
from django.db.models.functions import Now

from rules_engine.databases import database_of
from rules_engine.databases.prepared.leased import LeasedRows
from rules_engine.databases.prepared.queries import Prepared, prepare
from rules_engine.models import Event, Execution, Pause, Rule
from rules_engine.models.execution import ExecutionQuerySet
from rules_engine.models.rule_set import RuleSetVersion

#: Expired leases that are looked up by their keys. More are left where a worker dies with its batch, rarely; and of
#: so few the planner knows without statistics that it had better take them from their index.
MOST_EXPIRED = 25


class Unusual(NamedTuple):
    """Whether anything is paused, and whether any lease has expired."""

    is_paused: bool
    has_expired: bool


def unusual(using: str) -> Unusual:
    """Say whether there is anything that a claim has to ask more about: nearly always nothing, by one query."""
    found = next(iter(_asking_unusual(using).ask()), None)
    # The row is not there before the first rule; what is asked next says so itself.
    return Unusual(True, True) if found is None else Unusual(found[0], found[1] is not None)


@lru_cache(maxsize=8)
def _asking_unusual(using: str) -> Prepared[Any]:
    is_paused, expired = Exists(Pause.objects.using(using).current()), Subquery(_expired_keys(using, 1))
    return prepare(RuleSetVersion.objects.using(using).values_list(is_paused, expired)[:1])


def rows() -> ExecutionQuerySet:
    """Return the executions of the database that is written."""
    return _rows(router.db_for_write(Execution))


@lru_cache(maxsize=8)
def _rows(using: str) -> ExecutionQuerySet:
    return Execution.objects.using(using)


def unpaused(executions: ExecutionQuerySet) -> ExecutionQuerySet:
    """Return those that no pause stops. One small query, and a second one while a model is paused."""
    return _without(executions, paused_slugs(executions.db))


def paused_slugs(using: str) -> frozenset[str] | None:
    """Return the rules that a pause stops; None where everything is paused."""
    pauses = _pauses(using).ask()
    if any(pause.is_everything for pause in pauses):
        return None
    slugs = {pause.rule_slug for pause in pauses if pause.rule_slug}
    of_models = [pause for pause in pauses if pause.model]
    if of_models:
        rules = Rule.objects.using(using).values_list("slug", "model")
        slugs |= {slug for slug, model in rules if any(pause.watches(model) for pause in of_models)}
    return frozenset(slugs)


@lru_cache(maxsize=8)
def _pauses(using: str) -> Prepared[Pause]:
    return prepare(Pause.objects.using(using).current())


@lru_cache(maxsize=64)
def _without(executions: ExecutionQuerySet, slugs: frozenset[str] | None) -> ExecutionQuerySet:
    if slugs is None:
        return executions.none()
    return executions.exclude(rule_slug__in=slugs) if slugs else executions


@lru_cache(maxsize=64)
def of_queues(executions: ExecutionQuerySet, *queues: str) -> ExecutionQuerySet:
    """Return those that wait in these queues; in all, where none is named."""
    return executions.of_queues(queues) if queues else executions


@lru_cache(maxsize=64)
def due(executions: ExecutionQuerySet) -> ExecutionQuerySet:
    """Return those that a worker may take now, crashed ones included."""
    return executions.due()


def lease(
    executions: ExecutionQuerySet, limit: int, *, worker: str, lease: float, suspects: bool = False
) -> list[Execution]:
    """Lease up to ``limit`` of these that are due: either those that nobody had, or those whose lease expired."""
    due = _leasable(executions, suspects)
    if due.query.is_empty():
        return []
    reading = with_events(due.db)
    leased: list[Execution] = database_of(due.db).lease(due, limit, reading, worker=worker, seconds=lease)
    for execution in leased:
        execution.is_suspect = suspects
    return leased


def lease_lanes(
    executions: ExecutionQuerySet, rooms: Mapping[str, int], *, worker: str, lease: float, suspects: bool = False
) -> list[Execution]:
    """Lease up to so many of each lane, as ``lease`` does. Each event is read once: what goes to many receivers
    shares its events, and reading one takes twice as long as reading an execution."""
    due = _leasable(executions, suspects)
    leased: list[Execution] = list(database_of(due.db).lease_lanes(due, rooms, worker=worker, seconds=lease))
    prefetch_related_objects(leased, Prefetch("event", queryset=Event.objects.using(due.db)))
    for execution in leased:
        execution.is_suspect = suspects
    # As a join does, this leaves out what has lost its event.
    return in_order_of_time(execution for execution in leased if Execution.event.is_cached(execution))


def in_order_of_time(executions: Iterable[Execution]) -> list[Execution]:
    """Return them oldest first."""
    return sorted(executions, key=lambda execution: (execution.next_attempt_at, execution.pk))


@lru_cache(maxsize=8)
def with_events(using: str) -> LeasedRows:
    """Return how a claim reads what it has got: oldest first, with their events."""
    return LeasedRows(_rows(using).select_related("event").order_by("next_attempt_at", "id"))


def _leasable(executions: ExecutionQuerySet, suspects: bool) -> ExecutionQuerySet:
    """Return those that are due, oldest first: either those that nobody had, or those whose lease expired."""
    if not suspects:
        return leasable(executions)
    keys = _expired(router.db_for_write(Execution), MOST_EXPIRED).ask()
    if not keys:
        return executions.none()
    leased = executions.exclude(leased_by="")
    # Where there are many, a crash of several workers has left them, and they are looked for among all.
    return (leased if len(keys) == MOST_EXPIRED else leased.filter(pk__in=keys)).in_order_of_time()


@lru_cache(maxsize=64)
def leasable(executions: ExecutionQuerySet) -> ExecutionQuerySet:
    """Return those that are due and that nobody had, oldest first."""
    return executions.filter(leased_by="").in_order_of_time()


@lru_cache(maxsize=8)
def _expired(using: str, most: int) -> Prepared[Any]:
    return prepare(_expired_keys(using, most))


def _expired_keys(using: str, most: int) -> QuerySet[Any, Any]:
    """The keys of executions whose lease expired. Rarely any did, and a query of its own finds that: PostgreSQL's
    planner, where it has no statistics yet, would look through all that waits in a queue for them instead."""
    expired = _rows(using).exclude(leased_by="").filter(lease_until__lte=Now()).order_by("leased_by")
    return expired.values_list("pk", flat=True)[:most]
