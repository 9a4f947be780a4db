"""What the pack ``clinic`` does when a doctor goes on vacation, and when the doctor is back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence

import pytest
from django.core import mail
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from project.clinic.models import Appointment, Doctor, Patient
from project.clinic.signals import doctor_returned_from_vacation
from rules_engine import paused
from rules_engine.models import AuditEntry, Event, Execution
from rules_engine.outbox.releasing import release_due
from rules_engine.testing import run_due
from tests.acceptance.clinic_objects import appointment_of, doctor_named, install_pack, nothing_waits
from tests.acceptance.conftest import Mailbox, Worker

pytestmark = pytest.mark.django_db(transaction=True)

AWAY = "Cancelled: Dr. Ada Byron is on vacation."
BACK = "Dr. Ada Byron is back: the patient was asked to book again."


@pytest.fixture
def pack() -> None:
    """The pack is installed; the test itself is the worker."""
    install_pack()


def go(doctor: Doctor, *, away: bool) -> None:
    doctor.is_on_vacation = away
    doctor.save()


def booked(doctor: Doctor, number: int) -> list[Appointment]:
    """So many scheduled appointments, each with a patient of its own; no rule hears of them."""
    with paused():
        people = Patient.objects.bulk_create(
            [Patient(name=f"Patient {n}", email=f"patient{n}@example.org") for n in range(number)]
        )
        day = dt.date(2031, 5, 6)
        return Appointment.objects.bulk_create(
            [Appointment(doctor=doctor, patient=one, date=day, time=dt.time(9), notes="Fasting.") for one in people]
        )


def statements(act: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as found:
        act()
    return [one["sql"] for one in found]


def subjects(messages: Sequence[mail.EmailMessage], to: str) -> list[str]:
    return [str(message.subject) for message in messages if message.to == [to]]


def test_c09_a_vacation_cancels_what_is_scheduled_and_mails_each_patient(
    worker: Worker, pack: None, mailbox: Mailbox
) -> None:
    doctor, other = doctor_named(), doctor_named("Grace", "Hopper")
    with paused():
        first = appointment_of(doctor, notes="Bring the X-rays.")
        second = appointment_of(doctor, "Zoe Diaz", time=dt.time(11))
        unreachable = appointment_of(doctor, "Nobody", email="")
        over = appointment_of(doctor, "Olga Ek", status="completed")
        elsewhere = appointment_of(other, "Elis Holm")
    go(doctor, away=True)
    worker.eventually(lambda: mailbox.to("tom@example.org") and mailbox.to("zoe@example.org"))
    worker.eventually(nothing_waits)
    for one in (first, second, unreachable, over, elsewhere):
        one.refresh_from_db()
    assert [one.status for one in (first, second, unreachable)] == ["cancelled"] * 3
    assert (first.notes, second.notes) == (f"Bring the X-rays.\n{AWAY}", AWAY)
    assert [(one.status, one.notes) for one in (over, elsewhere)] == [("completed", ""), ("scheduled", "")]
    [letter] = mailbox.to("zoe@example.org")
    assert letter["Subject"] == "Your appointment on Tuesday, 6 May 2031 at 11:00 is cancelled"
    assert "Hello Zoe Diaz," in letter.get_content()
    assert not mailbox.to("olga@example.org")
    assert not mailbox.to("elis@example.org")
    assert not Execution.objects.exclude(state="succeeded").exists()


def test_c09_a_thousand_appointments_cost_the_request_no_more_than_ten(pack: None) -> None:
    few, many = doctor_named(), doctor_named("Grace", "Hopper")
    booked(few, 10)
    booked(many, 1_000)
    run_due()
    mail.outbox.clear()
    in_request = [statements(lambda who=one: go(who, away=True)) for one in (few, many)]
    # Beyond 200 rows it reads their keys instead of the rows, which are read by a worker: that is one statement more.
    assert len(in_request[1]) <= len(in_request[0]) + 1
    assert not [sql for sql in in_request[1] if sql.startswith("UPDATE") and "clinic_appointment" in sql]
    assert mail.outbox == []

    queueing = statements(release_due)
    assert Execution.objects.filter(kind="send_email", rule_slug="c09-vacation-cancels").count() == 1_010
    assert len(queueing) < 60, "The mails are queued many at a time."
    run_due()
    assert not Execution.objects.exclude(state="succeeded").exists()
    cancelled = Appointment.objects.filter(doctor=many, status="cancelled")
    assert cancelled.count() == 1_000
    assert set(cancelled.values_list("notes", flat=True)) == {"Fasting.\nCancelled: Dr. Grace Hopper is on vacation."}
    mailed = [message.to[0] for message in mail.outbox if message.to[0].startswith("patient")]
    assert len(mailed) == 1_010
    assert len(set(mailed)) == 1_000, "Ten of them are patients of both doctors."
    audited = AuditEntry.objects.filter(model="clinic.appointment", operation="UPDATE")
    assert audited.count() == 1_010, "Each cancelled appointment's own rules have run."
    assert audited.latest("at").changes["status"] == {"old": "scheduled", "new": "cancelled"}


def test_c09_no_patient_is_told_before_the_appointment_is_cancelled(
    pack: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = doctor_named()
    booked(doctor, 3)
    run_due()
    mail.outbox.clear()

    def refuse(self: Appointment, *args: object, **kwargs: object) -> None:
        raise OSError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(Appointment, "save", refuse)
        go(doctor, away=True)
        run_due()
    assert not [message for message in mail.outbox if message.to[0].startswith("patient")]
    Execution.objects.filter(state="retryable").update(next_attempt_at=Event.objects.first().occurred_at)  # type: ignore[union-attr]
    run_due()
    assert len([message for message in mail.outbox if message.to[0].startswith("patient")]) == 3


def test_c09_saving_a_doctor_who_is_on_vacation_already_cancels_nothing(pack: None) -> None:
    doctor = doctor_named()
    go(doctor, away=True)
    run_due()
    appointment = appointment_of(doctor)
    doctor.qualification = "Mathematician"
    doctor.save()
    run_due()
    appointment.refresh_from_db()
    assert appointment.status == "scheduled"


def test_c09_a_vacation_that_is_rolled_back_cancels_nothing(pack: None) -> None:
    doctor = doctor_named()
    appointment = appointment_of(doctor)
    run_due()
    mail.outbox.clear()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        go(doctor, away=True)
        raise ZeroDivisionError
    assert run_due() == 0
    appointment.refresh_from_db()
    assert (appointment.status, mail.outbox) == ("scheduled", [])


def test_c10_patients_are_told_once_that_their_doctor_is_back(worker: Worker, pack: None, mailbox: Mailbox) -> None:
    doctor = doctor_named()
    with paused():
        first = appointment_of(doctor)
        appointment_of(doctor, "Olga Ek", status="cancelled", notes="She cannot come.")
        appointment_of(doctor, "Elis Holm", status="completed")
    go(doctor, away=True)
    worker.eventually(nothing_waits)
    go(doctor, away=False)
    worker.eventually(lambda: len(mailbox.to("tom@example.org")) == 2)
    worker.eventually(nothing_waits)
    _, letter = mailbox.to("tom@example.org")
    assert letter["Subject"] == "Dr. Ada Byron is back"
    assert "Your appointment on Tuesday, 6 May 2031 at 10:30 was cancelled" in letter.get_content()
    first.refresh_from_db()
    assert (first.status, first.notes) == ("cancelled", f"{AWAY}\n{BACK}")
    for away in (True, False):
        go(doctor, away=away)
        worker.eventually(nothing_waits)
    assert len(mailbox.to("tom@example.org")) == 2, "The next vacation is not about the old appointment."
    assert not mailbox.to("olga@example.org")
    assert not mailbox.to("elis@example.org")


def test_c12_the_flag_sends_a_signal_and_administrators_are_mailed(
    worker: Worker, pack: None, mailbox: Mailbox
) -> None:
    doctor = doctor_named()
    worker.eventually(nothing_waits)
    for away, said in ((True, "is on vacation"), (False, "is back")):
        go(doctor, away=away)
        worker.eventually(lambda said=said: [m for m in mailbox.to("admin@example.com") if said in m["Subject"]])
        worker.eventually(nothing_waits)
    assert [m["Subject"] for m in mailbox.to("admin@example.com")] == [
        "Dr. Ada Byron is on vacation",
        "Dr. Ada Byron is back",
    ]
    saved = Event.objects.filter(signal="post_save", model="clinic.doctor", operation="update").earliest("occurred_at")
    sent = Event.objects.get(signal="clinic.doctor_went_on_vacation")
    assert (sent.model, sent.object_pk, sent.root_id, sent.depth) == ("clinic.doctor", str(doctor.pk), saved.pk, 1)
    doctor.save()
    worker.eventually(nothing_waits)
    assert len(mailbox.to("admin@example.com")) == 2, "Only a change of the flag says anything."


def test_c12_the_signal_from_the_sites_own_code_is_heard_too(pack: None) -> None:
    doctor = doctor_named()
    run_due()
    doctor_returned_from_vacation.send(sender=Doctor, instance=doctor)
    run_due()
    assert subjects(mail.outbox, "admin@example.com") == ["Dr. Ada Byron is back"]
