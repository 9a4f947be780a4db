"""Rules on time as Python: functions that a scheduler calls, and a plain word about what cannot be written."""

from __future__ import annotations

import logging
from datetime import date, time
from typing import Any

import pytest

from project.clinic.models import Appointment, Doctor, Patient
from project.shop.models import Order
from rules_engine.rules.validation import rule_problems
from rules_engine.source.module import python_of
from rules_engine.types import ActionSpec, RuleSpec
from tests.integration.source.test_python_of import names_no_stranger

pytestmark = pytest.mark.django_db(transaction=True)

DAILY = {"kind": "every", "each": "day", "at": "08:00"}
BEFORE = {"kind": "date", "path": "instance.date", "count": 1, "unit": "days", "direction": "before", "at": "18:00"}
PENDING = {"==": [{"var": "instance.status"}, "pending"]}


def log(message: str) -> ActionSpec:
    return ActionSpec("log_message", {"message": message})


def printed(schedule: Any, *actions: ActionSpec, model: str = "shop.order", **fields: Any) -> str:
    rule = RuleSpec("on-time", "On time", model=model, schedule=schedule, actions=actions, **fields)
    assert rule_problems(rule) == []
    text = python_of([rule])
    assert names_no_stranger(text) == ""
    return text


def run(text: str) -> dict[str, Any]:
    module: dict[str, Any] = {"__name__": "printed"}
    exec(compile(text, "printed", "exec"), module)
    return module


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    caplog.set_level(logging.INFO, logger="rules_engine.messages")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "rules_engine.messages"]


def orders() -> None:
    for number, status in enumerate(("pending", "paid", "pending")):
        Order.objects.create(order_number=f"A{number}", status=status)


def test_a_fixed_time_for_no_object_is_one_function(said: Any) -> None:
    text = printed(DAILY, log("Due at {{ due.at }}"), model="")
    assert '# It acts by the clock: {"kind": "every", "each": "day", "at": "08:00"}' in text
    assert "have a scheduler, such as Celery beat, call the last function then." in text
    run(text)["on_time"]({"at": "eight"})
    assert said() == ["Due at eight"]


def test_a_fixed_time_for_each_object_goes_through_them(said: Any) -> None:
    orders()
    module = run(printed({**DAILY, "of": "each"}, log("{{ instance.order_number }}"), condition=PENDING))
    module["on_time_for_each"]()
    assert sorted(said()) == ["A0", "A2"]


def test_a_list_is_made_of_what_the_condition_selects(said: Any) -> None:
    orders()
    message = "{% for row in rows %}{{ row.order_number }} {% endfor %}"
    run(printed({**DAILY, "of": "rows"}, log(message), condition=PENDING))["on_time"]()
    assert [sorted(one.split()) for one in said()] == [["A0", "A2"]]


def test_what_comes_before_a_date_is_a_function_of_one_object(said: Any) -> None:
    doctor = Doctor.objects.create(first_name="Eva", last_name="Ott")
    patient = Patient.objects.create(name="Carmen")
    visit = {"doctor": doctor, "patient": patient, "date": date(2031, 5, 6), "time": time(9)}
    condition = {"==": [{"var": "instance.status"}, "scheduled"]}
    text = printed(BEFORE, log("{{ instance.patient.name }}"), model="clinic.appointment", condition=condition)
    remind = run(text)["on_time"]
    remind(Appointment.objects.create(**visit))
    remind(Appointment.objects.create(**visit, status="cancelled"))
    assert said() == ["Carmen"]


def test_what_counts_time_from_a_change_is_not_written() -> None:
    rule = RuleSpec("on-time", "On time", model="shop.order", signals=("post_save",), actions=(log("x"),))
    assert "def on_time" in python_of([rule])
