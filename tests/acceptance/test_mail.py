"""A mail server that fails: the save knows nothing, the mail is tried again, and people see what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from project.clinic.models import Doctor
from rules_engine.models import Attempt, Execution
from rules_engine.testing import create_rule
from tests.acceptance.conftest import Worker, working
from tests.factories import make_doctor
from tests.mail_server import MailServer

pytestmark = pytest.mark.django_db(transaction=True)

WELCOME = {"to": ["{{ instance.email }}", "desk@clinic.example"], "subject": "Welcome", "body": "Hello"}


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as running:
        yield running


@pytest.fixture
def hasty(outside: dict[str, str], server: MailServer, tmp_path: Path) -> Iterator[Worker]:
    """A worker that retries soon and gives up after three attempts."""
    environment = {
        **outside,
        "DJANGO_SETTINGS_MODULE": "tests.acceptance.quick_retries",
        "EMAIL_PORT": str(server.port),
    }
    with working(environment, "celery,rules", tmp_path) as ready:
        yield ready


def test_c05_a_failing_mail_server_breaks_no_save_and_is_shown(
    hasty: Worker, server: MailServer, admin_client: Client
) -> None:
    server.sender_answer = "451 The mail server is ill"
    create_rule(model=Doctor, slug="welcome", actions=[("send_email", WELCOME)])
    doctor = make_doctor(email="ada@clinic.example")
    assert Doctor.objects.filter(pk=doctor.pk).exists()
    hasty.eventually(lambda: not Execution.objects.live().exists())
    execution = Execution.objects.get()
    assert (execution.state, execution.attempts) == ("discarded", 3)
    assert [one.outcome for one in Attempt.objects.all()] == ["failed"] * 3
    page = admin_client.get(reverse("admin:rules_engine_execution_change", args=[execution.pk])).content.decode()
    assert "discarded" in page
    assert "The mail server answered: 451 The mail server is ill" in page
    assert server.to == []

    server.sender_answer = ""
    retry = reverse("admin:rules_engine_execution_retry", args=[execution.pk])
    assert admin_client.post(retry).status_code == 302
    hasty.eventually(lambda: not Execution.objects.live().exists())
    assert Execution.objects.get().state == "succeeded"
    # Who was not taken before comes after the others.
    assert sorted(server.to) == ["ada@clinic.example", "desk@clinic.example"]


def test_a_mail_server_that_drops_the_connection_mails_nobody_twice(hasty: Worker, server: MailServer) -> None:
    server.hang_up_after = 1
    server.hang_ups = 1
    create_rule(model=Doctor, slug="welcome", actions=[("send_email", WELCOME)])
    make_doctor(email="ada@clinic.example")
    hasty.eventually(lambda: not Execution.objects.live().exists())
    execution = Execution.objects.get()
    assert (execution.state, execution.attempts) == ("succeeded", 2)
    assert server.to == ["ada@clinic.example", "desk@clinic.example"]
