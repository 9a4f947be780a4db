"""django-phonenumber-field: a number is told, compared and written back as the text that its column holds."""

from __future__ import annotations

import pytest
from django.core import mail

from rules_engine.testing import create_rule, run_due
from tests.interop.models import Contact
from tests.interop.told import listen, told

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_phone_number_is_told_as_its_text() -> None:
    listen(Contact, "phone")
    contact = Contact.objects.create(name="Ada", phone="030 123456")
    contact.phone = "030 654321"
    contact.save()
    assert told("phone") == [(None, "+4930123456"), ("+4930123456", "+4930654321")]


def test_one_number_in_two_spellings_is_no_change() -> None:
    contact = Contact.objects.create(name="Ada", phone="030 123456")
    listen(Contact, "phone", changes=[{"field": "phone"}])
    contact.phone = "+49 30 123456"
    contact.save()
    assert told("phone") == []


def test_a_phone_number_stands_in_a_mail_as_text() -> None:
    config = {"to": ["a@x.example"], "subject": "Call {{ instance.phone }}", "body": "-"}
    create_rule(model=Contact, actions=[("send_email", config)])
    Contact.objects.create(name="Ada", phone="030 123456")
    run_due()
    assert [message.subject for message in mail.outbox] == ["Call +4930123456"]
