"""What rules read of related rows: what each belongs to, and the objects of a many-to-many change."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext

from project.accounts.models import User
from project.clinic.models import Appointment, Department, Doctor, Patient
from rules_engine.errors import InvalidRule
from rules_engine.models import AuditEntry, Event, Execution
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_appointment, make_doctor
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)

HAS_ZOE = {"some": [{"var": "instance.appointments"}, {"==": [{"var": "patient.name"}, "Zoe"]}]}
LISTED = "{% for one in instance.appointments %}{{ one.patient.name }} ({{ one.notes }}) {% endfor %}"
NAMES = "{% for one in m2m.objects %}{{ one.name }} {% endfor %}"


def doctor_with_patients(*patients: str) -> Doctor:
    doctor = make_doctor()
    for hour, name in enumerate(patients):
        who = Patient.objects.create(name=name, email=f"{name}@x.example".lower())
        make_appointment(doctor=doctor, patient=who, time=dt.time(hour), notes="n")
    return doctor


def logs(message: str) -> list[tuple[str, dict[str, Any]]]:
    return [("log_message", {"message": message})]


def said() -> list[str]:
    run_due()
    return [one.summary.removeprefix("Logged: ").strip() for one in Execution.objects.order_by("created_at", "id")]


def problems(**fields: Any) -> str:
    with pytest.raises(InvalidRule) as caught:
        create_rule(**fields)
    return " ".join(problem.message for problem in caught.value.problems)


# Rows that lead on


def test_a_condition_reads_what_a_row_belongs_to() -> None:
    with_zoe, without = doctor_with_patients("Tom", "Zoe"), doctor_with_patients("Tom")
    create_rule(model=Doctor, condition=HAS_ZOE, actions=logs("{{ instance.pk }}"))
    for doctor in (with_zoe, without):
        doctor.save()
    assert said() == [str(with_zoe.pk)]


def test_a_text_reads_what_a_row_belongs_to_beside_the_rows_own_fields() -> None:
    doctor = doctor_with_patients("Tom", "Zoe")
    create_rule(model=Doctor, actions=logs(LISTED))
    doctor.save()
    assert said() == ["Tom (n) Zoe (n)"]


def test_an_action_is_carried_out_for_rows_whose_patient_has_an_address() -> None:
    doctor = doctor_with_patients("Tom", "Zoe")
    Patient.objects.filter(name="Zoe").update(email="")
    reachable = {"filter": [{"var": "instance.appointments"}, {"!!": [{"var": "patient.email"}]}]}
    letter = {"to": ["{{ each.patient.email }}"], "subject": "{{ each.patient.name }}", "body": "Hello"}
    create_rule(model=Doctor, actions=[("send_email", letter, {"for_each": reachable})])
    doctor.save()
    run_due()
    assert [(one.to, one.subject) for one in mail.outbox] == [(["tom@x.example"], "Tom")]
    assert Execution.objects.count() == 1


@pytest.mark.parametrize("fields", [{"condition": HAS_ZOE}, {"actions": logs(LISTED)}], ids=["condition", "text"])
def test_more_rows_are_no_more_queries(fields: dict[str, Any]) -> None:
    few, many = doctor_with_patients("Zoe"), doctor_with_patients(*["Zoe"] * 10)
    create_rule(model=Doctor, **{"actions": logs("x"), **fields, "operations": ["update"]})
    counts = []
    for doctor in (few, many):
        with CaptureQueriesContext(connection) as found:
            doctor.save()
        counts.append(len(found))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ one.patient }}", 'Rows hold their own columns: write "patient_id".'),
        ("{{ one.patient.nme }}", 'Patient has no field "nme". Did you mean "name"?'),
        ("{{ one.doctor.departments }}", '"doctor.departments" leads to an object'),
        ("{{ one.doctor.user.password }}", 'Rules may not read "password"'),
        ("{{ one.doctor.departments.name }}", "leads to many rows of its own"),
        ("{{ one.doctor.appointments__count }}", "would be a query for each of the rows"),
    ],
)
def test_what_a_row_does_not_lead_to_is_said(text: str, expected: str) -> None:
    looped = f"{{% for one in instance.appointments %}}{text}{{% endfor %}}"
    assert expected in problems(model=Doctor, actions=logs(looped))


def test_an_author_may_not_read_through_rows_what_is_hidden_from_them() -> None:
    author = User.objects.create_user("writer", is_staff=True)
    author.user_permissions.set(Permission.objects.filter(codename__in=["view_doctor", "view_appointment"]))
    doctor = doctor_with_patients("Tom")
    create_rule(model=Doctor, actions=logs(LISTED), author=author)
    doctor.save()
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "refused"
    assert "clinic.view_patient" in execution.error


# The objects of a many-to-many change


def departments(**fields: Any) -> None:
    create_rule(
        model=Doctor,
        signals=["m2m_changed"],
        changes=[{"field": "departments"}],
        actions=logs(f"{{{{ m2m.action }}}} {NAMES}"),
        **fields,
    )


def test_the_objects_of_a_change_are_told_from_either_side() -> None:
    doctor, other = doctor_with_patients(), doctor_with_patients()
    heart, brain = (Department.objects.create(name=name) for name in ("Heart", "Brain"))
    departments()
    doctor.departments.add(heart, brain)
    heart.doctors.add(other)
    doctor.departments.remove(brain)
    doctor.departments.clear()
    heart.doctors.clear()
    assert said() == ["add Heart Brain", "add Heart", "remove Brain", "clear Heart", "clear Heart"]


def test_a_condition_reads_them_and_an_action_is_carried_out_for_each() -> None:
    doctor = doctor_with_patients()
    heart, brain = (Department.objects.create(name=name) for name in ("Heart", "Brain"))
    adds_heart = {"some": [{"var": "m2m.objects"}, {"==": [{"var": "name"}, "Heart"]}]}
    each = [("log_message", {"message": "{{ each.name }}"}, {"for_each": "m2m.objects"})]
    create_rule(
        model=Doctor, signals=["m2m_changed"], changes=[{"field": "departments"}], condition=adds_heart, actions=each
    )
    doctor.departments.add(brain)
    assert said() == []
    doctor.departments.set([heart])
    assert said() == ["Heart"]


def test_they_are_only_read_where_a_rule_asks() -> None:
    doctor, heart = doctor_with_patients(), Department.objects.create(name="Heart")
    create_rule(model=Doctor, signals=["m2m_changed"], actions=logs("{{ m2m.pks }}"))
    with CaptureQueriesContext(connection) as found:
        doctor.departments.add(heart)
    assert not [one for one in found if 'FROM "clinic_department"' in one["sql"]]
    assert "objects" not in Event.objects.get().context["m2m"]


def test_where_several_relations_may_change_the_rule_says_which() -> None:
    hears = {"model": Animal, "signals": ["m2m_changed"]}
    looped = logs("{% for one in m2m.objects %}{{ one.nme }}{% endfor %}")
    assert "name the relation among the changes" in problems(**hears, actions=looped)
    assert 'has no field "nme"' in problems(**hears, actions=looped, changes=[{"field": "tags"}])
    assert 'Only rules on m2m_changed have "m2m.objects"' in problems(model=Doctor, actions=logs(NAMES))


def test_an_author_who_may_not_see_departments_does_not_log_them() -> None:
    author = User.objects.create_user("writer", is_staff=True)
    author.user_permissions.set(Permission.objects.filter(codename="view_doctor"))
    departments(author=author)
    doctor, heart = doctor_with_patients(), Department.objects.create(name="Heart")
    doctor.departments.add(heart)
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "refused"
    assert "clinic.view_department" in execution.error
    author.user_permissions.set(Permission.objects.filter(codename__in=["view_doctor", "view_department"]))
    refresh()
    doctor.departments.clear()
    run_due()
    assert Execution.objects.filter(state="succeeded").count() == 1


# What the audit trail keeps


def test_an_audit_entry_keeps_its_fields_and_not_what_others_read() -> None:
    create_rule(model=Appointment, actions=logs("{{ instance.notes }} {{ instance.patient.email }}"))
    create_rule(model=Appointment, actions=[("write_audit_entry", {"fields": ["status", "patient.name"]})])
    doctor_with_patients("Tom")
    run_due()
    assert AuditEntry.objects.get().fields == {"status": "scheduled", "patient": {"name": "Tom"}}


def test_an_audit_entry_without_chosen_fields_keeps_the_objects_own() -> None:
    create_rule(model=Appointment, actions=logs("{{ instance.patient.email }}"))
    create_rule(model=Appointment, actions=[("write_audit_entry", {})])
    doctor_with_patients("Tom")
    run_due()
    assert set(AuditEntry.objects.get().fields) == {
        *(field.attname for field in Appointment._meta.concrete_fields),
        "pk",
    }
