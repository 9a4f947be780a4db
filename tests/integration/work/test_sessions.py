"""What a worker keeps open for several executions of one kind: the connection to the mail server, for one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from project.clinic.models import Patient
from rules_engine.models import Execution
from rules_engine.rules import registry
from rules_engine.testing import create_rule, run_due
from tests.mail_server import MailServer, mail_goes_to, sleeping

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def server(settings: Any) -> Iterator[MailServer]:
    """The site's mail server."""
    with MailServer() as running:
        mail_goes_to(settings, running.port)
        yield running


def mailed(count: int) -> list[str]:
    """The states of as many mails as new patients, each with an execution of its own."""
    config = {"to": ["{{ instance.email }}"], "subject": "Hello", "body": "Text"}
    create_rule(Patient, operations=["create"], actions=[("send_email", config)])
    for number in range(count):
        Patient.objects.create(name="Tom", email=f"tom{number}@x.example")
    run_due()
    return [execution.state for execution in Execution.objects.order_by("pk")]


def test_the_mails_of_a_claim_go_over_one_connection(server: MailServer) -> None:
    assert mailed(5) == ["succeeded"] * 5
    assert server.to == [f"tom{number}@x.example" for number in range(5)]
    assert server.greeted == 1


def test_a_mail_by_itself_has_a_connection_of_its_own(server: MailServer) -> None:
    assert mailed(1) == ["succeeded"]
    assert server.greeted == 1


def test_a_server_that_hung_up_between_two_mails_is_called_again(server: MailServer) -> None:
    server.silent_after = 2
    assert mailed(4) == ["succeeded"] * 4
    assert server.to == [f"tom{number}@x.example" for number in range(4)]
    assert server.greeted > 1


def test_one_who_is_refused_keeps_nobody_else_from_that_connection(server: MailServer) -> None:
    server.recipients["tom1@x.example"] = "550 No such user"
    assert mailed(3) == ["succeeded", "discarded", "succeeded"]
    assert server.greeted == 1


def test_a_drop_in_the_middle_of_a_mail_takes_no_other_along(server: MailServer) -> None:
    server.hang_up_after, server.hang_ups = 1, 1
    assert mailed(3) == ["succeeded", "retryable", "succeeded"]
    assert server.to == ["tom0@x.example", "tom2@x.example"]


def test_a_server_that_says_nothing_holds_each_up_for_its_time_alone(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "EMAIL_SECONDS": 0.3}
    with sleeping() as port:
        mail_goes_to(settings, port)
        assert mailed(2) == ["retryable"] * 2


@pytest.mark.parametrize("where", ["opening", "closing"])
def test_what_keeping_open_raises_is_logged_and_they_are_carried_out(
    where: str, server: MailServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @contextmanager
    def session(_self: Any) -> Iterator[None]:
        if where == "opening":
            raise LookupError("no room")
        yield
        raise LookupError("no room")

    action = registry.find("send_email")
    assert action is not None
    monkeypatch.setattr(type(action), "session", session)
    with caplog.at_level(logging.ERROR, "rules_engine"):
        assert mailed(2) == ["succeeded"] * 2
    assert "keeps nothing open" in caplog.text if where == "opening" else "was not closed" in caplog.text
    assert server.greeted == 2
