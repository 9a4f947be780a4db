"""Lists that say whether everything is all right, and what can be done from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from project.shop.models import Order
from rules_engine.admin.parts import searching
from rules_engine.models import Execution, Pause, Rule, RuleError
from rules_engine.testing import create_rule, refresh, run_due
from tests.integration.admin.conftest import make_user

pytestmark = pytest.mark.django_db(transaction=True)

RULES = reverse("admin:rules_engine_rule_changelist")
LOG = ("log_message", {"message": "x"})
LISTS = ("rule", "activity", "execution", "event", "auditentry", "heldmatch", "pause", "ruleversion", "recording")
MOST_QUERIES = 16
FAILING = ("send_email", {"to": ["{{ instance.order_number }}"], "subject": "x", "body": "x"})


def text_at(client: Client, address: str, **data: Any) -> str:
    response = client.get(address, data)
    assert response.status_code == 200
    return unescape(response.content.decode())


def act(client: Client, action: str, *rules: Rule, **fields: Any) -> Any:
    data = {"action": action, "_selected_action": [str(rule.pk) for rule in rules], **fields}
    return client.post(RULES, data, follow=True)


def order_of(page: str, *words: str) -> list[str]:
    return sorted(words, key=page.index)


def past(executions: Any, **ago: float) -> None:
    executions.update(created_at=timezone.now() - timedelta(**ago))


def queries_of(client: Client, address: str) -> int:
    with CaptureQueriesContext(connection) as taken:
        assert client.get(address).status_code == 200
    return sum(not one["sql"].startswith(("BEGIN", "COMMIT", "ROLLBACK")) for one in taken)


def test_what_needs_somebody_comes_first_and_what_is_off_last(admin_client: Client) -> None:
    create_rule(model=Order, slug="well", actions=[LOG])
    create_rule(model=Order, slug="off", actions=[LOG], enabled=False)
    create_rule(model=Order, slug="orphan", actions=[LOG], author=make_user(name="gone", is_active=False))
    create_rule(model=Order, slug="mistaken", actions=[LOG])
    create_rule(model=Order, slug="failing", actions=[FAILING])
    Order.objects.create(order_number="1")
    run_due()
    RuleError.objects.create(rule_slug="mistaken", rule_version=1, message="It broke")
    found = [rule.slug for rule in admin_client.get(RULES).context_data["cl"].result_list]  # type: ignore[attr-defined]
    assert found == ["failing", "mistaken", "orphan", "well", "off"]
    assert "cannot run" in text_at(admin_client, RULES)


def test_a_failure_of_the_day_before_no_longer_needs_anybody(admin_client: Client) -> None:
    create_rule(model=Order, slug="a-well", actions=[LOG])
    create_rule(model=Order, slug="failed", actions=[FAILING])
    Order.objects.create(order_number="1")
    run_due()
    past(Execution.objects, hours=25)
    rules = admin_client.get(RULES).context_data["cl"].result_list  # type: ignore[attr-defined]
    assert [(rule.slug, rule.activity.fired, rule.activity.failed) for rule in rules] == [
        ("a-well", 0, 0),
        ("failed", 0, 0),
    ]
    assert rules[1].activity.last_fired < timezone.now() - timedelta(hours=24)


def test_the_day_is_drawn_by_hour_and_said_in_words(admin_client: Client) -> None:
    create_rule(model=Order, slug="busy", actions=[LOG, LOG])
    for number in range(3):
        Order.objects.create(order_number=str(number))
    run_due()
    events = list(Execution.objects.order_by("created_at").values_list("event_id", flat=True).distinct())
    past(Execution.objects.filter(event_id=events[0]), hours=5)
    Execution.objects.filter(event_id=events[0], position=1).update(state="discarded", error="The disk is full")
    past(Execution.objects.filter(event_id=events[1]), hours=23, minutes=59)
    page = text_at(admin_client, RULES)
    # The latest is one event in this hour; those before stand where they belong.
    assert 'aria-label="By hour: 3 fired, 1 failed, at most 2 in one hour, 5 hours ago."' in page
    svg = page.split('<svg class="rules-chart"')[1].split("</svg>")[0]
    assert svg.count("<rect") == 4
    assert svg.count("rules-chart-failed") == 1
    assert "style=" not in svg
    assert "The disk is full" in page


def test_a_rule_that_never_fired_says_so_and_draws_nothing(admin_client: Client) -> None:
    create_rule(model=Order, slug="idle", actions=[LOG])
    page = text_at(admin_client, RULES)
    assert "never" in page
    assert "rules-chart" not in page


def test_lists_take_few_queries_however_many_rows(admin_client: Client, staff: Any) -> None:
    lists = {name: reverse(f"admin:rules_engine_{name}_changelist") for name in LISTS}

    def fill(count: int) -> None:
        for number in range(count):
            slug = f"rule-{count}-{number}"
            create_rule(model=Order, slug=slug, actions=[LOG], author=make_user(name=slug), coalesce_seconds=number % 2)
            create_rule(model=Order, slug=f"audit-{slug}", operations=["create"], actions=[("write_audit_entry", {})])
            Pause.objects.create(rule_slug=slug)
            RuleError.objects.create(rule_slug=slug, rule_version=1, message="x")
        for number in range(3):
            Order.objects.create(order_number=f"{count}-{number}")
        run_due()

    fill(2)
    few = {name: queries_of(admin_client, address) for name, address in lists.items()}
    fill(11)
    viewer = staff(*(f"rules_engine.view_{name}" for name in lists if name != "activity"), "shop.view_order")
    # More than one page, and more rules than a filter offers, are a query each.
    for name, address in lists.items():
        assert queries_of(admin_client, address) <= min(few[name] + 2, MOST_QUERIES), name
        assert queries_of(viewer, address) <= MOST_QUERIES, name
        assert queries_of(admin_client, f"{address}?q=rule") <= MOST_QUERIES, name


def test_rules_are_taken_along_as_a_pack_without_secrets(admin_client: Client) -> None:
    config = {"message": "x", "api_token": "s3cret"}
    one = create_rule(model=Order, slug="one", name="One", actions=[LOG])
    one.actions.update(config=config)
    create_rule(model=Order, slug="two", actions=[LOG])
    response = act(admin_client, "export", one)
    assert response["Content-Disposition"] == 'attachment; filename="rules.json"'
    pack = json.loads(response.content)
    assert [row["model"] for row in pack] == ["rules_engine.rule", "rules_engine.ruleaction"]
    assert pack[0]["fields"]["slug"] == "one"
    assert pack[1]["fields"]["config"] == {"api_token": "", "message": "x"}


def test_several_rules_are_paused_for_a_while_from_the_list(admin_client: Client, root: Any) -> None:
    sent = {"to": ["a@example.com"], "subject": "{{ instance.order_number }}", "body": "x"}
    rules = [create_rule(model=Order, slug=slug, actions=[("send_email", sent)]) for slug in ("one", "two", "three")]
    asked = unescape(act(admin_client, "pause", *rules[:2]).content.decode())
    assert "For how long" in asked
    assert "three" not in asked.split('id="content-main"')[1]
    assert not Pause.objects.exists()
    given = {"post": "yes", "lasts": "3600", "mode": "hold", "reason": "The mail server moves"}
    page = unescape(act(admin_client, "pause", *rules[:2], **given).content.decode())
    assert "2 rules are paused." in page
    assert page.count("paused until") == 2
    made = Pause.objects.order_by("rule_slug")
    assert [(one.rule_slug, one.mode) for one in made] == [("one", "hold"), ("two", "hold")]
    assert {one.paused_by for one in made} == {"root"}
    assert {round((one.until - timezone.now()).total_seconds() / 60) for one in made if one.until} == {60}
    assert LogEntry.objects.filter(user=root, change_message="Paused.").count() == 2
    refresh()
    Order.objects.create(order_number="A-1")
    run_due()
    assert len(mail.outbox) == 1


def test_all_that_were_found_are_paused_at_once(admin_client: Client) -> None:
    for number in range(60):
        create_rule(model=Order, slug=f"rule-{number}", actions=[LOG])
    first = Rule.objects.order_by("pk")[0]
    asked = act(admin_client, "pause", first, select_across="1").content.decode()
    assert "and 40 more rules" in asked
    assert asked.count('name="_selected_action"') == 1
    act(admin_client, "pause", first, select_across="1", post="yes", lasts="", mode="drop", reason="")
    assert Pause.objects.filter(until=None, mode="drop").count() == 60


def test_pausing_from_the_list_takes_the_permission_to_pause(staff: Callable[..., Client]) -> None:
    rule = create_rule(model=Order, slug="one", actions=[LOG])
    client = staff("rules_engine.view_rule", "rules_engine.change_rule")
    act(client, "pause", rule, post="yes", lasts="", mode="hold", reason="")
    assert not Pause.objects.exists()


def test_audit_entries_are_found_by_object_actor_and_field(admin_client: Client, root: Any) -> None:
    create_rule(model=Order, slug="trail", operations=["update"], actions=[("write_audit_entry", {})])
    order = Order.objects.create(order_number="A-1")
    order.status = "paid"
    order.save()
    run_due()
    audit = reverse("admin:rules_engine_auditentry_changelist")
    for search, found in (("status", 1), (str(order.pk), 1), ("shop.order", 1), ("trail", 1), ("customer_name", 0)):
        assert admin_client.get(audit, {"q": search}).context_data["cl"].result_count == found  # type: ignore[attr-defined]


def test_the_last_page_of_a_long_list_is_the_rest_of_it(admin_client: Client) -> None:
    create_rule(model=Order, slug="many", actions=[LOG])
    for number in range(52):
        Order.objects.create(order_number=f"{number:03}")
    executions = reverse("admin:rules_engine_execution_changelist")
    shown = [admin_client.get(executions, {"p": page}).context_data["cl"].result_list for page in (1, 2)]  # type: ignore[attr-defined]
    newest_first = [str(number) for number in Order.objects.order_by("-pk").values_list("pk", flat=True)]
    assert [one.event.object_pk for page in shown for one in page] == newest_first
    assert [len(page) for page in shown] == [50, 2]


def test_executions_are_filtered_by_rules_that_acted_lately(admin_client: Client) -> None:
    Rule.objects.bulk_create(Rule(slug=f"idle-{number}", name=f"Idle {number}") for number in range(30))
    create_rule(model=Order, slug="busy", name="Busy", actions=[LOG])
    Order.objects.create(order_number="1")
    Execution.objects.create(event=Execution.objects.get().event, rule_slug="gone", rule_version=1, kind="log_message")
    executions = reverse("admin:rules_engine_execution_changelist")

    def offered(**asked: str) -> set[str]:
        filters = admin_client.get(executions, asked).context_data["cl"].filter_specs  # type: ignore[attr-defined]
        return {name for slug, name in filters[1].lookup_choices if slug != ":by-hand"}

    assert offered() == {"Busy"}
    assert offered(rule_slug="idle-7") == {"Busy", "Idle 7"}
    assert offered(rule_slug="gone") == {"Busy", "gone"}
    Rule.objects.filter(slug__endswith="0").delete()
    Rule.objects.filter(slug__startswith="idle-2").delete()
    assert len(offered()) == Rule.objects.count() < 21


def test_executions_are_found_by_a_rule_s_name_also_of_one_that_is_gone(admin_client: Client) -> None:
    rule = create_rule(model=Order, slug="mails", name="Tell the warehouse", actions=[LOG])
    order = Order.objects.create(order_number="1")
    execution = Execution.objects.get()
    executions = reverse("admin:rules_engine_execution_changelist")

    def found(search: str) -> int:
        return int(admin_client.get(executions, {"q": search}).context_data["cl"].result_count)  # type: ignore[attr-defined]

    for search in ("WAREHOUSE", '"the warehouse"', f"mail {order.pk}", str(execution.pk), str(execution.event_id)):
        assert found(search) == 1, search
    assert [found(search) for search in ("retail", '"warehouse the"', f"mail {order.pk}1")] == [0, 0, 0]
    rule.delete()
    assert [found("mail"), found("warehouse")] == [1, 0]


def test_a_search_that_finds_too_much_shows_the_newest_and_says_so(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST_FOUND", 3)
    create_rule(model=Order, slug="many", actions=[LOG])
    orders = [Order.objects.create(order_number=str(number)) for number in range(3)]
    executions = reverse("admin:rules_engine_execution_changelist")
    assert "More than" not in text_at(admin_client, executions, q="many")
    orders.append(Order.objects.create(order_number="4"))
    response = admin_client.get(executions, {"q": "many"})
    assert "More than 3 were found" in unescape(response.content.decode())
    shown = [one.event.object_pk for one in response.context_data["cl"].result_list]  # type: ignore[attr-defined]
    assert shown == [str(order.pk) for order in reversed(orders[1:])]
