"""Cascades as people see them: on a rule's page, on an event's, on an execution's, in check and in rulepack."""

from __future__ import annotations

import io
import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from project.shop.models import Category, Order, OrderItem, Tag
from rules_engine.admin.records.chain import SHOWN
from rules_engine.models import Event, Execution, Rule
from rules_engine.testing import create_rule, run_due
from tests.integration.admin.conftest import change_url, client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)

HOSTILE = "<script>alert(1)</script>"
RECALCULATE = ("update_objects", {"target": "order", "values": [{"field": "total", "value": "5"}]})
TOUCH = ("update_objects", {"target": "items"})
LOG = ("log_message", {"message": "x"})


def create(model: str) -> tuple[str, dict[str, Any]]:
    return "create_object", {"model": model, "values": [{"field": "name", "value": "{{ event.id }}"}]}


def text_of(client: Client, address: str) -> str:
    response = client.get(address)
    assert response.status_code == 200
    return unescape(response.content.decode())


def event_url(event: Event) -> str:
    return reverse("admin:rules_engine_event_change", args=[event.pk])


def execution_url(execution: Execution) -> str:
    return reverse("admin:rules_engine_execution_change", args=[execution.pk])


def section_of(page: str) -> str:
    return page.split('class="rules-cascades"', 1)[1].split("</details>", 1)[0]


def tree_of(page: str) -> str:
    return page.split('<ul class="rules-chain">', 1)[1].split("</ul>", 1)[0]


def test_a_rule_says_what_it_sets_off_and_what_sets_it_off(admin_client: Client) -> None:
    items = create_rule(OrderItem, slug="items", name="Totals", actions=[RECALCULATE])
    orders = create_rule(Order, slug="orders", name="Watch orders", actions=[LOG])
    section = section_of(text_of(admin_client, change_url(items)))
    assert "Sets off" in section
    assert f'<a href="{change_url(orders)}">Watch orders</a> – saves Order (total)' in section
    assert "Set off by" not in section
    section = section_of(text_of(admin_client, change_url(orders)))
    assert "Set off by" in section
    assert f'<a href="{change_url(items)}">Totals</a> – saves Order (total)' in section
    assert "In a loop" not in section
    assert "conditions, values and the site's own code are not looked at" in section


def test_a_loop_is_shown_on_the_pages_of_its_rules(admin_client: Client) -> None:
    items = create_rule(OrderItem, slug="items", name="Totals", actions=[RECALCULATE])
    orders = create_rule(Order, slug="orders", name="Touch items", actions=[TOUCH])
    for rule, other in ((items, orders), (orders, items)):
        loop = section_of(text_of(admin_client, change_url(rule))).split("In a loop with", 1)[1].split("<h3>")[0]
        assert f'<a href="{change_url(other)}">{other.name}</a>' in loop
        assert change_url(rule) not in loop


def test_rules_that_are_off_are_left_out_and_the_page_of_one_is_not(admin_client: Client) -> None:
    items = create_rule(OrderItem, slug="items", actions=[RECALCULATE], enabled=False)
    orders = create_rule(Order, slug="orders", name="Watch orders", actions=[LOG])
    assert "Watch orders" in section_of(text_of(admin_client, change_url(items)))
    assert 'class="rules-cascades"' not in text_of(admin_client, change_url(orders))


def test_a_rule_that_hears_itself_and_one_that_may_do_anything_say_so(admin_client: Client, settings: Any) -> None:
    settings.RULES_ENGINE = {"TASKS": {"shop.sync": "Sync"}}
    own = create_rule(Category, slug="own", actions=[create("shop.category")])
    task = create_rule(Tag, slug="task", actions=[("run_task", {"task": "shop.sync"})])
    assert "does not set off itself" in section_of(text_of(admin_client, change_url(own)))
    assert "may do anything" in section_of(text_of(admin_client, change_url(task)))


def test_many_rules_are_a_number_and_their_names_are_escaped(admin_client: Client) -> None:
    items = create_rule(OrderItem, slug="items", actions=[RECALCULATE])
    for n in range(23):
        create_rule(Order, slug=f"o{n:02}", name=f"{HOSTILE} {n}", actions=[LOG])
    with CaptureQueriesContext(connection) as queries:
        page = admin_client.get(change_url(items)).content.decode()
    assert HOSTILE not in page
    assert "and 3 more rules" in page
    assert len(queries) < 40
    with CaptureQueriesContext(connection) as again:
        assert admin_client.get(change_url(items)).content.decode().count("and 3 more rules") == 1
    # Of the form, what stands beside it and what pauses it; the rules themselves are not read again.
    assert sum("rules_engine_" in one["sql"] for one in again) <= 14, "what did not change is not analysed again"


def test_what_a_page_says_of_other_rules_follows_every_change_of_them(admin_client: Client) -> None:
    items = create_rule(OrderItem, slug="items", actions=[RECALCULATE])
    orders = create_rule(Order, slug="orders", name="Watch orders", actions=[LOG])

    def said(rule: Rule) -> str:
        page = text_of(admin_client, change_url(rule))
        return section_of(page) if "rules-cascades" in page else ""

    assert "Watch orders" in said(items)
    Rule.objects.filter(slug="orders").update(enabled=False)
    assert "Watch orders" not in said(items)
    assert "Set off by" in said(orders), "one that is off says what it would be"
    Rule.objects.filter(slug="orders").update(enabled=True, name="Orders, watched")
    assert "Orders, watched" in said(items)
    items.actions.update(config={**RECALCULATE[1], "target": "product"})
    assert "Orders, watched" not in said(items)


def chain() -> list[Event]:
    """A category made a tag, the tag a category; that one is the end."""
    create_rule(Category, slug="ping", actions=[create("shop.tag"), LOG], condition={"==": [{"var": "event.depth"}, 0]})
    create_rule(Tag, slug="pong", actions=[create("shop.category")])
    create_rule(Category, slug="last", actions=[LOG], condition={">": [{"var": "event.depth"}, 0]})
    Category.objects.create(name="first")
    run_due()
    events = list(Event.objects.order_by("depth"))
    assert len(events) == 3
    return events


def test_an_event_shows_its_chain(admin_client: Client) -> None:
    events = chain()
    tree = tree_of(text_of(admin_client, event_url(events[1])))
    levels = [part.split('"', 1)[0] for part in tree.split('<li class="rules-level-')[1:]]
    # event, execution, event, execution, event
    assert levels == ["0", "0", "1", "1", "2"]
    assert tree.index(event_url(events[0])) < tree.index("ping: create_object (succeeded)") < tree.index("<strong>")
    assert tree.index("<strong>") < tree.index("pong: create_object (succeeded)") < tree.index(event_url(events[2]))
    assert "log_message" not in tree, "what led to nothing is on its event's own page"
    assert f"<strong>{events[1]}</strong>" in tree


def test_an_event_that_stands_alone_has_no_chain(admin_client: Client) -> None:
    create_rule(Category, slug="one", actions=[LOG])
    Category.objects.create(name="first")
    assert 'class="rules-chain"' not in text_of(admin_client, event_url(Event.objects.get()))


def test_an_execution_links_to_the_events_it_led_to(admin_client: Client) -> None:
    events = chain()
    cause = Execution.objects.get(pk=events[1].cause_id)
    page = text_of(admin_client, execution_url(cause))
    assert f'<a href="{event_url(events[1])}">{events[1]}</a>' in page
    assert event_url(events[2]) not in page
    assert 'class="rules-chain"' not in text_of(admin_client, execution_url(Execution.objects.get(rule_slug="last")))


def test_the_reason_why_a_chain_was_stopped_stands_in_it(admin_client: Client, settings: Any) -> None:
    settings.RULES_ENGINE = {"MAX_DEPTH": 2}
    create_rule(Category, slug="ping", actions=[create("shop.tag")])
    pong = create_rule(Tag, slug="pong", actions=[create("shop.category")])
    Category.objects.create(name="first")
    run_due()
    first = Event.objects.get(depth=0)
    tree = tree_of(text_of(admin_client, event_url(first)))
    assert "Rules set off rules 3 levels deep; RULES_ENGINE['MAX_DEPTH'] is 2." in tree.rsplit("<li", 1)[1]
    assert "RULES_ENGINE['MAX_DEPTH'] is 2." in text_of(admin_client, change_url(pong))


def test_a_chain_whose_beginning_is_gone_is_shown_from_where_it_is_known(admin_client: Client) -> None:
    events = chain()
    Execution.objects.filter(event=events[0]).delete()
    events[0].delete()
    tree = tree_of(text_of(admin_client, event_url(events[2])))
    assert event_url(events[1]) in tree
    assert f"<strong>{events[2]}</strong>" in tree


def test_a_long_chain_is_cut_with_a_count_and_costs_no_query_a_row(admin_client: Client) -> None:
    events = chain()
    with CaptureQueriesContext(connection) as short:
        admin_client.get(event_url(events[2]))
    cause = Execution.objects.get(rule_slug="ping", kind="create_object")
    base = {"signal": "post_save", "occurred_at": events[0].occurred_at, "root_id": events[0].pk}
    Event.objects.bulk_create([Event(**base, depth=1, cause_id=cause.pk) for _ in range(300)])
    with CaptureQueriesContext(connection) as long:
        page = text_of(admin_client, event_url(events[2]))
    assert "and 102 more events" in page
    assert f"<strong>{events[2]}</strong>" in page, "the event itself is shown, with what led to it"
    assert tree_of(page).count("<li") == SHOWN + 1 + 2
    # The count, and one for each level above an event that is not among the first.
    assert len(long) <= len(short) + 5


def test_the_chain_shows_no_data_to_those_who_may_not_see_the_objects() -> None:
    events = chain()
    viewer = client_of(make_user("rules_engine.view_event"))
    page = text_of(viewer, event_url(events[1]))
    assert "pong: create_object" in page
    assert "You may not view objects of this model" in page


def warnings() -> list[str]:
    return [one.msg for one in run_checks(include_deployment_checks=True) if one.id == "rules_engine.W008"]


def test_check_deploy_warns_of_loops_among_the_rules_that_are_on() -> None:
    create_rule(OrderItem, slug="items", actions=[RECALCULATE])
    create_rule(Order, slug="orders", actions=[TOUCH])
    [message] = warnings()
    assert "items, orders" in message
    assert "items (update shop.order total) → orders" in message
    assert "rules_engine.W008" not in {one.id for one in run_checks()}
    Rule.objects.filter(slug="orders").update(enabled=False)
    assert warnings() == []


def test_rulepack_check_remarks_on_loops_without_finding_fault(tmp_path: Path) -> None:
    objects = []
    for slug, model, (kind, config) in (("items", "shop.orderitem", RECALCULATE), ("orders", "shop.order", TOUCH)):
        fields = {"slug": slug, "name": slug, "model": model, "signals": ["post_save"]}
        objects.append({"model": "rules_engine.rule", "fields": fields})
        action = {"rule": [slug], "position": 0, "kind": kind, "config": config}
        objects.append({"model": "rules_engine.ruleaction", "fields": action})
    path = tmp_path / "pack.json"
    path.write_text(json.dumps(objects))
    out = io.StringIO()
    call_command("rulepack", "check", str(path), stdout=out)
    assert "remark: Rules that can set off each other in a loop: items, orders" in out.getvalue()
    assert "no problems" in out.getvalue()
    out = io.StringIO()
    call_command("rulepack", "check", "clinic", stdout=out)
    assert "remark:" not in out.getvalue()
