"""Random rules and random programs: what is recorded is what a reference receiver, written apart, tells.

``PROPERTY_EXAMPLES`` runs more of them, each time others; the fixed set is always the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules_engine import paused
from rules_engine.live import faults
from rules_engine.models import Event, Execution, Rule, RuleAction, RuleError, RuleVersion
from rules_engine.testing import create_rule, reset
from tests.examples import FIXED, examples
from tests.random_changes import PROGRAMS, Machine, Step, wants
from tests.reference_receiver import FIELDS, Reference, Told, Want
from tests.zoo.models import Animal, Club

pytestmark = pytest.mark.django_db(transaction=True)

SETTINGS = settings(
    max_examples=examples(150),
    derandomize=FIXED,
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
#: In the order in which rows can be deleted.
TABLES = [
    *(Animal.tags.through, Club.dogs.through),
    *(model for model in reversed(FIELDS) if model is not Animal and model._meta.label != "zoo.Keeper"),
    Animal,
    *(model for model in FIELDS if model._meta.label == "zoo.Keeper"),
    *(Execution, RuleError, Event, RuleAction, RuleVersion, Rule),
]


@SETTINGS
@given(asked=st.lists(wants(), min_size=1, max_size=4), program=PROGRAMS)
def test_what_is_recorded_is_what_plain_receivers_tell(asked: Sequence[Want], program: Sequence[Step]) -> None:
    run(asked, program)


def run(asked: Sequence[Want], program: Sequence[Step]) -> None:
    """Run the program under these rules and compare after each of its top-level transactions."""
    reference = Reference(asked)
    try:
        with transaction.atomic():  # else all rules are read a second time after each commit
            for number, want in enumerate(asked):
                _make_rule(number, want)
        before = faults.of_process.total
        machine = Machine(lambda: _both_paused(reference), reference.marked)
        reference.connect()
        for step in program:
            machine.run([step])
            # The end is enough; but to see where it began to differ is worth the queries.
            assert _recorded() == [_told(one) for one in sorted(reference.committed, key=lambda one: one.order)], step
        _check_the_rest(reference)
        # In a transaction that is broken already nobody's queries work, ours neither; that is counted.
        if not any("TransactionManagementError" in one for one in machine.errors):
            assert faults.of_process.total == before
    finally:
        reference.disconnect()
        reset()
        for table in TABLES:
            table._base_manager.all()._raw_delete(connection.alias)


def _check_the_rest(reference: Reference) -> None:
    _compare_rows(reference.committed)
    due = sorted((str(one.event.pk), one.rule_slug) for one in Execution.objects.select_related("event"))
    wanted = [(str(event.pk), slug) for event in Event.objects.all() for slug in _matched(event)]
    assert due == sorted(wanted)
    assert not RuleError.objects.exists()


@contextmanager
def _both_paused(reference: Reference) -> Iterator[None]:
    was, reference.muted = reference.muted, True
    try:
        with paused():
            yield
    finally:
        reference.muted = was


def _make_rule(number: int, want: Want) -> None:
    create_rule(
        slug=f"rule-{number}",
        model=want.model,
        signals=want.signals,
        operations=want.operations,
        changes=[{"field": name, **of} for name, of in want.changes],
        condition=want.condition.logic if want.condition else None,
        position=number,
        stop_processing=want.stops,
        actions=[("write_audit_entry", {}) if want.reads_all else ("log_message", {"message": "x"})],
    )


def _matched(event: Event) -> list[str]:
    return [one["rule"] for one in event.evaluations if one["outcome"] == "matched"]


def _recorded() -> list[dict[str, Any]]:
    return [_plain_event(one) for one in Event.objects.order_by("occurred_at", "id")]


def _plain_event(event: Event) -> dict[str, Any]:
    context = event.context
    m2m = context["m2m"]
    return {
        "signal": event.signal,
        "operation": event.operation,
        "model": event.model,
        "pk": context["event"]["pk"],
        "created": context["created"],
        "changes": {} if m2m else {name: (one["old"], one["new"]) for name, one in (context["changes"] or {}).items()},
        "m2m": m2m and (m2m["field"], m2m["action"], sorted(m2m["pks"]), m2m["count"]),
        "matched": _matched(event),
    }


def _told(told: Told) -> dict[str, Any]:
    m2m = told.m2m
    return {
        "signal": told.signal,
        "operation": told.operation,
        "model": told.model,
        "pk": told.pk,
        "created": told.created,
        "changes": {} if m2m else told.changes,
        "m2m": m2m and (m2m[0], m2m[1], sorted(m2m[2]), len(m2m[2])),
        "matched": [f"rule-{number}" for number in told.wanted_by],
    }


def _compare_rows(committed: Sequence[Told]) -> None:
    """What an event says of the object after a save is what is stored."""
    events = list(Event.objects.order_by("occurred_at", "id"))
    for event, told in zip(events, sorted(committed, key=lambda one: one.order), strict=True):
        if told.stored is None:
            continue
        model = next(one for one in FIELDS if one._meta.label_lower == event.model)
        named = {getattr(model._meta.get_field(name), "attname", name): value for name, value in told.stored.items()}
        named["pk"] = told.pk
        seen = event.context["instance"]
        assert {name: named[name] for name in seen} == seen
