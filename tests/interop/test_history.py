"""Histories beside the engine: triggers and context of django-pghistory, django-simple-history, django-auditlog."""

from __future__ import annotations

import pghistory
import pytest
from auditlog.models import LogEntry
from auditlog.registry import auditlog
from django.apps import apps
from django.db import transaction

from rules_engine.testing import create_rule, run_due
from tests.integration.noting import note
from tests.interop.models import Contract, Parcel
from tests.interop.told import listen, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_rule_acts_inside_the_context_of_pghistory(noted: list[str]) -> None:
    text = "{{ old.name }} {{ instance.name }}"
    create_rule(model=Parcel, operations=["update"], actions=[note(text)])
    parcel = Parcel.objects.create(name="One")
    with pghistory.context(user="ada"):
        parcel.name = "Two"
        parcel.save()
        with transaction.atomic():
            parcel.name = "Three"
            parcel.save()
    run_due()
    assert noted == ["One Two", "Two Three"]


def test_the_history_of_pghistory_is_whole_beside_rules() -> None:
    listen(Parcel, "name")
    with pghistory.context(user="ada"):
        parcel = Parcel.objects.create(name="One")
        parcel.name = "Two"
        parcel.save()
    events = apps.get_model("interop.ParcelEvent").objects.order_by("pgh_id")
    assert list(events.values_list("name", flat=True)) == ["One", "Two"]
    assert {event.pgh_context.metadata["user"] for event in events} == {"ada"}


def test_a_veto_inside_the_context_of_pghistory_is_heard() -> None:
    create_rule(model=Parcel, signals=["pre_save"], actions=[("reject", {"message": "No."}, {"timing": "before_save"})])
    with pghistory.context(user="ada"), pytest.raises(Exception, match="No"):
        Parcel.objects.create(name="One")
    assert Parcel.objects.count() == 0


def test_simple_history_and_rules_see_the_same_saves(noted: list[str]) -> None:
    create_rule(
        model=Contract,
        operations=["update"],
        actions=[note("{{ old.name }} {{ instance.name }}")],
    )
    contract = Contract.objects.create(name="One")
    contract.name = "Two"
    contract.save()
    run_due()
    assert noted == ["One Two"]
    assert [row.name for row in contract.history.order_by("history_id")] == ["One", "Two"]


def test_a_row_of_a_history_is_an_object_for_rules_too() -> None:
    history = apps.get_model("interop.HistoricalContract")
    listen(history, "name", operations=["create"])
    Contract.objects.create(name="One")
    assert told("name") == [(None, "One")]


def test_auditlog_and_rules_see_the_same_saves(noted: list[str]) -> None:
    create_rule(
        model=Contract,
        operations=["update"],
        actions=[note("{{ old.name }} {{ instance.name }}")],
    )
    auditlog.register(Contract)
    try:
        contract = Contract.objects.create(name="One")
        contract.name = "Two"
        contract.save()
    finally:
        auditlog.unregister(Contract)
    run_due()
    assert noted == ["One Two"]
    assert [entry.changes_dict["name"] for entry in LogEntry.objects.order_by("id")] == [
        ["None", "One"],
        ["One", "Two"],
    ]
