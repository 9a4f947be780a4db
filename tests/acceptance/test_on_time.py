"""The scenarios of the packs that are about time: by a clock that is set, and a worker that finds what is due."""

from __future__ import annotations

import datetime as dt
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.management import call_command
from django.utils import timezone

from project.accounts.models import User
from project.clinic.models import Appointment
from project.shop.models import Order
from rules_engine.models import Execution, Firing, Schedule
from rules_engine.testing import refresh, run_due
from rules_engine.work.schedules.looking import look_due
from tests.acceptance.clinic_objects import appointment_of
from tests.acceptance.conftest import Mailbox, Worker
from tests.factories import make_order

pytestmark = pytest.mark.django_db(transaction=True)

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
#: A Monday, on which the pack is taken to have been installed.
MONDAY = datetime(2031, 5, 5, 6, tzinfo=UTC)


def install(pack: str, since: datetime = MONDAY) -> None:
    """The pack is installed, and its rules on time have been on since then."""
    call_command("rulepack", "install", pack, verbosity=0)
    refresh()
    run_due()
    Schedule.objects.update(since=since, looked_until=None, next_look_at=since, next_wide_at=since)
    mail.outbox.clear()


def at(now: datetime) -> list[str]:
    """What is mailed when a worker looks at that time."""
    mail.outbox.clear()
    Schedule.objects.update(next_look_at=now)
    run_due(now=now)
    return [message.subject for message in mail.outbox]


@pytest.fixture
def clinic() -> None:
    install("clinic")


@pytest.fixture
def shop() -> None:
    install("shop")


# C16


def test_c16_the_patient_is_reminded_the_day_before_at_six(clinic: None) -> None:
    appointment_of(patient="Tom Novak", date=dt.date(2031, 5, 8), time=dt.time(10, 30))
    run_due()
    # Berlin is two hours ahead of UTC in May.
    assert at(datetime(2031, 5, 7, 15, 59, tzinfo=UTC)) == []
    assert at(datetime(2031, 5, 7, 16, 0, tzinfo=UTC)) == ["Your appointment tomorrow at 10:30"]
    assert mail.outbox[0].to == ["tom@example.org"]
    assert "Thursday, 8 May 2031 at 10:30" in mail.outbox[0].body
    for later in (HOUR, DAY, 3 * DAY):
        assert at(datetime(2031, 5, 7, 16, 0, tzinfo=UTC) + later) == []


def test_c16_in_winter_six_is_an_hour_later_and_a_stop_is_caught_up_on(clinic: None) -> None:
    appointment_of(date=dt.date(2031, 1, 9))
    Schedule.objects.update(since=datetime(2031, 1, 1, tzinfo=UTC))
    run_due()
    assert at(datetime(2031, 1, 8, 16, 59, tzinfo=UTC)) == []
    # No worker looked for an hour.
    assert len(at(datetime(2031, 1, 8, 18, 0, tzinfo=UTC))) == 1


def test_c16_who_was_moved_is_reminded_anew_and_who_cancelled_not_at_all(clinic: None) -> None:
    moved = appointment_of(patient="Tom Novak", date=dt.date(2031, 5, 8))
    gone = appointment_of(patient="Eve Ott", date=dt.date(2031, 5, 8), doctor=moved.doctor)
    nobody = appointment_of(patient="Ida Roth", date=dt.date(2031, 5, 8), doctor=moved.doctor, email="")
    run_due()
    gone.cancel("flu")
    run_due()
    assert len(at(datetime(2031, 5, 7, 16, 0, tzinfo=UTC))) == 1
    Appointment.objects.filter(pk=moved.pk).update(date=dt.date(2031, 5, 15))
    assert at(datetime(2031, 5, 14, 15, 0, tzinfo=UTC)) == []
    assert len(at(datetime(2031, 5, 14, 16, 0, tzinfo=UTC))) == 1
    keys = Firing.objects.values_list("object_key", flat=True)
    assert sorted(keys) == sorted(map(str, (moved.pk, moved.pk, gone.pk, nobody.pk)))


# S13


def waiting_order(number: str = "A-1", since: datetime = MONDAY) -> Order:
    customer, _ = User.objects.get_or_create(username="carmen", first_name="Carmen", email="carmen@example.org")
    order = make_order(order_number=number, customer=customer, status="pending")
    run_due()
    Order.objects.filter(pk=order.pk).update(status_changed_at=since)
    return order


def test_s13_an_unpaid_order_is_reminded_of_and_then_cancelled(shop: None) -> None:
    order = waiting_order()
    assert at(MONDAY + DAY - HOUR) == []
    assert at(MONDAY + DAY) == ["Your order A-1 waits for its payment"]
    assert at(MONDAY + 2 * DAY) == []
    assert at(MONDAY + 3 * DAY - HOUR) == []
    at(MONDAY + 3 * DAY)
    order.refresh_from_db()
    assert order.status == "cancelled"
    assert [one.to_status for one in order.status_history.order_by("pk")][-1] == "cancelled"


def test_s13_what_is_paid_meanwhile_is_left_alone(shop: None) -> None:
    order = waiting_order()
    order.refresh_from_db()
    order.status = "paid"
    order.save()
    run_due()
    assert [subject for subject in at(MONDAY + DAY) if "payment" in subject] == []
    at(MONDAY + 3 * DAY)
    order.refresh_from_db()
    assert order.status == "paid"


def test_s13_what_is_paid_as_it_is_cancelled_stays_paid(shop: None) -> None:
    order = waiting_order()
    Schedule.objects.exclude(rule_slug="s13-order-unpaid-cancelled").delete()
    Schedule.objects.update(next_look_at=MONDAY)
    look_due(now=MONDAY + 3 * DAY)
    assert Execution.objects.filter(rule_slug="s13-order-unpaid-cancelled").exists()
    Order.objects.filter(pk=order.pk).update(status="paid")
    run_due()
    order.refresh_from_db()
    assert order.status == "paid"


# S14


def test_s14_each_weekday_one_mail_lists_what_was_paid_since_yesterday(shop: None) -> None:
    now = timezone.now()
    for number, (status, ago) in enumerate((("paid", HOUR), ("paid", 2 * HOUR), ("paid", 3 * DAY), ("draft", HOUR))):
        order = make_order(order_number=f"A-{number}", status=status, total=10 + number)
        run_due()
        Order.objects.filter(pk=order.pk).update(status_changed_at=now - ago)
    friday = _next(4, now)
    Schedule.objects.update(since=friday - 2 * HOUR)
    assert at(friday - HOUR) == []
    # What was paid is asked for by the database's clock, which no test sets.
    assert at(friday) == ["2 orders were paid since yesterday"]
    assert [line.partition(":")[0] for line in mail.outbox[0].body.split("\n") if line] == ["A-0", "A-1"]
    assert at(friday + HOUR) == []
    for weekend in (DAY, 2 * DAY):
        assert at(friday + weekend) == []
    Order.objects.update(status="draft")
    assert at(friday + 3 * DAY) == []


def _next(weekday: int, after: datetime) -> datetime:
    """The next such day's 8:00 in Berlin."""
    day = after.astimezone(ZoneInfo("Europe/Berlin")) + DAY
    while day.weekday() != weekday:
        day += DAY
    return day.replace(hour=8, minute=0, second=0, microsecond=0).astimezone(UTC)


def test_c16_a_real_worker_finds_what_is_due_by_itself(worker: Worker, mailbox: Mailbox) -> None:
    call_command("rulepack", "install", "clinic", verbosity=0)
    refresh()
    appointment_of(patient="Tom Novak", date=timezone.localdate() + timedelta(days=1))
    Appointment.objects.update(date=timezone.localdate())
    yesterday = timezone.now() - 2 * DAY
    # Last, for the worker looks meanwhile: what was due before it last looked is due no more.
    Schedule.objects.update(since=yesterday, looked_until=None, next_look_at=yesterday, next_wide_at=yesterday)
    worker.eventually(lambda: [m for m in mailbox.to("tom@example.org") if "tomorrow" in str(m["Subject"])])
