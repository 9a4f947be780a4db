"""Erases all that is recorded of one object: for a person's right to be forgotten.

Where a site has surroundings, objects of one key in two of them are two objects. ``of`` is the text of those whose
object it is, as ``surroundings.state`` has it; None is whichever, for objects that all of them share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db import router
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from rules_engine.context.paths import find_model
from rules_engine.models import (
    Armed,
    Attempt,
    AuditEntry,
    AuditSeal,
    CapturedChange,
    Event,
    Execution,
    Firing,
    HeldMatch,
    Rule,
    RuleError,
    RuleTest,
)
from rules_engine.models.inheritance import ObjectName, is_stored, names_of, of_names
from rules_engine.rules.holding import key_of_text
from rules_engine.rules.schedules.kind import LONGEST_LATENESS
from rules_engine.surroundings.listed import are_listed, place_of
from rules_engine.surroundings.state import functions
from rules_engine.types import ask
from rules_engine.work.captures.reading import Writers
from rules_engine.work.retention import remove
from rules_engine.work.schedules.dates import key_text


def surroundings_of(model: str, pk: str) -> Mapping[str, int]:
    """Return the surroundings in which events of objects of that key were recorded, and how many; home, where workers
    begin, as an empty text."""
    events = Event.objects.filter(of_names(names_of(model, pk))).order_by()
    counts: dict[str, int] = {}
    for text, count in events.values_list("surroundings").annotate(count=Count("pk")):
        counts[place_of(text)] = counts.get(place_of(text), 0) + count
    return counts


def erase(model: str, pk: str, *, of: str | None = None, dry_run: bool = False) -> dict[str, int]:
    """Remove all that is recorded of one object, audit entries included; returns how many of what.

    As whichever of its models it was recorded: itself, what it inherits from, what inherits from it. To be called in
    the surroundings whose object it is.
    """
    names = names_of(model, pk)
    events = Event.objects.filter(of_names(names), **_only("surroundings", of))
    its_events = events.values("pk")
    keys = _keys(names, of)
    executions = Execution.objects.filter(event__in=its_events)
    tables: tuple[QuerySet[Any], ...] = (
        Attempt.objects.filter(execution__in=executions.values("pk")),
        executions,
        HeldMatch.objects.filter(Q(event__in=its_events) | Q(once_key__in=keys)),
        RuleError.objects.filter(event_id__in=its_events),
        Armed.objects.filter(key__in=keys),
        _firings_of(names, events, of),
        # Before the events: they say whose entries these are.
        _entries_of(names, of),
        events,
        RuleTest.objects.filter(pk__in=_tests_about(names)),
        _captured_of(names, of),
    )
    return {
        str(rows.model._meta.verbose_name_plural): rows.count() if dry_run else remove(rows, AuditSeal.Reason.ERASURE)
        for rows in tables
    }


def untold(model: str, pk: str) -> int:
    """Return how many audit entries are about objects of that key and say nothing of surroundings, for their events are
    gone."""
    entries = AuditEntry.objects.filter(of_names(names_of(model, pk)))
    return entries.exclude(Exists(Event.objects.filter(pk=OuterRef("event_id")))).count()


def _texts(of: str) -> set[str]:
    """Return the texts by which rows may name these surroundings: home is none as well."""
    said = functions()
    home = {"", said.home} if said is not None else {""}
    return home if of in home else {of}


def _only(column: str, of: str | None) -> dict[str, Any]:
    return {} if of is None else {f"{column}__in": _texts(of)}


def _keys(names: Iterable[ObjectName], of: str | None) -> list[str]:
    """Return what the object is called where it is held back once, or waited for: apart for each surroundings."""
    names = list(names)
    if of is not None:
        texts = _texts(of)
    else:
        events, armed = Event.objects.filter(of_names(names)), Armed.objects.filter(model__in={n.label for n in names})
        texts = {"", *(text for rows in (events, armed) for text in _distinct(rows))}
    return [key_of_text(f"{text} {name.label}:{name.pk}".lstrip()) for text in texts for name in names]


def _distinct(rows: QuerySet[Any]) -> Iterable[str]:
    return rows.order_by().values_list("surroundings", flat=True).distinct()


def _entries_of(names: Iterable[ObjectName], of: str | None) -> QuerySet[AuditEntry]:
    entries = AuditEntry.objects.filter(of_names(names))
    if of is None:
        return entries
    return entries.filter(Exists(Event.objects.filter(pk=OuterRef("event_id"), surroundings__in=_texts(of))))


def _captured_of(names: Iterable[ObjectName], of: str | None) -> QuerySet[CapturedChange]:
    """Return what triggers have captured of it and no worker has told yet; few rows."""
    captured = CapturedChange.objects.filter(of_names(names))
    if of is None:
        return captured
    writers, texts = Writers(), _texts(of)
    return captured.filter(pk__in=[row.pk for row in captured if writers.of(row).surroundings in texts])


def _tests_about(names: Iterable[ObjectName]) -> list[Any]:
    """Return the keys of the tests whose sample is of the object. A sample names it in its own JSON, and tells no
    surroundings; tests are few."""
    wanted = {(name.label, name.pk) for name in names}
    tests = RuleTest.objects.filter(rule__model__in={name.label for name in names}).select_related("rule")
    return [test.pk for test in tests if (test.rule.model, test.object_pk) in wanted]


def _firings_of(names: Sequence[ObjectName], events: QuerySet[Event], of: str | None) -> QuerySet[Any]:
    """Return what says of an object that its dates are done with. While it is there, that which may still keep it from
    being told a second time stays: such a row says no more than its key and when it was due."""
    labels = {name.label for name in names}
    slugs = [slug for slug, label in Rule.objects.values_list("slug", "model") if label.lower() in labels]
    # The object of that key in other surroundings is another one, which is not to be told again.
    there = {"surroundings": place_of(of)} if of is not None and are_listed() else {}
    is_its_own = Q(rule_slug__in=slugs, object_key__in=set(_key_texts(names)), **there)
    rows = Firing.objects.filter(is_its_own | Q(event_id__in=events.values("pk")))
    if not any(is_stored(name) for name in names):
        return rows
    return rows.filter(due_at__lt=Now() - timedelta(seconds=LONGEST_LATENESS))


def _key_texts(names: Iterable[ObjectName]) -> Iterator[str]:
    """Yield the object's keys as they are told, and as ``Firing`` keeps them."""
    for name in names:
        yield name.pk
        model = find_model(name.label)
        known = None if model is None else ask(key_text, model, name.pk, router.db_for_write(Firing))
        if isinstance(known, str):
            yield known
