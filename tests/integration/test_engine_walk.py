"""The whole path, in one process: a saved object, a rule, an effect."""

from __future__ import annotations

import pytest
from django.core import mail
from django.db import transaction

from project.clinic.models import Doctor
from rules_engine.models import Attempt, AuditEntry, Event, Execution
from rules_engine.testing import create_rule, run_due
from tests.factories import make_doctor

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_saved_object_sends_the_mail_its_rule_asks_for() -> None:
    create_rule(
        model=Doctor,
        operations=["create"],
        condition={"==": [{"var": "instance.last_name"}, "Byron"]},
        actions=[
            ("send_email", {"to": ["{{ instance.email }}"], "subject": "Hi {{ instance.first_name }}", "body": "x"})
        ],
    )
    doctor = make_doctor()
    assert mail.outbox == []
    assert run_due() == 1
    assert [m.to for m in mail.outbox] == [["ada@example.com"]]
    assert mail.outbox[0].subject == "Hi Ada"
    execution = Execution.objects.get()
    assert execution.state == "succeeded", execution.error
    assert Attempt.objects.get().outcome == "succeeded"
    assert Event.objects.get().object_pk == str(doctor.pk)
    doctor.save()
    assert run_due() == 0


def test_a_changed_field_is_seen_with_its_old_and_new_value() -> None:
    create_rule(
        model=Doctor,
        changes=[{"field": "is_on_vacation", "from": False, "to": True}],
        actions=[("write_audit_entry", {"fields": ["email"]})],
    )
    doctor = make_doctor()
    doctor.is_on_vacation = True
    doctor.save()
    doctor.save()
    assert run_due() == 1
    entry = AuditEntry.objects.get()
    assert entry.changes == {"is_on_vacation": {"old": False, "new": True}}
    assert entry.fields["email"] == "ada@example.com"


def test_what_is_rolled_back_leaves_nothing() -> None:
    create_rule(model=Doctor, actions=[("log_message", {"message": "x"})])
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_doctor()
        raise ZeroDivisionError
    assert Event.objects.count() == 0
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            make_doctor(slug="inner")
            raise ZeroDivisionError
        make_doctor(slug="outer")
    assert [event.context["instance"] for event in Event.objects.all()] == [{}]
    assert Execution.objects.count() == 1
