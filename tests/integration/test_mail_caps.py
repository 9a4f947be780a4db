"""How many mails rules send in an hour, and what becomes of those that are more."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

import django
import pytest
from django.core import mail
from django.test import Client

from project.clinic.models import Patient
from rules_engine.actions.mail import hourly
from rules_engine.models import Attempt, Execution, MailHour, Rule
from rules_engine.testing import create_rule, run_due
from rules_engine.work import claims
from rules_engine.work.retention import prune
from rules_engine.work.run import run_claim
from tests import sessions
from tests.threads import run_together

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def caps(settings: Any) -> None:
    """Three mails an hour by each rule, five by all."""
    settings.RULES_ENGINE = {"EMAILS_PER_RULE_PER_HOUR": 3, "EMAILS_PER_HOUR": 5}


def mail_rule(slug: str = "welcome", **config: Any) -> Rule:
    written = {"to": ["{{ instance.email }}"], "subject": "Hello", "body": "Text", **config}
    return create_rule(slug=slug, name=slug, model=Patient, actions=[("send_email", written)])


def patients(number: int) -> None:
    for index in range(number):
        Patient.objects.create(name="Tom", email=f"tom{index}@x.example")


def hour_passes() -> None:
    """What was done in this hour was done in the last, and what waits for the next is due."""
    hour = dt.timedelta(hours=1)
    for row in MailHour.objects.order_by("hour"):
        MailHour.objects.filter(pk=row.pk).update(hour=row.hour - hour)
    for execution in Execution.objects.live():
        Execution.objects.filter(pk=execution.pk).update(next_attempt_at=execution.next_attempt_at - hour)


def states() -> list[str]:
    return list(Execution.objects.order_by("created_at", "id").values_list("state", flat=True))


def test_what_an_hour_has_no_room_for_is_mailed_in_the_next() -> None:
    mail_rule()
    patients(4)
    run_due()
    assert len(mail.outbox) == 3
    assert states() == ["succeeded"] * 3 + ["pending"]
    hour_passes()
    run_due()
    assert len(mail.outbox) == 4
    assert states() == ["succeeded"] * 4
    assert len({message.to[0] for message in mail.outbox}) == 4


def test_waiting_for_room_uses_up_no_attempt_and_says_why(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "RETRY_SCHEDULE": []}
    mail_rule()
    patients(4)
    run_due()
    waiting = Execution.objects.get(state="pending")
    assert waiting.failures == 0
    assert 'RULES_ENGINE["EMAILS_PER_RULE_PER_HOUR"] is 3' in waiting.error
    assert Attempt.objects.get(execution=waiting).outcome == "put_off"
    hour = MailHour.objects.get(rule_slug="welcome", sent=3).hour
    next_hour = hour + dt.timedelta(hours=1)
    assert abs(waiting.next_attempt_at - next_hour) < dt.timedelta(seconds=3)
    assert f"{next_hour:%Y-%m-%d %H:%M} UTC" in waiting.error


def test_all_rules_together_have_a_cap() -> None:
    mail_rule("first")
    mail_rule("second")
    patients(3)
    run_due()
    assert len(mail.outbox) == 5
    assert 'RULES_ENGINE["EMAILS_PER_HOUR"] is 5' in Execution.objects.get(state="pending").error


def test_none_is_no_cap(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAILS_PER_RULE_PER_HOUR": None, "EMAILS_PER_HOUR": None}
    mail_rule()
    patients(7)
    run_due()
    assert len(mail.outbox) == 7
    assert not MailHour.objects.exists()


def test_of_many_recipients_those_get_theirs_for_whom_there_is_room() -> None:
    mail_rule(to=[f"ada{number}@x.example" for number in range(7)])
    patients(1)
    for number in (3, 6, 7):
        run_due()
        assert len(mail.outbox) == number
        hour_passes()
    assert len({message.to[0] for message in mail.outbox}) == 7
    assert states() == ["succeeded"]


def test_those_that_wait_are_spread_over_the_hours_that_come() -> None:
    mail_rule()
    patients(10)
    run_due()
    hours = Execution.objects.filter(state="pending").order_by("next_attempt_at").values_list("error", flat=True)
    assert len(hours) == 7
    assert len(set(hours)) == 3
    for number in (6, 9, 10):
        hour_passes()
        run_due()
        assert len(mail.outbox) == number


def test_what_would_wait_longer_than_a_day_is_discarded_with_the_reason(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAILS_PER_RULE_PER_HOUR": 1}
    mail_rule()
    patients(26)
    run_due()
    assert sorted(states()) == ["discarded"] + ["pending"] * 24 + ["succeeded"]
    assert "No hour of the next 24 has room" in Execution.objects.get(state="discarded").error


def test_what_has_waited_for_a_day_waits_no_longer() -> None:
    mail_rule()
    patients(4)
    run_due()
    waiting = Attempt.objects.get(outcome="put_off")
    yesterday = dt.datetime.fromisoformat(waiting.detail["waiting_since"]) - dt.timedelta(days=1, minutes=1)
    Attempt.objects.filter(pk=waiting.pk).update(detail={**waiting.detail, "waiting_since": yesterday.isoformat()})
    Execution.objects.live().update(next_attempt_at=yesterday)
    run_due()
    assert Execution.objects.get(pk=waiting.execution_id).state == "discarded"


def test_a_letter_that_was_not_handed_over_takes_no_room(settings: Any) -> None:
    backend = "tests.integration.test_mail_caps.Unreachable"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend}}
    else:
        settings.EMAIL_BACKEND = backend
    mail_rule()
    patients(2)
    run_due()
    assert set(states()) == {"retryable"}
    assert set(MailHour.objects.values_list("sent", flat=True)) == {0}


def test_it_is_logged_once_an_hour_and_not_for_each_mail(caplog: pytest.LogCaptureFixture) -> None:
    mail_rule()
    with caplog.at_level(logging.WARNING, logger="rules_engine"):
        patients(9)
        run_due()
    [record] = [record for record in caplog.records if "EMAILS_PER" in record.getMessage()]
    assert 'The rule "welcome" has mailed 3 times in this hour' in record.getMessage()


def test_workers_at_once_send_no_more_than_the_cap(settings: Any) -> None:
    settings.RULES_ENGINE = {"EMAILS_PER_RULE_PER_HOUR": 7, "EMAILS_PER_HOUR": 100}
    mail_rule()
    patients(24)

    def work(_number: int) -> None:
        while claim := claims.claim(limit=3):
            run_claim(claim)

    run_together(4, work)
    assert len(mail.outbox) == 7
    assert sorted(states()) == ["pending"] * 17 + ["succeeded"] * 7
    assert MailHour.objects.get(rule_slug="welcome", sent__gt=0).sent == 7


@pytest.mark.row_locks
def test_workers_under_repeatable_read_count_each_mail_once() -> None:
    def work(_number: int) -> int:
        sessions.read_repeatably()
        return sum(hourly.take("welcome", 1).now for _ in range(5))

    assert sum(run_together(4, work)) == 3
    assert sum(MailHour.objects.filter(rule_slug="welcome").values_list("sent", flat=True)) == 3


def test_the_page_of_a_rule_and_the_overview_tell_of_it(admin_client: Client) -> None:
    rule = mail_rule()
    patients(5)
    run_due()
    said = "It has more to mail than it may"
    page = admin_client.get(f"/admin/rules_engine/rule/{rule.pk}/change/").content.decode()
    assert said in page
    assert "2 mails were put off" in page
    overview = admin_client.get("/admin/rules_engine/rule/overview/").content.decode()
    assert "More mail than may be sent, 24 h" in overview
    MailHour.objects.all().delete()
    assert said not in admin_client.get(f"/admin/rules_engine/rule/{rule.pk}/change/").content.decode()
    assert "More mail than may be sent" not in admin_client.get("/admin/rules_engine/rule/overview/").content.decode()


def test_hours_of_mail_are_forgotten_after_a_week() -> None:
    mail_rule()
    patients(1)
    run_due()
    prune()
    assert MailHour.objects.count() == 2
    for row in MailHour.objects.all():
        MailHour.objects.filter(pk=row.pk).update(hour=row.hour - dt.timedelta(days=8))
    prune()
    assert not MailHour.objects.exists()


class Unreachable:
    """A backend whose server is not there."""

    def __init__(self, *_given: Any, **_named: Any) -> None: ...

    def open(self) -> None:
        raise ConnectionRefusedError

    def close(self) -> None: ...
