"""The page of a rule on time: what comes next, as if it were any time, and why it does not act on an object."""

from __future__ import annotations

import re
from datetime import date, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.html import strip_tags

from project.clinic.models import Appointment, Patient
from project.shop.models import Order
from rules_engine.models import Rule, Schedule
from rules_engine.test.timed import coming
from rules_engine.testing import create_rule, run_due
from tests.factories import make_appointment, make_order
from tests.integration.admin.conftest import client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
BEFORE = {"kind": "date", "path": "instance.date", "count": 1, "unit": "days", "direction": "before", "at": "18:00"}
SCHEDULED = {"==": [{"var": "instance.status"}, "scheduled"]}
VIEWS = ("rules_engine.view_rule", "rules_engine.test_rule", "clinic.view_appointment")


def remind(**fields: Any) -> Rule:
    return create_rule(Appointment, [], **{"slug": "remind", "schedule": BEFORE, "actions": [LOG], **fields})


def url(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_times", args=[rule.pk])


def words(answer: Any) -> str:
    assert answer.status_code == 200, answer.status_code
    text = re.sub(r"<(script|style|nav).*?</\1>", " ", answer.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(strip_tags(text.replace("<", " <"))))


def visit(days: int, name: str = "Tom", **fields: Any) -> Appointment:
    patient = Patient.objects.create(name=name)
    return make_appointment(patient=patient, date=timezone.localdate() + timedelta(days=days), **fields)


def test_the_next_times_stand_there_with_their_objects(admin_client: Client) -> None:
    rule = remind(condition=SCHEDULED)
    visit(9, "Later"), visit(3, "Soon"), visit(5, "Gone", status="cancelled")
    said = words(admin_client.get(url(rule)))
    assert "1 day before the date of an appointment, at 18:00, only if status is Scheduled" in said
    soon, gone, later = (said.index(f"{name} with") for name in ("Soon", "Gone", "Later"))
    assert soon < gone < later
    assert "acts, as it is now" in said[soon:gone]
    assert "does nothing, as it is now: Status was Cancelled; it has to be Scheduled" in said[gone:later]


def test_nothing_comes_of_looking(admin_client: Client) -> None:
    rule = remind()
    visit(3)
    admin_client.get(url(rule), {"at": "2031-05-06T08:00", "days": "90"})
    assert run_due() == 0


def test_it_is_told_as_if_it_were_another_time(admin_client: Client) -> None:
    rule = remind()
    make_appointment(patient=Patient.objects.create(name="Far"), date=date(2041, 5, 6))
    assert "Far with" not in words(admin_client.get(url(rule)))
    said = words(admin_client.get(url(rule), {"at": "2041-05-05T08:00"}))
    assert "Next, as if it were May 5, 2041, 8 a.m." in said
    assert "Far with" in said.partition("Before that")[0]
    said = words(admin_client.get(url(rule), {"at": "2041-05-06T08:00", "days": "1"}))
    assert "Far with" in said.partition("Before that")[2]


@pytest.mark.parametrize("at", ["", "soon", "0001-01-01T00:00", "9999-12-31T23:59", "2031-02-30T08:00", "x" * 300])
def test_any_time_that_is_typed_is_answered(admin_client: Client, at: str) -> None:
    rule = remind()
    visit(3)
    assert words(admin_client.get(url(rule), {"at": at, "days": "x", "q": "\0", "pk": "-"}))


def test_why_it_does_not_act_on_an_object(admin_client: Client) -> None:
    rule = remind(condition=SCHEDULED)
    soon, gone = visit(3, "Soon"), visit(3, "Gone", status="cancelled")
    assert "It is due on" in words(admin_client.get(url(rule), {"pk": soon.pk}))
    said = words(admin_client.get(url(rule), {"pk": gone.pk}))
    assert "As it is now, the condition does not hold then: Status was Cancelled; it has to be Scheduled" in said
    Schedule.objects.update(since=timezone.now() + timedelta(days=9))
    assert "which is before the rule was switched on, or changed" in words(admin_client.get(url(rule), {"pk": soon.pk}))


def test_a_rule_that_acts_every_so_often_is_asked_about_an_object(admin_client: Client) -> None:
    daily = {"kind": "every", "each": "day", "at": "08:00", "of": "each"}
    rule = create_rule(Appointment, [], schedule=daily, condition=SCHEDULED, actions=[LOG])
    visit(3, "Tom"), visit(3, "Ann", status="cancelled")
    assert re.search(r"It is due on .* As it is now, it acts then", words(admin_client.get(url(rule), {"q": "Tom"})))
    assert "the condition does not hold then: Status" in words(admin_client.get(url(rule), {"q": "Ann"}))
    assert "Times are those of " in words(admin_client.get(url(rule)))


def test_objects_are_found_by_name_and_several_are_offered(admin_client: Client) -> None:
    rule = remind()
    visit(3, "Carmen"), visit(4, "Carlos")
    # The admin of appointments searches by names.
    both = words(admin_client.get(url(rule), {"q": "Car"}))
    none = words(admin_client.get(url(rule), {"q": "Nobody"}))
    assert "There is no such object that you may see." in none
    assert "Which one?" in both or "It is due on" in both


def test_objects_that_somebody_may_not_view_are_told_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = remind()
    shown, hidden = visit(3, "Shown"), visit(4, "Hidden")
    client = client_of(make_user(*VIEWS))
    page = admin.site.get_model_admin(Appointment)
    monkeypatch.setattr(page, "get_queryset", lambda request: Appointment.objects.filter(pk=shown.pk))
    said = words(client.get(url(rule)))
    assert "Shown with" in said
    assert "Hidden with" not in said
    assert "There is no such object" in words(client.get(url(rule), {"pk": hidden.pk}))
    monkeypatch.setattr(page, "has_view_permission", lambda request, obj=None: obj is None)
    assert "Shown with" not in words(client.get(url(rule)))


@pytest.mark.parametrize(
    ("rights", "status"),
    [((), 403), (VIEWS[:1], 403), (VIEWS[:2], 403), (VIEWS, 200)],
)
def test_whoever_may_test_rules_and_view_the_objects_may_look(rights: tuple[str, ...], status: int) -> None:
    assert client_of(make_user(*rights)).get(url(remind())).status_code == status


def test_fixed_times_are_told_with_what_they_are_for(admin_client: Client) -> None:
    schedule = {"kind": "every", "each": "weekday", "at": "08:00", "of": "rows"}
    rule = create_rule(
        Order,
        [],
        slug="digest",
        schedule=schedule,
        condition={"==": [{"var": "instance.status"}, "paid"]},
        actions=[LOG],
    )
    make_order(order_number="P1", status="paid"), make_order(order_number="D1")
    said = words(admin_client.get(url(rule), {"at": "2031-05-05T07:00"}))
    assert "Mon 05/05/2031 8 a.m." in said
    assert "Sat" not in said.partition("Before that")[0].partition("Next, as if")[2]
    assert "Each time for these, as they are now: Order P1 " in said
    assert "D1" not in said


def test_a_rule_on_signals_says_that_nobody_can_tell(admin_client: Client) -> None:
    rule = create_rule(Order, slug="paid", actions=[LOG])
    assert "nobody can tell its times beforehand" in words(admin_client.get(url(rule)))


def test_a_rule_that_is_off_says_so(admin_client: Client) -> None:
    assert "this is when it would act if it were on" in words(admin_client.get(url(remind(enabled=False))))


def test_it_is_told_in_german(admin_client: Client, settings: Any) -> None:
    settings.LANGUAGE_CODE = "de"
    rule = remind(condition=SCHEDULED)
    gone = visit(3, "Gone", status="cancelled")
    with translation.override("de"):
        said = words(admin_client.get(url(rule), {"pk": gone.pk}))
    assert "So, wie es jetzt ist, trifft die Bedingung dann nicht zu" in said
    assert "Als Nächstes" in said


def test_the_page_is_linked_from_the_rule(admin_client: Client) -> None:
    rule = remind()
    assert url(rule) in admin_client.get(reverse("admin:rules_engine_rule_change", args=[rule.pk])).content.decode()


STAYS = {"kind": "stays", "count": 3, "unit": "days"}


def test_what_a_rule_waits_for_stands_there_by_its_name(admin_client: Client) -> None:
    pending = {"==": [{"var": "instance.status"}, "pending"]}
    rule = create_rule(Order, slug="unpaid", schedule=STAYS, condition=pending, actions=[LOG])
    waiting, paid = make_order(order_number="W1", status="pending"), make_order(order_number="P1", status="paid")
    assert "Nothing." in words(admin_client.get(url(rule)))
    run_due()
    said = words(admin_client.get(url(rule), {"pk": waiting.pk}))
    assert "What it waits for" in said
    assert "Order W1" in said.partition("What it waits for")[2]
    assert "As it is now, it acts then." in said
    assert "Before that" not in said
    said = words(admin_client.get(url(rule), {"pk": paid.pk}))
    assert "Nothing is waited for, since the condition does not hold" in said
    run_due(now=timezone.now() + timedelta(days=4))
    assert "It acted already, on what is so since" in words(admin_client.get(url(rule), {"pk": waiting.pk}))


def test_what_does_not_happen_is_waited_for_without_an_object(admin_client: Client) -> None:
    silent = {"kind": "silent", "count": 26, "unit": "hours"}
    rule = create_rule(Order, slug="quiet", schedule=silent, operations=["create"], actions=[LOG])
    run_due()
    assert "What it waits for" in words(admin_client.get(url(rule)))


def test_why_tells_what_rules_on_time_say_of_an_object(admin_client: Client) -> None:
    rule = remind(condition=SCHEDULED)
    gone = visit(3, "Gone", status="cancelled")
    why = reverse("admin:rules_engine_rule_why")
    said = words(admin_client.get(why, {"model": "clinic.appointment", "pk": gone.pk}))
    assert "By the clock" in said
    assert "the condition does not hold then: Status was Cancelled" in said.partition("By the clock")[2]
    blind = client_of(make_user("rules_engine.view_rule", "rules_engine.view_event", "rules_engine.view_execution"))
    assert "Gone" not in words(blind.get(why, {"model": "clinic.appointment", "pk": gone.pk}))
    rule.delete()
    said = words(admin_client.get(why, {"model": "clinic.appointment", "pk": gone.pk}))
    assert "By the clock" not in said


DIGEST = {"kind": "every", "each": "day", "at": "08:00", "of": "rows"}
PAID = {"==": [{"var": "instance.status"}, "paid"]}


def test_what_a_list_is_of_is_found_behind_many_rows(admin_client: Client) -> None:
    Order.objects.bulk_create([Order(order_number=f"D{number}") for number in range(1100)])
    make_order(order_number="LAST", status="paid")
    rule = create_rule(Order, [], slug="digest", schedule=DIGEST, condition=PAID, actions=[LOG])
    assert "as they are now: Order LAST" in words(admin_client.get(url(rule)))


def test_without_time_for_all_it_does_not_say_none(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coming, "SECONDS", -1.0)
    make_order(order_number="P1")
    odd = {"in": [{"var": "instance.status"}, ["paid", {"var": "instance.order_number"}]]}
    rule = create_rule(Order, [], slug="digest", schedule=DIGEST, condition=odd, actions=[LOG])
    said = words(admin_client.get(url(rule)))
    assert "There was no time to look at all objects" in said
    assert "as they are now: none" not in said
    test = reverse("admin:rules_engine_rule_test", args=[rule.pk])
    assert "There was no time to look at all objects" in words(admin_client.post(test, {}))


def test_a_list_is_tested_with_what_its_tester_may_view(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, hidden = make_order(order_number="SEEN"), make_order(order_number="HIDDEN")
    page = admin.site.get_model_admin(Order)
    monkeypatch.setattr(
        page, "has_view_permission", lambda request, obj=None: obj is None or obj.pk != hidden.pk, raising=False
    )
    text = "{{ due.count }}: {% for row in rows %}{{ row.order_number }} {% endfor %}"
    rule = create_rule(Order, [], slug="digest", schedule=DIGEST, actions=[("log_message", {"message": text})])
    client = client_of(make_user("rules_engine.view_rule", "rules_engine.test_rule", "shop.view_order"))
    said = words(client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), {}))
    assert f"1: {seen.order_number}" in said
    assert "HIDDEN" not in said


@pytest.mark.parametrize("schedule", [7, [], "x", {"kind": 7}, {"kind": "date", "count": "x"}, {"kind": "every"}])
def test_a_schedule_that_is_none_is_refused_with_what_is_wrong(admin_client: Client, schedule: Any) -> None:
    rule = remind()
    soon = visit(3, "Soon")
    Rule.objects.filter(pk=rule.pk).update(schedule=schedule)
    assert 'class="errornote"' in admin_client.get(url(rule)).content.decode()
    why = reverse("admin:rules_engine_rule_why")
    assert words(admin_client.get(why, {"model": "clinic.appointment", "pk": soon.pk}))


def test_of_what_was_before_the_latest_is_kept(admin_client: Client) -> None:
    hourly = {"kind": "every", "each": "hour", "zone": "UTC"}
    rule = create_rule("", [], slug="hourly", schedule=hourly, actions=[LOG])
    said = words(admin_client.get(url(rule), {"at": "2031-05-05T12:30", "days": "7"})).partition("Before that")[2]
    assert "05/05/2031 noon" in said
    assert "04/28/2031" not in said
    assert "and more" in said
    reminder = remind()
    for days in range(1, 31):
        make_appointment(
            patient=Patient.objects.create(name=f"P{days:02}"), date=date(2031, 5, 1) + timedelta(days=days)
        )
    said = words(admin_client.get(url(reminder), {"at": "2031-06-02T08:00", "days": "90"})).partition("Before that")[2]
    assert "P30 with" in said
    assert "P01 with" not in said
    assert said.index("P29 with") < said.index("P30 with")


def test_an_object_that_is_named_by_its_key_alone_leaves_the_days_chosen(admin_client: Client) -> None:
    page = admin_client.get(url(remind()), {"pk": visit(3).pk}).content.decode()
    assert '<option value="7" selected>' in page
