"""Tests that cannot be kept, and why: a sentence on the page, and nothing stored."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from project.shop.models import Order
from rules_engine.admin.kept.keeping import LONGEST_NAME, MOST_TESTS
from rules_engine.models import Event, Rule, RuleTest
from rules_engine.testing import create_rule
from tests.factories import make_doctor, make_order
from tests.integration.admin.conftest import client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)
LOG = ("log_message", {"message": "Order {{ instance.order_number }}"})
PAID = {"instance": {"pk": 1, "order_number": "A-1"}, "changes": {"status": {"old": "draft", "new": "paid"}}}


@pytest.fixture
def rule() -> Rule:
    return create_rule(Order, slug="paid", changes=[{"field": "status", "to": "paid"}], actions=[LOG])


def keep(client: Client, rule: Rule, context: Any, **posted: Any) -> str:
    """Paste a context, test the rule with it and keep that; return the page that comes of it."""
    data = {"signal": "post_save", "operation": "update", "context": json.dumps(context), "_keep": "1", **posted}
    data |= {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0"}
    return client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), data, follow=True).content.decode()


def store(rule: Rule, *names: str) -> None:
    RuleTest.objects.bulk_create(
        RuleTest(
            rule=rule, name=name, signal="post_save", operation="update", occurred_at="2031-05-06T10:30:00Z",
            context=PAID, expected={"outcome": "acts"},
        )
        for name in names
    )  # fmt: skip


@pytest.mark.parametrize(
    ("moment", "kept"),
    [
        ("2031-05-06T10:30:00Z", "2031-05-06T10:30:00+00:00"),
        ("2031-05-06T10:30:00+02:00", "2031-05-06T08:30:00+00:00"),
        # Without a zone it is meant in the site's.
        ("2031-05-06T10:30", "2031-05-06T08:30:00+00:00"),
        ("2031-05-06", "2031-05-05T22:00:00+00:00"),
    ],
)
def test_a_sample_is_of_the_time_that_its_context_says(
    admin_client: Client, rule: Rule, moment: str, kept: str, settings: Any
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    keep(admin_client, rule, {**PAID, "event": {"occurred_at": moment}})
    assert RuleTest.objects.get().occurred_at.astimezone(UTC).isoformat() == kept


@pytest.mark.parametrize(
    "moment", ["2031-02-30T10:00:00Z", "tomorrow", "", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", 7]
)
def test_a_time_that_there_is_not_keeps_no_test(admin_client: Client, rule: Rule, moment: Any) -> None:
    page = keep(admin_client, rule, {**PAID, "event": {"occurred_at": moment}})
    assert "The context does not say when it happened (event.occurred_at)." in page
    assert not RuleTest.objects.exists()


def test_more_tests_than_a_rule_may_have_are_refused(admin_client: Client, rule: Rule) -> None:
    store(rule, *(f"Test {number}" for number in range(MOST_TESTS)))
    page = keep(admin_client, rule, PAID)
    assert f"The rule has {MOST_TESTS} tests, which is as many as it can have: remove one first." in page
    assert RuleTest.objects.count() == MOST_TESTS


def test_of_what_fails_no_test_is_made(admin_client: Client) -> None:
    broken = create_rule(Order, condition={">": [{"+": [{"var": "instance.total"}, "x"]}, 1]}, actions=[LOG])
    page = keep(admin_client, broken, {"instance": {"pk": 1, "total": "1"}})
    assert "No test can be made of this: " in page
    assert not RuleTest.objects.exists()


def test_a_name_that_is_taken_gets_a_number_and_a_long_one_is_cut(admin_client: Client, rule: Rule) -> None:
    for _ in range(3):
        keep(admin_client, rule, PAID, keep_name=" Paid ")
    for _ in range(2):
        keep(admin_client, rule, PAID, keep_name="x" * (LONGEST_NAME + 50))
    names = list(RuleTest.objects.order_by("pk").values_list("name", flat=True))
    assert (names[0], names[3]) == ("Paid", "x" * LONGEST_NAME)
    assert len(set(names)) == 5
    assert all(len(name) <= LONGEST_NAME for name in names)
    assert names[1].startswith("Paid")
    assert names[4].startswith("xxx")


@pytest.mark.parametrize("name", ["Ö — ümlaut", "اختبار", "<b>bold</b>", "\u202eright to left", "a\nb"])
def test_a_test_may_have_any_name(admin_client: Client, rule: Rule, name: str) -> None:
    page = keep(admin_client, rule, PAID, keep_name=name)
    assert RuleTest.objects.get().name == name
    assert "<b>bold</b>" not in page


def test_an_event_of_another_model_is_nothing_to_the_rule(admin_client: Client, rule: Rule) -> None:
    create_rule("clinic.doctor", slug="doctors", actions=[("log_message", {"message": "x"})])
    make_doctor()
    event = Event.objects.get()
    address = reverse("admin:rules_engine_rule_tests", args=[rule.pk])
    page = admin_client.post(f"{address}?event={event.pk}", follow=True).content.decode()
    assert "The rule does not listen to what this event tells of." in page
    assert not RuleTest.objects.exists()


def paid_event(**fields: Any) -> Event:
    order = make_order(status="draft", **fields)
    order.status = "paid"
    order.save()
    return Event.objects.latest("created_at")


def test_what_somebody_may_not_view_is_kept_by_others() -> None:
    customer = make_user(name="customer", email="ada@example.com")
    reading = create_rule(
        Order,
        slug="reads",
        changes=[{"field": "status"}],
        actions=[("log_message", {"message": "{{ instance.customer.email }}"})],
    )
    event = paid_event(customer=customer)
    rights = ("view_rule", "change_rule", "view_event", "view_execution")
    client = client_of(make_user(*(f"rules_engine.{right}" for right in rights), "shop.view_order"))
    address = reverse("admin:rules_engine_rule_tests", args=[reading.pk])
    page = client.post(f"{address}?event={event.pk}", follow=True).content.decode()
    assert not RuleTest.objects.exists()
    assert "ada@example.com" not in page


@pytest.mark.parametrize("event", ["", "x", "0", "00000000-0000-0000-0000-000000000000"])
def test_an_event_that_there_is_not_is_not_found(admin_client: Client, rule: Rule, event: str) -> None:
    address = reverse("admin:rules_engine_rule_tests", args=[rule.pk])
    assert admin_client.post(f"{address}?event={event}").status_code == 404


def test_tests_are_for_those_alone_who_may_test(rule: Rule) -> None:
    store(rule, "There")
    key = RuleTest.objects.get().pk
    client = client_of(make_user("rules_engine.view_rule", "rules_engine.change_rule", "shop.view_order"))
    address = reverse("admin:rules_engine_rule_tests", args=[rule.pk])
    assert client.get(address).status_code == 403
    for posted in ({"remove": key}, {"renew": key}):
        assert client.post(address, posted).status_code == 403
    assert RuleTest.objects.get().expected == {"outcome": "acts"}


def test_a_test_of_another_rule_is_not_removed_from_here(admin_client: Client, rule: Rule) -> None:
    other = create_rule(Order, slug="other", actions=[LOG])
    store(other, "There")
    address = reverse("admin:rules_engine_rule_tests", args=[rule.pk])
    assert admin_client.post(address, {"remove": RuleTest.objects.get().pk}).status_code == 404
    assert RuleTest.objects.exists()
