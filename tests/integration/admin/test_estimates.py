"""About how often a rule would act, said before and as it is switched on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from project.clinic.models import Appointment
from project.shop.models import Order
from rules_engine.models import Event, Recording, Rule
from rules_engine.test.ahead import estimating
from rules_engine.test.ahead.estimating import estimate_of
from rules_engine.testing import create_rule, refresh
from tests.factories import make_appointment, make_order, order_with_items
from tests.integration.admin.conftest import change_url, client_of, make_user
from tests.integration.admin.test_runs import text_of

pytestmark = pytest.mark.django_db(transaction=True)

READS = ("log_message", {"message": "{{ instance.status }}"})
MAIL = ("send_email", {"to": ["a@example.com"], "subject": "x", "body": "x"})
PAID = {"==": [{"var": "instance.status"}, "paid"]}


def recorded(*statuses: str, days: float = 7) -> None:
    """Have another rule record a change of an order for each status, the first so many days ago."""
    create_rule(Order, slug=f"records-{Rule.objects.count()}", actions=[READS])
    for status in statuses:
        make_order(status=status)
    first = Event.objects.order_by("created_at").first()
    assert first is not None
    Event.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=days))


def test_recorded_changes_tell_how_many_mails_a_day_it_would_send(admin_client: Client) -> None:
    recorded(*["paid"] * 14, *["pending"] * 6, days=6.99)
    rule = create_rule(Order, enabled=False, condition=PAID, actions=[MAIL])
    page = text_of(admin_client.get(change_url(rule)))
    assert "About 2 mails a day. Of 20 changes that were recorded in 7 days it would have acted on 14." in page
    switched = admin_client.post(reverse("admin:rules_engine_rule_switch", args=[rule.pk]), {"to": "on"}, follow=True)
    assert "is switched on. About 2 mails a day." in text_of(switched)
    assert "About 2 mails a day" not in text_of(admin_client.get(change_url(rule)))


def test_without_such_changes_it_says_that_it_is_not_known(admin_client: Client) -> None:
    rule = create_rule(Order, enabled=False, actions=[MAIL])
    said = "How often it would act is not known: no such events were recorded."
    assert said in text_of(admin_client.get(change_url(rule)))
    recorded("paid", days=8)
    assert said in text_of(admin_client.get(change_url(rule)))


def test_changes_that_did_not_store_what_it_reads_are_no_verdict() -> None:
    rule = create_rule(Order, enabled=False, condition=PAID, actions=[MAIL])
    create_rule(Order, slug="blind", actions=[("log_message", {"message": "x"})])
    make_order(status="paid")
    assert estimate_of(rule.spec()) is None
    recorded("paid", "pending", days=1)
    estimate = estimate_of(rule.spec())
    assert estimate is not None
    assert estimate.basis.count == 3
    assert estimate.basis.acts in (1, 2)


def test_of_some_hours_on_record_it_is_worked_out_by_these() -> None:
    recorded("paid", "paid", "paid", "paid", days=0.5)
    estimate = estimate_of(create_rule(Order, enabled=False, condition=PAID, actions=[MAIL]).spec())
    assert estimate is not None
    assert round(estimate.acts) == 8


def test_of_very_many_changes_the_newest_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "MOST_EVENTS", 3)
    recorded("pending", "paid", "paid", "paid", "paid", days=6)
    Event.objects.filter(created_at__gte=timezone.now() - timedelta(days=1)).update(
        created_at=timezone.now() - timedelta(days=1)
    )
    with CaptureQueriesContext(connection) as asked:
        estimate = estimate_of(create_rule(Order, enabled=False, condition=PAID, actions=[MAIL]).spec())
    assert estimate is not None
    assert (estimate.basis.count, estimate.basis.acts, round(estimate.acts)) == (3, 3, 3)
    assert all("LIMIT" in query["sql"] for query in asked.captured_queries if "rules_engine_event" in query["sql"])


def test_an_action_for_each_item_is_counted_by_the_items_that_there_were() -> None:
    create_rule(
        Order, slug="reads", enabled=False, actions=[("log_message", {"message": "x"}, {"for_each": "instance.items"})]
    )
    Recording.objects.create(model="shop.order", until=timezone.now() + timedelta(days=1))
    refresh()
    order_with_items((1, "1.00"), (2, "2.00"), (3, "3.00")).save()
    Event.objects.exclude(pk=Event.objects.order_by("-created_at", "-id")[0].pk).delete()
    Event.objects.update(created_at=timezone.now() - timedelta(days=1))
    rule = create_rule(
        Order, enabled=False, actions=[MAIL, ("log_message", {"message": "x"}, {"for_each": "instance.items"})]
    )
    estimate = estimate_of(rule.spec())
    assert estimate is not None
    assert {kind: round(often) for kind, often in estimate.actions.items()} == {"send_email": 1, "log_message": 3}


def test_a_schedule_tells_how_often_a_day(admin_client: Client) -> None:
    make_order(status="paid")
    make_order(status="paid")
    make_order(status="pending")
    every = {"kind": "every", "each": "day", "at": "08:00", "of": "nothing"}
    once = create_rule("", signals=(), enabled=False, schedule=every, actions=[MAIL])
    of_each = create_rule(
        Order, signals=(), enabled=False, schedule={**every, "of": "each"}, condition=PAID, actions=[MAIL]
    )
    assert "About 1 mail a day. Its schedule has 7 times in 7 days." in text_of(admin_client.get(change_url(once)))
    assert "About 2 mails a day." in text_of(admin_client.get(change_url(of_each)))


def test_dates_that_come_tell_how_often_a_day() -> None:
    today = timezone.now().date()
    # The first is due at eleven p.m. tomorrow, which has not come yet at whatever time this runs.
    for days in (2, 3, 4, 5, 6, 7, 7, 40):
        make_appointment(date=today + timedelta(days=days), status="scheduled" if days > 2 else "cancelled")
    rule = create_rule(
        Appointment,
        signals=(),
        enabled=False,
        schedule={"kind": "date", "path": "instance.date", "count": 1, "unit": "hours", "direction": "before"},
        condition={"==": [{"var": "instance.status"}, "scheduled"]},
        actions=[MAIL],
    )
    estimate = estimate_of(rule.spec())
    assert estimate is not None
    assert (estimate.basis.count, estimate.basis.acts) == (7, 6)
    assert 0.8 < estimate.acts < 0.9


def test_who_may_not_view_what_it_reads_is_told_no_numbers(staff: Callable[..., Client]) -> None:
    recorded("paid")
    rule = create_rule(Order, enabled=False, actions=[MAIL])
    page = text_of(staff("rules_engine.view_rule").get(change_url(rule)))
    assert "a day" not in page
    assert "not known" not in page


@pytest.mark.parametrize(
    "fields",
    [
        {"condition": {"==": [{"var": "instance.gone"}, 1]}},
        {"model": "shop.gone"},
        {"schedule": {"kind": "every", "cron": "x"}},
        {"schedule": 7},
    ],
)
def test_a_rule_that_could_not_run_has_a_page_all_the_same(admin_client: Client, fields: dict[str, Any]) -> None:
    rule = create_rule(Order, enabled=False, actions=[MAIL])
    Rule.objects.filter(pk=rule.pk).update(**fields)
    answer = admin_client.get(change_url(rule))
    assert answer.status_code == 200
    assert "a day." not in text_of(answer)


@pytest.mark.parametrize(
    ("schedule", "most"),
    [
        ({"kind": "stays", "count": 3, "unit": "days"}, "2"),
        ({"kind": "often", "times": 2, "count": 1, "unit": "hours"}, "1"),
        ({"kind": "silent", "count": 1, "unit": "days"}, "1"),
    ],
)
def test_of_what_waits_or_counts_it_is_said_how_often_at_most(
    admin_client: Client, schedule: dict[str, Any], most: str
) -> None:
    recorded(*["paid"] * 14, *["pending"] * 6, days=6.99)
    rule = create_rule(Order, enabled=False, condition=PAID, schedule=schedule, actions=[MAIL])
    page = text_of(admin_client.get(change_url(rule)))
    assert f"At most about {most} mail" in page
    assert "Of 20 changes that were recorded in 7 days, 14 would count for it." in page


def test_objects_that_are_hidden_from_who_asks_are_not_counted_for_them(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_order(status="paid")
    every = {"kind": "every", "each": "day", "at": "08:00", "of": "each"}
    rule = create_rule(Order, signals=(), enabled=False, schedule=every, condition=PAID, actions=[MAIL])
    viewer = client_of(make_user("rules_engine.view_rule", "shop.view_order"))
    assert "About 1 mail a day." in text_of(viewer.get(change_url(rule)))
    page = admin.site.get_model_admin(Order)
    monkeypatch.setattr(page, "get_queryset", lambda request: Order.objects.none())
    assert "mail a day" not in text_of(viewer.get(change_url(rule)))
    assert "About 1 mail a day." in text_of(admin_client.get(change_url(rule)))


def test_one_change_is_told_as_one(admin_client: Client) -> None:
    recorded("paid", days=1)
    rule = create_rule(Order, enabled=False, condition=PAID, actions=[READS])
    assert "Of 1 change that was recorded in" in text_of(admin_client.get(change_url(rule)))
