"""The overview page: whether work is done, what waits, what fails, what is slow and what is paused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Order
from rules_engine.models import Attempt, Execution, Heartbeat, Pause, RuleError
from rules_engine.monitoring import backlog
from rules_engine.testing import create_rule, run_due
from rules_engine.work import retention, tasks
from rules_engine.work.workers import heartbeats
from tests.factories import make_endpoint
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = reverse("admin:rules_engine_overview")
LOG = ("log_message", {"message": "x"})
FAILING = ("send_email", {"to": ["{{ instance.order_number }}"], "subject": "x", "body": "x"})
NO_WORKER = "No worker was seen lately"


@pytest.fixture(autouse=True)
def _silent() -> None:
    heartbeats.reset()


def parts_of(client: Client) -> dict[str, str]:
    """The text of each part by its title."""
    response = client.get(PAGE)
    assert response.status_code == 200
    page = unescape(response.content.decode())
    titles = [part.title for part in response.context_data["parts"]]  # type: ignore[attr-defined]
    sections = page[page.index("</h2>") :].replace('<section class="rules-paused"', "").split("<section")[1:]
    return dict(zip(titles, sections, strict=True))


def webhook() -> tuple[str, dict[str, Any]]:
    make_endpoint("erp", name="The ERP", url="https://erp.example.com/")
    return ("webhook", {"endpoint": "erp"})


def test_where_nobody_works_it_says_what_to_do(admin_client: Client) -> None:
    part = parts_of(admin_client)["Workers"]
    assert NO_WORKER in part
    assert "manage.py rules_sweep" in part


def test_a_worker_that_sweeps_is_seen_and_one_that_fell_silent_is_told(admin_client: Client) -> None:
    tasks.sweep()
    assert NO_WORKER not in parts_of(admin_client)["Workers"]
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(minutes=5))
    part = parts_of(admin_client)["Workers"]
    assert NO_WORKER in part
    assert "5 min ago" in part
    assert "silent" in part


def test_a_worker_that_is_not_told_of_new_work_is_shown_while_it_is_so(admin_client: Client) -> None:
    heartbeats.beat(Heartbeat.Kind.SWEEP)
    assert "PgBouncer" not in parts_of(admin_client)["Workers"]
    heartbeats.beat(Heartbeat.Kind.UNTOLD)
    part = parts_of(admin_client)["Workers"]
    assert NO_WORKER not in part
    assert "is not told of new work" in part
    assert 'RULES_ENGINE["LISTEN"]' in part
    Heartbeat.objects.filter(kind=Heartbeat.Kind.UNTOLD).update(seen_at=timezone.now() - timedelta(minutes=5))
    part = parts_of(admin_client)["Workers"]
    assert "is not told of new work" not in part
    assert "PgBouncer" not in part


@pytest.mark.parametrize("how", ["drain", "sweep", "command"])
def test_all_ways_of_working_leave_a_sign_of_life(how: str) -> None:
    create_rule(model=Order, actions=[LOG])
    Order.objects.create(order_number="1")
    run = {
        "drain": lambda: tasks.drain("rules"),
        "sweep": tasks.sweep,
        "command": lambda: call_command("rules_sweep", verbosity=0),
    }
    run[how]()
    kinds = {"drain": {"work"}, "sweep": {"sweep"}, "command": {"work", "sweep"}}
    assert set(Heartbeat.objects.values_list("kind", flat=True)) == kinds[how]
    run[how]()
    assert Heartbeat.objects.count() == len(kinds[how])


def test_signs_of_life_are_seldom_written_and_forgotten_in_time() -> None:
    heartbeats.beat(Heartbeat.Kind.SWEEP)
    with CaptureQueriesContext(connection) as taken:
        heartbeats.beat(Heartbeat.Kind.SWEEP)
    assert len(taken) == 0
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(days=8))
    retention.prune()
    assert not Heartbeat.objects.exists()


def test_work_goes_on_where_no_sign_of_life_can_be_left(monkeypatch: pytest.MonkeyPatch) -> None:
    create_rule(model=Order, actions=[LOG])
    Order.objects.create(order_number="1")
    with connection.schema_editor() as editor:
        editor.alter_db_table(Heartbeat, Heartbeat._meta.db_table, "elsewhere")
    try:
        tasks.drain("rules")
    finally:
        with connection.schema_editor() as editor:
            editor.alter_db_table(Heartbeat, "elsewhere", Heartbeat._meta.db_table)
    assert Execution.objects.get().state == "succeeded"


def test_what_waits_is_said_by_queue_with_its_age(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG, ("log_message", {"message": "y"}, {"delay": 600}), webhook()])
    create_rule(model=Order, slug="held", actions=[LOG], coalesce_seconds=600)
    Order.objects.create(order_number="1")
    rows = {str(row[0].text): row[1:] for row in _part(admin_client, "What waits").rows}
    assert {name: row[:3] for name, row in rows.items()} == {
        "rules": ("1", "1", "0"),
        "webhooks": ("1", "0", "0"),
        "held matches": ("0", "1", "0"),
    }
    Execution.objects.filter(queue="webhooks").update(next_attempt_at=timezone.now() - timedelta(hours=3))
    part = parts_of(admin_client)["What waits"]
    assert "3 h ago" in part
    assert "Something in webhooks has been due for more than five minutes" in part


def _part(client: Client, title: str) -> Any:
    parts = client.get(PAGE).context_data["parts"]  # type: ignore[attr-defined]
    return next(part for part in parts if part.title.startswith(title))


def test_failures_are_told_by_rule_and_by_endpoint(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", name="Mail the customer", actions=[FAILING, webhook()])
    create_rule(model=Order, slug="quiet", actions=[LOG])
    RuleError.objects.create(rule_slug="gone", rule_version=1, message="It broke")
    Order.objects.create(order_number="1")
    Execution.objects.filter(kind="webhook").update(state="discarded", error="404")
    run_due()
    rules = [[getattr(cell, "text", cell) for cell in row[:3]] for row in _part(admin_client, "Failures by rule").rows]
    assert rules == [["Mail the customer", 2, 0], ["gone", 0, 1]]
    endpoints = _part(admin_client, "Failures by endpoint").rows
    assert [(row[0].text, row[2]) for row in endpoints] == [("The ERP", 1)]
    page = parts_of(admin_client)
    assert (
        reverse("admin:webhooks_endpoint_change", args=[Endpoint.objects.get().pk])
        in page["Failures by endpoint, 24 h"]
    )
    assert "rule_slug=mails" in page["Failures by rule, 24 h"]


def test_the_slowest_actions_come_first(admin_client: Client) -> None:
    create_rule(model=Order, slug="slow", actions=[LOG])
    create_rule(model=Order, slug="quick", actions=[LOG])
    Order.objects.create(order_number="1")
    run_due()
    for slug, took in (("slow", 3), ("quick", 0.25)):
        for attempt in Attempt.objects.filter(execution__rule_slug=slug):
            Attempt.objects.filter(pk=attempt.pk).update(finished_at=attempt.started_at + timedelta(seconds=took))
    rows = [(row[0].text, *row[1:]) for row in _part(admin_client, "Slowest").rows]
    logs = "Write a log message"
    assert rows == [("slow", logs, 1, "3.0 s", "3.0 s"), ("quick", logs, 1, "250 ms", "250 ms")]


def test_what_is_paused_is_listed_until_it_ends(admin_client: Client) -> None:
    create_rule(model=Order, slug="mails", actions=[LOG])
    Pause.objects.create(rule_slug="mails", reason="The mail server moves", until=timezone.now() + timedelta(hours=1))
    assert "The mail server moves" in parts_of(admin_client)["Paused"]
    Pause.objects.all()._update([(Pause._meta.get_field("until"), None, timezone.now())])
    assert "Nothing is paused." in parts_of(admin_client)["Paused"]


def test_one_sees_the_parts_and_links_that_one_may(staff: Callable[..., Client]) -> None:
    create_rule(model=Order, slug="mails", actions=[FAILING])
    Order.objects.create(order_number="1")
    run_due()
    parts = parts_of(staff("rules_engine.view_rule"))
    assert not any("endpoint" in title for title in parts)
    assert "<a " not in "".join(parts.values())


def test_the_page_is_reached_from_the_list_and_the_apps_index(admin_client: Client) -> None:
    for name, arguments in (("rules_engine_rule_changelist", {}), ("app_list", {"app_label": "rules_engine"})):
        assert f'href="{PAGE}"' in admin_client.get(reverse(f"admin:{name}", kwargs=arguments)).content.decode()


def test_it_takes_as_many_queries_however_much_there_is(admin_client: Client, staff: Callable[..., Client]) -> None:
    def queries(client: Client) -> int:
        with CaptureQueriesContext(connection) as taken:
            assert client.get(PAGE).status_code == 200
        return sum(not one["sql"].startswith(("BEGIN", "COMMIT", "ROLLBACK")) for one in taken)

    def more(start: int) -> None:
        for number in range(start, start + 8):
            create_rule(model=Order, slug=f"rule-{number}", actions=[FAILING, hook])
            Pause.objects.create(model="shop.orders", paused_by="gone")
        Order.objects.create(order_number=str(start))
        run_due(limit=10)

    hook = webhook()
    viewer = staff("rules_engine.view_rule", "rules_engine.view_execution", "webhooks.view_endpoint")
    more(0)
    queries(admin_client)
    before = queries(admin_client), queries(viewer)
    more(8)
    queries(admin_client)
    assert (queries(admin_client), queries(viewer)) == before
    assert max(before) <= 47


def test_more_than_can_be_counted_at_a_look_is_said_to_be_more(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "MOST_COUNTED", 2)
    create_rule(model=Order, slug="mails", actions=[LOG])
    for number in range(3):
        Order.objects.create(order_number=str(number))
    assert _part(admin_client, "What waits").rows[0][1] == "over 2"
