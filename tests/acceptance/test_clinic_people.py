"""The pack ``clinic``: profiles of users, mail that fails, departments, and the clinic's own signal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import DatabaseError, transaction
from django.test import Client
from django.urls import reverse

from project.accounts.models import User
from project.clinic.models import Department, DoctorProfile
from rules_engine.models import Attempt, Execution
from tests.acceptance.clinic_objects import appointment_of, doctor_named, install_pack, nothing_waits
from tests.acceptance.conftest import Mailbox, Worker, working
from tests.mail_server import MailServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pack() -> None:
    """The pack is installed."""
    install_pack()


@pytest.fixture
def server() -> Iterator[MailServer]:
    """A mail server that can be made to fail."""
    with MailServer() as running:
        yield running


@pytest.fixture
def hasty(outside: dict[str, str], server: MailServer, tmp_path: Path) -> Iterator[Worker]:
    """A worker that retries soon and gives up after three attempts."""
    settings = {"DJANGO_SETTINGS_MODULE": "tests.acceptance.quick_retries", "EMAIL_PORT": str(server.port)}
    with working({**outside, **settings}, "celery,rules", tmp_path) as ready:
        yield ready


def test_c02_a_user_who_is_a_doctor_has_a_profile_at_once(pack: None) -> None:
    doctor = User.objects.create_user("ada", is_doctor=True)
    patient = User.objects.create_user("tom")
    assert DoctorProfile.objects.get().user == doctor
    assert not DoctorProfile.objects.filter(user=patient).exists()
    patient.is_doctor = True
    patient.save()
    assert DoctorProfile.objects.count() == 1, "Only a new user gets one."


def test_c02_a_user_that_is_rolled_back_leaves_no_profile(pack: None) -> None:
    with pytest.raises(DatabaseError), transaction.atomic():
        User.objects.create_user("ada", is_doctor=True)
        raise DatabaseError
    assert not DoctorProfile.objects.exists()
    assert not Execution.objects.exists()


def test_c02_code_that_makes_the_profile_itself_is_not_in_the_way(pack: None) -> None:
    user = User.objects.create_user("ada", is_doctor=True)
    profile, made = DoctorProfile.objects.get_or_create(user=user, defaults={"headline": "Hello"})
    assert not made
    assert profile.headline == ""


def test_c03_a_profile_is_touched_whenever_its_user_is_saved(worker: Worker, pack: None) -> None:
    doctor, other = User.objects.create_user("ada", is_doctor=True), User.objects.create_user("tom")
    profile = DoctorProfile.objects.get(user=doctor)
    before = profile.updated_at
    other.save()
    worker.eventually(nothing_waits)
    assert not Execution.objects.filter(rule_slug="c03-touch-profile").exists(), "There is nothing to do."
    Client().force_login(doctor)

    def is_touched() -> bool:
        profile.refresh_from_db()
        return profile.updated_at > before

    worker.eventually(is_touched)
    worker.eventually(nothing_waits)
    assert Execution.objects.get(rule_slug="c03-touch-profile").state == "succeeded"


def test_c05_mails_that_a_server_refuses_are_shown_as_failed(
    hasty: Worker, pack: None, server: MailServer, admin_client: Client
) -> None:
    server.sender_answer = "451 The mail server is ill"
    appointment = appointment_of()
    appointment.refresh_from_db()
    hasty.eventually(nothing_waits)
    mails = Execution.objects.filter(kind="send_email")
    assert {(one.rule_slug, one.state, one.attempts) for one in mails} == {
        ("c04-appointment-mail-patient", "discarded", 3),
        ("c04-appointment-mail-doctor", "discarded", 3),
        ("c14-doctor-welcome-mail", "discarded", 3),
    }
    assert Attempt.objects.filter(execution__in=mails, outcome="failed").count() == 9
    page = admin_client.get(reverse("admin:rules_engine_execution_changelist"), {"state": "discarded"})
    assert "c04-appointment-mail-patient" in page.content.decode()
    assert not Execution.objects.exclude(kind="send_email").exclude(state="succeeded").exists()
    assert server.to == []


@pytest.mark.parametrize("from_department", [False, True], ids=["from the doctor", "from the department"])
def test_c11_departments_added_and_removed_are_logged_from_either_side(
    worker: Worker, pack: None, from_department: bool
) -> None:
    doctor = doctor_named()
    cardiology, neurology = (Department.objects.create(name=name) for name in ("Cardiology", "Neurology"))
    prefix = f"Departments of Ada Byron (id {doctor.pk})"

    def steps() -> Iterator[tuple[Callable[[], None], list[str]]]:
        if from_department:
            yield lambda: cardiology.doctors.add(doctor), [f"{prefix}, add: Cardiology"]
            yield lambda: neurology.doctors.add(doctor), [f"{prefix}, add: Neurology"]
            yield lambda: cardiology.doctors.remove(doctor), [f"{prefix}, remove: Cardiology"]
            yield neurology.doctors.clear, [f"{prefix}, clear: Neurology"]
        else:
            yield lambda: doctor.departments.add(cardiology, neurology), [f"{prefix}, add: Cardiology, Neurology"]
            yield lambda: doctor.departments.remove(neurology), [f"{prefix}, remove: Neurology"]
            yield doctor.departments.clear, [f"{prefix}, clear: Cardiology"]

    expected: list[str] = []
    for change, lines in steps():
        change()
        expected += lines
        worker.eventually(lambda line=lines[-1]: line in worker.log)
    worker.eventually(nothing_waits)
    said = [line[line.index(prefix) :] for line in worker.log.splitlines() if prefix in line and "messages:" in line]
    assert said == expected


def test_c13_the_reason_that_the_sites_code_gives_is_passed_on(worker: Worker, pack: None, mailbox: Mailbox) -> None:
    appointment = appointment_of()
    worker.eventually(nothing_waits)
    mailbox.messages.clear()
    appointment.cancel("The practice is flooded.")
    worker.eventually(lambda: mailbox.to("tom@example.org") and mailbox.to("ada@clinic.example"))
    worker.eventually(nothing_waits)
    assert len(mailbox.messages) == 2
    for message in mailbox.messages:
        assert message["Subject"] == "Cancelled: the appointment on Tuesday, 6 May 2031 at 10:30"
        assert "of Tom Novak with Dr. Ada Byron" in message.get_content()
        assert "Reason: The practice is flooded." in message.get_content()
    appointment.refresh_from_db()
    assert appointment.status == "cancelled"


def test_c13_the_admin_cancels_appointments_with_a_reason(
    worker: Worker, pack: None, mailbox: Mailbox, admin_client: Client
) -> None:
    appointment = appointment_of()
    address = reverse("admin:clinic_appointment_changelist")
    assert admin_client.post(address, {"action": "cancel", "_selected_action": [appointment.pk]}).status_code == 302
    worker.eventually(lambda: [m for m in mailbox.to("tom@example.org") if "Cancelled" in m["Subject"]])
    worker.eventually(nothing_waits)
    [told] = [m for m in mailbox.to("tom@example.org") if "Cancelled" in m["Subject"]]
    assert "Reason: The clinic had to cancel it." in told.get_content()
