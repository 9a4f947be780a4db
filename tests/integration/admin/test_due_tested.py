"""A rule on time on the page that tests it, run over what is there, and with tests of its own: nothing comes of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.core import mail
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from project.clinic.models import Appointment
from project.shop.models import Order
from rules_engine.models import Event, Rule, RuleTest, Schedule
from rules_engine.test.kept.running import failing
from rules_engine.testing import create_rule, run_due
from tests.factories import make_appointment, make_order
from tests.integration.admin.test_times import BEFORE, SCHEDULED, remind, visit, words

pytestmark = pytest.mark.django_db(transaction=True)

DAILY = {"kind": "every", "each": "day", "at": "08:00"}
PAID = {"==": [{"var": "instance.status"}, "paid"]}


def log(message: str) -> list[Any]:
    return [("log_message", {"message": message})]


def outcome(client: Client, rule: Rule, **data: Any) -> str:
    return words(client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), data))


def test_it_is_tested_on_an_object_as_if_it_were_due(admin_client: Client) -> None:
    rule = remind(condition=SCHEDULED, actions=log("{{ instance.patient.name }} {{ due.date }}"))
    scheduled, gone = make_appointment(date=date(2031, 5, 8)), visit(3, status="cancelled")
    page = words(admin_client.get(reverse("admin:rules_engine_rule_test", args=[rule.pk])))
    assert "As if it were due at" in page
    assert "What the signal sends" not in page
    said = outcome(admin_client, rule, pk=scheduled.pk)
    assert "The rule would act." in said
    assert "Tom Novak 2031-05-08" in said
    assert "The rule would not act." in outcome(admin_client, rule, pk=gone.pk)
    assert not Event.objects.exists()
    assert not mail.outbox


def test_now_in_its_condition_is_the_time_that_is_typed(admin_client: Client) -> None:
    condition = {">": [{"now": []}, {"datetime": "2041-01-01T00:00:00Z"}]}
    rule = remind(condition=condition)
    pk = make_appointment().pk
    assert "The rule would not act." in outcome(admin_client, rule, pk=pk)
    assert "The rule would act." in outcome(admin_client, rule, pk=pk, due_at="2041-05-06T08:00")
    assert "There is no such time in the calendar." in outcome(admin_client, rule, pk=pk, due_at="0001-01-01T00:00")


def test_a_list_is_made_of_what_is_there_now(admin_client: Client) -> None:
    text = "{{ due.count }}: {% for row in rows %}{{ row.order_number }} {% endfor %}"
    rule = create_rule(Order, [], slug="list", schedule={**DAILY, "of": "rows"}, condition=PAID, actions=log(text))
    for number, status in enumerate(("paid", "draft", "paid")):
        make_order(order_number=f"N{number}", status=status)
    said = outcome(admin_client, rule)
    assert "The rule would act." in said
    assert "2: N0 N2" in said


def test_a_fixed_time_for_no_object_asks_for_none(admin_client: Client) -> None:
    rule = create_rule("", [], slug="daily", schedule=DAILY, actions=log("Due on {{ due.date }}"))
    assert "Due on 2031-05-06" in outcome(admin_client, rule, due_at="2031-05-06T08:00")


def test_each_object_of_a_fixed_time_is_tested_by_itself(admin_client: Client) -> None:
    rule = create_rule(Order, [], slug="each", schedule={**DAILY, "of": "each"}, condition=PAID, actions=log("x"))
    assert "Choose an object" in outcome(admin_client, rule)
    assert "The rule would act." in outcome(admin_client, rule, pk=make_order(status="paid").pk)


def test_a_test_is_kept_of_what_was_due_and_passes(admin_client: Client) -> None:
    rule = remind(condition=SCHEDULED, actions=log("{{ instance.patient.name }}"), enabled=False)
    pk = make_appointment().pk
    url = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    assert admin_client.post(url, {"pk": pk, "_keep": "1", "keep_name": "Tom"}).status_code == 302
    assert RuleTest.objects.get().name == "Tom"
    assert failing(rule.spec()) == []
    rule.condition = {"==": [{"var": "instance.status"}, "completed"]}
    assert [verdict.test.name for verdict in failing(rule.spec())] == ["Tom"]


def test_run_over_events_tells_what_the_clock_would_have_done(admin_client: Client) -> None:
    rule = remind()
    today = timezone.localdate()
    Appointment.objects.filter(pk=visit(0, "Yesterday").pk).update(date=today)
    visit(40, "Far")
    said = words(admin_client.get(reverse("admin:rules_engine_rule_backtest", args=[rule.pk]), {"_window": 168}))
    assert "By the clock, by the objects as they are now" in said
    assert "Yesterday with" in said
    assert "Far with" not in said


def test_what_was_due_is_run_over_again_from_its_event(admin_client: Client) -> None:
    rule = remind(schedule={**BEFORE, "at": "00:00"})
    visit(0)
    Schedule.objects.update(since=timezone.now() - timedelta(days=3), next_look_at=Now())
    run_due()
    assert Event.objects.get().signal == "due"
    said = words(admin_client.get(reverse("admin:rules_engine_rule_backtest", args=[rule.pk])))
    assert "It would have acted on 1 of 1 event." in said
