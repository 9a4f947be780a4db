"""Activity: what rules did, could not do yet and hold back, in one list of four columns."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from project.clinic.models import Appointment, Doctor, Patient
from project.shop.models import Order
from rules_engine.admin.records import activity
from rules_engine.models import Execution, HeldMatch, Pause
from rules_engine.testing import create_rule, run_due
from tests.integration.admin.conftest import client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)

ACTIVITY = reverse("admin:rules_engine_activity_changelist")
MAIL = ("send_email", {"to": ["a@example.com"], "subject": "x", "body": "x"})
LOG = ("log_message", {"message": "x"})
VIEW = ("rules_engine.view_execution", "rules_engine.view_heldmatch", "rules_engine.view_rule")


def rows_of(client: Client, **asked: str) -> list[str]:
    """The rows of the list, each as a reader hears it."""
    response = client.get(ACTIVITY, asked)
    assert response.status_code == 200
    page = response.content.decode()
    if 'id="result_list"' not in page:
        return []
    body = page.split('id="result_list"')[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = [unescape(re.sub(r"<(?!/?strong)[^>]+>", " ", row)) for row in body.split("</tr>")[:-1]]
    return [" ".join(re.sub(r"</?strong[^>]*>", "", row).split()) for row in rows]


@pytest.fixture
def mailing() -> Execution:
    create_rule(Order, slug="mails", name="Mail the warehouse", actions=[MAIL])
    Order.objects.create(order_number="A-1")
    return Execution.objects.get()


def having(**fields: Any) -> None:
    Execution.objects.update(**{"leased_by": "", "lease_until": None, **fields})


NOW = timezone.now()
#: A time as the list says it: of another day, which an hour from now may be, with its date.
AT = r"(?:[A-Z][a-z]+\.? )?\d"
HOUR = timedelta(hours=1)
STATES: dict[str, tuple[dict[str, Any], str, set[str]]] = {
    "will be tried again": (
        {"state": "retryable", "failures": 1, "attempts": 1, "error": "It is down.", "next_attempt_at": NOW + HOUR},
        f"failed: It is down; next try {AT}",
        {"all", "failed"},
    ),
    "is to be tried again": (
        {"state": "retryable", "failures": 1, "attempts": 1, "error": "It is down.", "next_attempt_at": NOW - HOUR},
        "failed: It is down; its next try waits for a worker",
        {"all", "failed"},
    ),
    "given up": (
        {"state": "discarded", "attempts": 5, "error": "It is down."},
        "given up after 5 tries: It is down.",
        {"all", "failed"},
    ),
    "given up at once": (
        {"state": "discarded", "error": "No such kind."},
        "given up: No such kind.",
        {"all", "failed"},
    ),
    "refused": (
        {"state": "refused", "error": "Its author may not."},
        "refused: Its author may not.",
        {"all", "failed"},
    ),
    "cancelled": ({"state": "cancelled", "error": "Cancelled by root."}, "Cancelled by root.", {"all"}),
    "of a rule that is gone": (
        {"state": "cancelled", "error": 'The rule "mails" was disabled or deleted.'},
        "cancelled: the rule “mails” was disabled or deleted",
        {"all"},
    ),
    "due": ({"next_attempt_at": NOW - HOUR}, f"waiting for a worker since {AT}", {"all", "waiting"}),
    "delayed": ({"next_attempt_at": NOW + HOUR}, rf"waiting until {AT}", {"all", "waiting"}),
    "put off": (
        {"next_attempt_at": NOW + HOUR, "error": "The cap is reached.", "attempts": 1},
        rf"waiting until {AT}.*: The cap is reached.",
        {"all", "waiting"},
    ),
    "behind another": ({"next_attempt_at": None}, "waiting for the action before it", {"all", "waiting"}),
    "retried": (
        {"state": "retryable", "failures": 0, "error": "It was down.", "next_attempt_at": NOW - HOUR},
        r"waiting for a worker since .*: It was down.",
        {"all", "waiting"},
    ),
    "running": ({"state": "running", "lease_until": NOW + HOUR}, "a worker is at it", {"all", "waiting"}),
    "silent": ({"state": "running", "lease_until": NOW - HOUR}, "its worker is silent", {"all", "waiting"}),
    "done": ({"state": "succeeded", "summary": "Mailed a@example.com"}, "done: Mailed a@example.com", {"all"}),
}


@pytest.mark.parametrize("name", STATES)
def test_a_row_says_its_state_with_the_reason_and_stands_in_its_tabs(
    admin_client: Client, mailing: Execution, name: str
) -> None:
    fields, said, tabs = STATES[name]
    having(**fields)
    (row,) = rows_of(admin_client)
    assert re.search(said, row), row
    assert "Mail the warehouse → Send an email Order A-1" in row
    assert {tab for tab in ("all", "failed", "waiting", "held") if rows_of(admin_client, tab=tab)} == tabs


def test_what_waits_behind_a_pause_says_until_when_and_why(
    admin_client: Client, staff: Callable[..., Client], mailing: Execution
) -> None:
    Pause.objects.create(model="shop.order", reason="The server moves", until=timezone.now() + HOUR)
    (row,) = rows_of(admin_client)
    assert re.search(rf"held back by a pause until {AT}.*: The server moves", row), row
    # Why somebody paused is for whoever may see pauses.
    (row,) = rows_of(staff(*VIEW))
    assert "held back by a pause until" in row
    assert "The server moves" not in row
    Pause.objects.update(until=None)
    assert "until somebody resumes" in rows_of(admin_client)[0]


def test_held_matches_are_among_the_rest_and_say_what_holds_them(admin_client: Client) -> None:
    create_rule(Order, slug="chat", name="Chat", actions=[LOG], throttle_count=1, throttle_seconds=3600)
    create_rule(Order, slug="later", name="Later", actions=[LOG], coalesce_seconds=7200)
    for number in range(2):
        Order.objects.create(order_number=f"A-{number}")
        run_due()
    rows = rows_of(admin_client)
    assert [row for row in rows if "done: " in row and "Chat" in row]
    (limited,) = (row for row in rows if "by the limit" in row)
    released = HeldMatch.objects.get(rule_slug="chat", state="released")
    assert released.decided_at is not None
    assert re.search(rf"Order A-1 .*held back by the limit until {AT}.*: at most once an hour", limited), limited
    assert len([row for row in rows if "held back until" in row and "it waits 2 hours for more" in row]) == 2
    assert len(rows) == 4
    assert len(rows_of(admin_client, tab="held")) == 3
    assert "2 rows" in admin_client.get(ACTIVITY, {"tab": "held", "rule_slug": "later"}).content.decode()


def test_a_limit_is_free_as_long_after_the_match_that_used_it_up(admin_client: Client) -> None:
    create_rule(Order, slug="chat", actions=[LOG], throttle_count=1, throttle_seconds=86_400)
    for number in range(2):
        Order.objects.create(order_number=f"A-{number}")
        run_due()
    released = HeldMatch.objects.filter(state="released")
    released.update(decided_at=timezone.now() - timedelta(hours=20))
    free = (released.get().decided_at or NOW) + timedelta(days=1)
    page = admin_client.get(ACTIVITY, {"tab": "held"}).content.decode()
    local = timezone.localtime(free).isoformat(timespec="seconds")
    assert f'held back by the limit until <time datetime="{local}">' in page
    released.delete()
    assert "held back by the limit: at most once a day" in rows_of(admin_client, tab="held")[0]


@pytest.mark.parametrize("most_merged", [2_000, 0])
def test_rows_of_both_tables_come_newest_first_and_page_by_page(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch, most_merged: int
) -> None:
    monkeypatch.setattr(activity, "MOST_MERGED", most_merged)
    create_rule(Order, slug="now", name="Now", actions=[LOG])
    create_rule(Order, slug="later", name="Later", actions=[LOG], coalesce_seconds=7200)
    for number in range(30):
        Order.objects.create(order_number=f"{number:02}")
    expected = sorted((f"{number:02}" for number in (*range(30), *range(30))), reverse=True)
    pages = [rows_of(admin_client, p=str(number)) for number in (1, 2)]
    assert [len(page) for page in pages] == [50, 10]
    shown = [re.search(r"Order (\d\d) ", row) for page in pages for row in page]
    assert [found and found[1] for found in shown] == expected
    assert admin_client.get(ACTIVITY, {"p": "9"}).status_code == 302


def test_the_tab_is_kept_by_search_filter_and_pages(admin_client: Client, mailing: Execution) -> None:
    having(state="discarded", error="x")
    page = admin_client.get(ACTIVITY, {"tab": "failed", "q": "mails"}).content.decode()
    assert '<input type="hidden" name="tab" value="failed">' in page
    assert 'href="?q=mails&amp;tab=held"' in page
    assert 'aria-current="page">Failed' in page
    assert "rule_slug=mails&amp;tab=failed" in page
    assert rows_of(admin_client, tab="failed", q="warehouse")
    assert not rows_of(admin_client, tab="failed", q="nothing")
    assert rows_of(admin_client, tab="failed", since="24h")
    Execution.objects.update(created_at=timezone.now() - timedelta(hours=2))
    assert not rows_of(admin_client, since="1h")
    assert len(rows_of(admin_client, tab="no such tab")) == 1


# Doing something about it


def act(client: Client, action: str, *rows: Any, **more: str) -> str:
    data = {"action": action, "_selected_action": [str(row.pk) for row in rows], "index": "0", **more}
    return unescape(client.post(ACTIVITY, data, follow=True).content.decode())


def test_what_failed_is_retried_and_what_is_held_released_from_one_page(
    admin_client: Client, mailing: Execution
) -> None:
    create_rule(Order, slug="later", actions=[LOG], coalesce_seconds=7200)
    Order.objects.create(order_number="A-2")
    having(state="discarded", error="x")
    chosen = [*Execution.objects.all(), *HeldMatch.objects.all()]
    assert "2 executions are due again." in act(admin_client, "retry_selected", *chosen)
    assert HeldMatch.objects.get().state == "waiting"
    assert "1 match was released." in act(admin_client, "release_selected", *chosen)
    assert HeldMatch.objects.get().state == "released"
    assert LogEntry.objects.count() == 3
    assert run_due() == 3


def test_all_that_a_tab_has_is_retried_and_nothing_else(admin_client: Client) -> None:
    create_rule(Order, slug="mails", actions=[MAIL])
    create_rule(Order, slug="later", actions=[LOG], coalesce_seconds=7200)
    for number in range(60):
        Order.objects.create(order_number=str(number))
    kept = Execution.objects.order_by("pk")[:5]
    having(state="discarded", error="x")
    Execution.objects.filter(pk__in=[row.pk for row in kept]).update(state="succeeded")
    first = Execution.objects.filter(state="discarded")[0]
    asked = {"action": "retry_selected", "_selected_action": [str(first.pk)], "select_across": "1", "index": "0"}
    page = admin_client.post(f"{ACTIVITY}?tab=failed", asked, follow=True).content.decode()
    assert "55 executions are due again." in page
    held = HeldMatch.objects.all()[0]
    asked = {"action": "discard_selected", "_selected_action": [str(held.pk)], "select_across": "1", "index": "0"}
    page = admin_client.post(f"{ACTIVITY}?tab=held&rule_slug=later", asked, follow=True).content.decode()
    assert "60 matches were discarded." in page


def test_what_succeeded_is_replayed_where_that_does_no_harm(admin_client: Client, mailing: Execution) -> None:
    run_due()
    assert "Nothing was changed" in act(admin_client, "replay_selected", mailing)
    assert Execution.objects.get().state == "succeeded"


# Who sees what


def test_each_kind_of_row_is_for_whoever_may_view_that(staff: Callable[..., Client], mailing: Execution) -> None:
    create_rule(Order, slug="later", name="Later", actions=[LOG], coalesce_seconds=7200)
    Order.objects.create(order_number="A-2")
    held = HeldMatch.objects.get()
    client = staff("rules_engine.view_execution")
    assert [name in " ".join(rows_of(client)) for name in ("Mail the warehouse", "Later")] == [True, False]
    assert not rows_of(client, tab="held")
    client = client_of(make_user("rules_engine.view_heldmatch", "rules_engine.retry_execution", name="other"))
    assert [name in " ".join(rows_of(client)) for name in ("Mail the warehouse", "Later")] == [False, True]
    assert not rows_of(client, tab="failed")
    having(state="discarded", error="x")
    # The right to retry without that to see is none, here as in the list of executions.
    act(client, "retry_selected", mailing)
    act(client, "release_selected", held)
    assert set(Execution.objects.values_list("state", flat=True)) == {"discarded"}
    assert HeldMatch.objects.get().state == "waiting"
    assert client_of(make_user("rules_engine.view_rule", name="third")).get(ACTIVITY).status_code == 403


def test_names_and_errors_are_for_whoever_may_view_the_objects(
    staff: Callable[..., Client], mailing: Execution
) -> None:
    having(state="discarded", error="A-1 was refused")
    order = Order.objects.get()
    (row,) = rows_of(staff(*VIEW))
    assert "A-1" not in row
    assert f"Order {order.pk}" in row
    assert "You may not view objects of this model" in row
    (row,) = rows_of(client_of(make_user(*VIEW, "shop.view_order", name="other")))
    assert "Order A-1" in row
    assert "A-1 was refused" in row


def test_objects_that_their_own_page_hides_are_not_named(
    staff: Callable[..., Client], mailing: Execution, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = admin.site.get_model_admin(Order)
    monkeypatch.setattr(page, "get_queryset", lambda request: Order.objects.exclude(order_number="A-1"))
    Order.objects.create(order_number="A-2")
    rows = " ".join(rows_of(staff(*VIEW, "shop.view_order")))
    assert "A-2" in rows
    assert "A-1" not in rows


def queries_of(client: Client) -> int:
    with CaptureQueriesContext(connection) as taken:
        assert client.get(ACTIVITY).status_code == 200
    return len(taken)


def test_names_that_follow_relations_are_fetched_together(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Appointment, "__str__", lambda self: f"{self.patient} at {self.doctor}")
    create_rule(Appointment, slug="told", actions=[LOG])

    def book(count: int) -> None:
        for number in range(count):
            doctor = Doctor.objects.create(first_name="D", last_name=str(number))
            patient = Patient.objects.create(name=f"P{number}")
            Appointment.objects.create(doctor=doctor, patient=patient, date=NOW.date(), time=NOW.time())

    book(2)
    few = queries_of(admin_client)
    assert "P1" in " ".join(rows_of(admin_client))
    book(20)
    assert queries_of(admin_client) == few


def test_a_name_that_asks_for_too_much_or_fails_is_left_out(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_rule(Order, slug="told", actions=[LOG])
    orders = [Order.objects.create(order_number=f"A-{number}") for number in range(30)]
    before = queries_of(admin_client)
    monkeypatch.setattr(Order, "__str__", lambda self: f"{self.order_number} of {Order.objects.count()}")
    # One more is noted, and refused.
    assert queries_of(admin_client) <= before + 13
    rows = rows_of(admin_client)
    assert len(rows) == 30
    assert f"Order {orders[0].pk}" in rows[-1]
    monkeypatch.setattr(Order, "__str__", lambda self: self.nothing_like_it)
    assert all("→ Write a log message Order " in row for row in rows_of(admin_client))
