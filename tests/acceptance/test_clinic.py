"""The scenarios of the pack ``clinic``: objects are saved here, and a real worker process does what the rules say."""

from __future__ import annotations

import json

import pytest
from django.core.cache import cache
from django.core.management import call_command
from django.db import transaction
from django.test import Client
from standardwebhooks.webhooks import Webhook

from project.accounts.models import User
from project.clinic.models import Doctor, Patient
from rules_engine import acting_as
from rules_engine.models import AuditEntry, Event, Execution, Rule
from rules_engine.testing import refresh
from tests.acceptance.clinic_objects import appointment_of, doctor_named, install_pack, nothing_waits
from tests.acceptance.conftest import Mailbox, Worker
from tests.factories import make_endpoint
from tests.http_server import MisbehavingServer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pack(worker: Worker) -> None:
    """The pack is installed, and the worker ready."""
    install_pack()


def test_c01_a_line_is_logged_for_a_doctor_made_changed_and_deleted(worker: Worker) -> None:
    call_command("loaddata", "clinic", verbosity=0)
    refresh()
    doctor = doctor_named()
    pk = doctor.pk
    doctor.save()
    doctor.delete()
    for what in ("created", "updated", "deleted"):
        worker.eventually(lambda what=what: f"Doctor {what}: Ada Byron (id {pk})" in worker.log)
    worker.eventually(nothing_waits)
    assert worker.log.count("Doctor created:") == 1


def test_c04_a_new_appointment_mails_patient_and_doctor(worker: Worker, pack: None, mailbox: Mailbox) -> None:
    appointment = appointment_of()
    worker.eventually(lambda: mailbox.to("tom@example.org") and len(mailbox.to("ada@clinic.example")) == 2)
    [to_patient] = mailbox.to("tom@example.org")
    to_doctor = next(m for m in mailbox.to("ada@clinic.example") if "appointment" in m["Subject"])
    for message, name in ((to_patient, "Ada Byron"), (to_doctor, "Tom Novak")):
        text = message.get_content()
        assert name in text
        assert "6 May 2031" in text
        assert "10:30" in text
    appointment.save()
    worker.eventually(nothing_waits)
    assert len(mailbox.messages) == 3, "Saving it again mails nobody; the third is the doctor's welcome."


def test_c06_saving_or_deleting_a_doctor_deletes_the_cached_ones(worker: Worker, pack: None) -> None:
    doctor = doctor_named()
    worker.eventually(nothing_waits)
    keys = [f"doctor_{doctor.pk}", "doctor_list", "available_doctors"]
    for change in (doctor.save, doctor.delete):
        cache.set_many(dict.fromkeys((*keys, "patient_list"), "cached"))
        change()
        worker.eventually(lambda: not cache.get_many(keys))
        worker.eventually(nothing_waits)
        assert cache.get("patient_list") == "cached"


def test_c07_who_changed_what_in_which_request_is_audited(worker: Worker, pack: None) -> None:
    admin = User.objects.create_superuser("root", "root@example.org", "secret")
    doctor = doctor_named()
    doctor.qualification = "Mathematician"
    with acting_as(admin):
        doctor.save()
    client = Client()
    client.force_login(admin)
    address = f"/admin/clinic/doctor/{doctor.pk}/delete/"
    assert client.post(address, {"post": "yes"}).status_code == 302
    worker.eventually(lambda: AuditEntry.objects.count() == 3)
    created, updated, deleted = (AuditEntry.objects.get(operation=name) for name in ("CREATE", "UPDATE", "DELETE"))
    assert (created.model, created.object_pk, created.actor_name) == ("clinic.doctor", str(doctor.pk), "")
    assert created.fields["email"] == "ada@clinic.example"
    assert updated.changes == {"qualification": {"old": "", "new": "Mathematician"}}
    assert (updated.actor_id, updated.actor_name) == (str(admin.pk), "root")
    assert (deleted.actor_name, deleted.request_path) == ("root", address)
    assert deleted.request_id
    assert deleted.object_text == "Ada Byron"


def test_c14_a_new_doctor_is_welcomed_once_and_only_after_the_commit(
    worker: Worker, pack: None, mailbox: Mailbox
) -> None:
    for _ in range(3):
        refresh()  # connects the receivers anew
    with transaction.atomic():
        doctor = doctor_named()
        doctor.save()
        marker = Patient.objects.create(name="Nobody")
        assert Execution.objects.exists()
        assert mailbox.messages == []
    marker.delete()
    doctor.save()
    worker.eventually(lambda: mailbox.messages and nothing_waits())
    [welcome] = mailbox.messages
    assert welcome["To"] == "ada@clinic.example"
    assert welcome["Subject"] == "Welcome to the clinic, Dr. Byron"
    mailed = Execution.objects.get(kind="send_email")
    assert welcome["Message-ID"].startswith(f"<{mailed.pk}."), "A mailbox can tell a repetition by it."


def test_c15_what_is_rolled_back_sends_nothing(worker: Worker, pack: None, mailbox: Mailbox) -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        doctor_named("Lost")
        raise ZeroDivisionError
    with transaction.atomic():
        doctor_named("Outer")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            doctor_named("Inner")
            raise ZeroDivisionError
    doctor_named("Last")
    worker.eventually(lambda: mailbox.to("last@clinic.example") and mailbox.to("outer@clinic.example"))
    worker.eventually(nothing_waits)
    assert {message["To"] for message in mailbox.messages} == {"outer@clinic.example", "last@clinic.example"}
    assert "Lost" not in worker.log
    assert "Inner" not in worker.log
    assert Event.objects.filter(signal="post_save").count() == 2
    assert AuditEntry.objects.count() == 2


def test_a_new_appointment_is_posted_with_a_signature_to_check(
    worker: Worker, pack: None, receiver: MisbehavingServer
) -> None:
    endpoint = make_endpoint("demo", name="Elsewhere", url=receiver.url("/hook"))
    Rule.objects.filter(slug="clinic-appointment-webhook").update(enabled=True)
    refresh()
    appointment = appointment_of()
    worker.eventually(lambda: receiver.requests)
    worker.eventually(nothing_waits)
    [request] = receiver.requests
    headers = {name.lower(): value for name, value in request.headers}
    content = Webhook(endpoint.secret).verify(request.body, headers)
    assert content == json.loads(request.body)
    assert content["type"] == "clinic.appointment.create"
    assert content["data"]["instance"]["id"] == appointment.pk
    assert headers["webhook-id"] == str(Execution.objects.get(kind="webhook").pk)


def test_c08_a_doctors_email_slug_and_biography_are_tidied_first(pack: None) -> None:
    doctor = Doctor.objects.create(first_name="Ada", last_name="Byron", email="  ADA@Example.com ", slug="")
    doctor.refresh_from_db()
    assert (doctor.email, doctor.slug) == ("ada@example.com", "ada-byron")
    assert doctor.biography.startswith("Ada Byron")
