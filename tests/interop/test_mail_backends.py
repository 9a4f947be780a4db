"""Mail backends of other packages: what they give back and raise is judged for each letter."""

from __future__ import annotations

from typing import Any

import djcelery_email.tasks
import mailer.models
import post_office.models
import pytest
from anymail.exceptions import AnymailAPIError, AnymailCancelSend, AnymailRecipientsRefused
from anymail.message import AnymailRecipientStatus
from anymail.signals import pre_send
from botocore.exceptions import ClientError
from django.core import mail
from requests import Response

from rules_engine.models import Execution
from rules_engine.testing import create_rule, run_due
from tests.interop.models import Contact

pytestmark = pytest.mark.django_db(transaction=True)

FIVE = [f"{name}@x.example" for name in ("ada", "bob", "cleo", "dan", "eve")]


def mailed(settings: Any, backend: str) -> Execution:
    """What came of a mail to five, by this backend."""
    settings.EMAIL_BACKEND = backend
    create_rule(model=Contact, actions=[("send_email", {"to": list(FIVE), "subject": "s", "body": "b"})])
    Contact.objects.create(name="Tom")
    run_due()
    return Execution.objects.get()


def again(execution: Execution) -> Execution:
    """The next attempt is made."""
    Execution.objects.live().update(next_attempt_at=execution.created_at)
    run_due()
    execution.refresh_from_db()
    return execution


def others(messages: Any) -> list[str]:
    return [message.to[0] for message in messages]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What anymail's service answers for each address; ``sent`` where there is nothing here."""
    from anymail.backends.test import EmailBackend

    kept: dict[str, Any] = {}
    post = EmailBackend.post_to_esp

    def answer(self: Any, payload: Any, message: Any) -> Any:
        [address] = message.to
        said = kept.get(address)
        if isinstance(said, Exception):
            raise said
        if said is not None:
            return {"recipient_status": {address: AnymailRecipientStatus(message_id=None, status=said)}}
        return post(self, payload, message)

    monkeypatch.setattr(EmailBackend, "post_to_esp", answer)
    return kept


ANYMAIL = "anymail.backends.test.EmailBackend"


def answered(status: int) -> AnymailAPIError:
    response = Response()
    response.status_code = status
    return AnymailAPIError("the service said no", status_code=status, response=response)


@pytest.mark.parametrize("refusal", ["rejected", "invalid", AnymailRecipientsRefused(), answered(422)])
def test_anymail_one_refused_address_keeps_nobody_from_their_mail(
    settings: Any, answers: dict[str, Any], refusal: Any
) -> None:
    answers["bob@x.example"] = refusal
    execution = mailed(settings, ANYMAIL)
    assert others(mail.outbox) == [one for one in FIVE if "bob" not in one]
    assert execution.state == "discarded"
    assert "Not mailed: bob@x.example: The mail backend refused it" in execution.error


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_anymail_what_was_not_taken_for_now_is_tried_again_alone(
    settings: Any, answers: dict[str, Any], status: int
) -> None:
    answers["bob@x.example"] = answered(status)
    execution = mailed(settings, ANYMAIL)
    assert execution.state == "retryable"
    answers.clear()
    assert again(execution).state == "succeeded", execution.error
    assert others(mail.outbox) == [*(one for one in FIVE if "bob" not in one), "bob@x.example"]


def test_anymail_a_letter_that_a_receiver_cancels_is_told_as_not_mailed(settings: Any) -> None:
    def cancel(message: Any, **kwargs: Any) -> None:
        if message.to == ["bob@x.example"]:
            raise AnymailCancelSend

    pre_send.connect(cancel)
    try:
        execution = mailed(settings, ANYMAIL)
    finally:
        pre_send.disconnect(cancel)
    assert execution.state == "discarded"
    assert "bob@x.example: The mail backend held it back" in execution.error
    assert others(mail.outbox) == [one for one in FIVE if "bob" not in one]


def test_post_office_queues_each_letter_once(settings: Any) -> None:
    assert mailed(settings, "post_office.EmailBackend").state == "succeeded"
    queued = post_office.models.Email.objects.order_by("id")
    assert [email.to for email in queued] == [[address] for address in FIVE]


def test_django_mailer_queues_each_letter_once(settings: Any) -> None:
    assert mailed(settings, "mailer.backend.DbBackend").state == "succeeded"
    queued = mailer.models.Message.objects.order_by("id")
    assert [message.to_addresses for message in queued] == [[address] for address in FIVE]


def test_celery_email_gives_each_letter_to_a_task(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    monkeypatch.setattr(djcelery_email.tasks.send_emails, "delay", lambda messages, options: given.extend(messages))
    assert mailed(settings, "djcelery_email.backends.CeleryEmailBackend").state == "succeeded"
    assert [letter["to"] for letter in given] == [[address] for address in FIVE]


class Amazon:
    """Amazon's client, as far as django-ses asks it."""

    def __init__(self, codes: dict[str, tuple[str, int]]) -> None:
        self.codes, self.sent = codes, []

    def send_raw_email(self, Destinations: list[str], **kwargs: Any) -> dict[str, Any]:  # noqa: N803
        [address] = Destinations
        if address in self.codes:
            code, status = self.codes[address]
            answer = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, "SendRawEmail")
        self.sent.append(address)
        return {"MessageId": "m", "ResponseMetadata": {"RequestId": "r"}}


@pytest.mark.parametrize(
    ("code", "status", "state"),
    [("MessageRejected", 400, "discarded"), ("Throttling", 400, "retryable"), ("ServiceUnavailable", 503, "retryable")],
)
def test_ses_judges_each_letter(
    settings: Any, monkeypatch: pytest.MonkeyPatch, code: str, status: int, state: str
) -> None:
    import django_ses

    amazon = Amazon({"bob@x.example": (code, status)})
    monkeypatch.setattr(django_ses.SESBackend, "open", lambda self: setattr(self, "connection", amazon))
    monkeypatch.setattr(django_ses.SESBackend, "_update_throttling", lambda self: None)
    execution = mailed(settings, "django_ses.SESBackend")
    assert amazon.sent == [one for one in FIVE if "bob" not in one]
    assert execution.state == state
