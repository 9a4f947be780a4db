"""Rules over relations and texts of which an event keeps a part."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings

from project.clinic.models import Doctor
from project.shop.models import Order, StatusHistory
from rules_engine.models import Event, Execution, RuleError
from rules_engine.testing import create_rule, run_due
from tests.factories import make_appointment, make_doctor, order_with_items

pytestmark = pytest.mark.django_db(transaction=True)

APPOINTMENTS = {"var": "instance.appointments"}
LOG: list[tuple[str, dict[str, Any]]] = [("log_message", {"message": "acted"})]


def busy_doctor(*notes: str) -> Doctor:
    doctor = make_doctor()
    for hour, note in enumerate(notes):
        make_appointment(doctor=doctor, notes=note, time=f"{hour:02}:00")
    return doctor


def outcome_of(quantifier: str, note: str) -> tuple[int, list[str]]:
    """How often a rule on some, all or none of the rows acts on a doctor of whom two of three rows are read."""
    condition = {quantifier: [APPOINTMENTS, {"==": [{"var": "notes"}, note]}]}
    create_rule(model=Doctor, operations=["update"], condition=condition, actions=LOG)
    busy_doctor("well", "well", "ill").save()
    return Execution.objects.count(), list(RuleError.objects.values_list("message", flat=True))


@pytest.mark.parametrize(("quantifier", "note", "acts"), [("some", "well", 1), ("all", "ill", 0), ("none", "well", 0)])
def test_rows_that_were_read_decide(quantifier: str, note: str, acts: int, settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2}
    assert outcome_of(quantifier, note) == (acts, [])


@pytest.mark.parametrize(("quantifier", "note"), [("some", "ill"), ("all", "well"), ("none", "ill")])
def test_no_verdict_over_rows_that_were_not_read(quantifier: str, note: str, settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2}
    executions, errors = outcome_of(quantifier, note)
    assert executions == 0
    assert len(errors) == 1
    assert 'more in "instance.appointments" than the 2 that are read' in errors[0]


def test_as_many_rows_as_may_be_read_are_all(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 3}
    assert outcome_of("none", "gone") == (1, [])


def test_another_rule_on_the_same_rows_goes_on(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2}
    create_rule(model=Doctor, operations=["update"], condition={"<": [{"length": APPOINTMENTS}, 9]}, actions=LOG)
    counted = {"==": [{"var": "instance.appointments__count"}, 3]}
    create_rule(model=Doctor, operations=["update"], condition=counted, actions=LOG)
    busy_doctor("a", "b", "c").save()
    assert Execution.objects.count() == 1
    assert RuleError.objects.count() == 1


def test_a_text_that_was_cut_is_searched_as_far_as_it_goes(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"TEXT_LIMIT": 250}
    for word in ("near", "far"):
        found = {"in": [word, {"var": "instance.notes"}]}
        create_rule(model="clinic.appointment", operations=["create"], condition=found, actions=LOG, slug=word)
    make_appointment(notes="near" + " " * 300 + "far")
    assert [execution.rule_slug for execution in Execution.objects.all()] == ["near"]
    assert [error.rule_slug for error in RuleError.objects.all()] == ["far"]


def test_a_worker_computes_nothing_from_rows_that_were_cut(settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2}
    size = {"if": [{"<": [{"length": {"var": "instance.items"}}, 9]}, "few", "many"]}
    values = [{"field": "order", "value": "{{ instance.pk }}"}, {"field": "to_status", "value": size}]
    history = [("create_object", {"model": "shop.statushistory", "values": values})]
    order = order_with_items((1, "1"), (2, "2"), (3, "3"))
    create_rule(model=Order, operations=["update"], actions=history)
    order.save()
    run_due()
    assert Event.objects.get(model="shop.order").context["event"]["cut"] == ["CutRows/instance/items"]
    assert 'more in "instance.items"' in Execution.objects.get().error
    assert not StatusHistory.objects.exists()
