"""The folded sections of the rule form: open where they hold something, errors at their fields, nothing lost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Rule, RuleAction, RuleVersion
from rules_engine.testing import create_rule, refresh
from tests.integration.admin.conftest import ADD, change_url, make_user, post_data, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
MORE = "Advanced"
REST = "More: place, when it acts, repetition, delay, failure"
UPSIDE_DOWN = {
    "active_from_0": "2026-02-01",
    "active_from_1": "10:00",
    "active_until_0": "2026-01-01",
    "active_until_1": "10:00",
}


def folded(page: str) -> list[str]:
    """The headings of the sections that are folded away, in order; that of the row to be added left out."""
    main = re.sub(r'id="actions-empty".*?</h3>.*?</details>', "", unescape(page), flags=re.DOTALL)
    return [
        one.strip()
        for one in re.findall(r"<details[^>]*(?<! open)>\s*<summary>\s*<h\d[^>]*>(.*?)</h\d>", main, re.DOTALL)
    ]


def test_a_new_rule_shows_the_basics_and_folds_the_rest(admin_client: Client) -> None:
    page = admin_client.get(reverse(ADD)).content.decode()
    assert folded(page) == [REST, MORE]
    assert "the rule acts each time that it matches" in unescape(page)


@pytest.mark.parametrize(
    "fields",
    [
        {"sample_percent": 50},
        {"active_until": datetime(2027, 1, 1, tzinfo=UTC)},
        {"position": 3},
        {"stop_processing": True},
        {"raw": True},
        {"shadow": True},
    ],
)
def test_a_section_that_holds_a_setting_is_open(admin_client: Client, fields: dict[str, Any]) -> None:
    rule = create_rule(Order, actions=[LOG], **fields)
    assert folded(admin_client.get(change_url(rule)).content.decode()) == [REST]


@pytest.mark.parametrize(
    "fields",
    [{"delay": 5}, {"on_failure": "stop"}, {"for_each": "instance.items"}, {"at": "18:00"}, {"asks_again": True}],
)
def test_each_action_opens_its_own_section(admin_client: Client, fields: dict[str, Any]) -> None:
    rule = create_rule(Order, actions=[LOG, LOG])
    rule.actions.filter(position=1).update(**fields)
    page = unescape(admin_client.get(change_url(rule)).content.decode())
    first, second = page.split('id="actions-1"')
    assert folded(first)[-1] == REST
    assert REST not in folded(second)


def test_a_timing_that_is_usual_for_the_kind_opens_nothing(admin_client: Client) -> None:
    config = {"fields": [{"field": "order_number", "value": "x"}]}
    rule = create_rule(Order, ["pre_save"], actions=[("set_fields", config)])
    assert rule.actions.get().timing == "before_save"
    assert REST in folded(admin_client.get(change_url(rule)).content.decode())


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"throttle_count": "5"}, "throttle_seconds", "takes both"),
        ({"throttle_by": "{{ instance.totl }}"}, "throttle_by", 'Did you mean "total"?'),
        ({"debounce": "on"}, "debounce", "how many seconds"),
        ({"sample_percent": "101"}, "sample_percent", "100"),
        (UPSIDE_DOWN, "active_until", "not after"),
        ({"position": "first"}, "position", "whole number"),
    ],
)
def test_an_error_is_at_its_field_and_its_section_is_open(
    admin_client: Client, fields: dict[str, Any], field: str, words: str
) -> None:
    response: Any = admin_client.post(reverse(ADD), post_data(**fields))
    assert response.status_code == 200
    assert words in " ".join(response.context_data["adminform"].form.errors[field])
    drawn = [part.split("</details>")[0] for part in response.content.decode().split("<details")[1:]]
    assert not [part for part in drawn if f"id_{field}" in part and " open" not in part.split(">")[0]]
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"delay": "-1"}, "delay", "from 0 up"),
        ({"for_each": "instance.itms"}, "for_each", 'Did you mean "items"?'),
        ({"for_each": "instance.customer"}, "for_each", "no list"),
        ({"for_each": '{"var": '}, "for_each", "line 1"),
        ({"at": "6pm"}, "at", "such as 18:00"),
        ({"zone": "Europe/Berlin"}, "zone", "which time of day"),
        ({"at": "18:00", "zone": "Berlin"}, "zone", "such as Europe/Berlin"),
        ({"timing": "before_save"}, "timing", "not before_save"),
    ],
)
def test_an_actions_error_is_at_its_field_and_its_section_is_open(
    admin_client: Client, fields: dict[str, Any], field: str, words: str
) -> None:
    row = {"kind": "log_message", "config": '{"message": "x"}', **fields}
    response: Any = admin_client.post(reverse(ADD), post_data([row]))
    assert response.status_code == 200
    formset = response.context_data["inline_admin_formsets"][0].formset
    assert words in " ".join(formset.errors[0][field])
    assert REST not in folded(response.content.decode())


def test_opening_and_saving_a_rule_that_holds_back_changes_nothing(admin_client: Client) -> None:
    rule = create_rule(
        Order,
        description="Two\nlines, and a space at the end ",
        actions=[LOG, LOG],
        author=make_user(name="somebody"),
        active_from=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        throttle_count=5,
        throttle_seconds=3600,
        throttle_by="{{ instance.customer_id }}\n{{ instance.status }} ",
        coalesce_seconds=0,
        coalesce_by=" {{ instance.status }}",
        sample_percent=50,
        raw=True,
        once=True,
    )
    rule.actions.filter(position=0).update(delay=60, on_failure="stop", for_each="instance.items", asks_again=True)
    rule.actions.filter(position=1).update(
        at="18:00",
        zone="Asia/Tokyo",
        for_each={"filter": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 1.0]}]},
    )
    refresh()
    before = dump()
    page = admin_client.get(change_url(rule)).content.decode()
    response: Any = admin_client.post(change_url(rule), posted_by_the_page(page))
    assert response.status_code == 302, response.context_data["errors"]
    refresh()
    assert dump() == before


def dump() -> str:
    tables = [list(model.objects.order_by("pk").values()) for model in (Rule, RuleAction, RuleVersion)]
    return json.dumps(tables, default=str)


def test_whoever_may_only_view_sees_what_is_set(staff: Callable[..., Client]) -> None:
    rule = create_rule(Order, actions=[LOG], throttle_count=7, throttle_seconds=60)
    rule.actions.update(for_each="instance.items", delay=42, at="18:30", zone="Asia/Tokyo", asks_again=True)
    page = staff("rules_engine.view_rule").get(change_url(rule)).content.decode()
    assert folded(page) == [MORE]
    for shown in ("instance.items", "42 seconds", "At most 7 times a minute", "18:30", "Asia/Tokyo"):
        assert f">{shown}<" in page
    assert "For each of the order items log" in page
    assert 'name="throttle_count"' not in page


def test_a_copy_keeps_how_its_actions_repeat_and_fail(admin_client: Client) -> None:
    rule = create_rule(Order, actions=[LOG], slug="first", once=True)
    rule.actions.update(for_each="instance.items", delay=42, on_failure="stop", at="18:30", asks_again=True)
    chosen = {"action": "duplicate", "_selected_action": [str(rule.pk)]}
    admin_client.post(reverse("admin:rules_engine_rule_changelist"), chosen)
    copy = Rule.objects.get(slug="first-copy")
    action = copy.actions.get()
    assert (copy.once, action.for_each, action.delay, action.on_failure) == (True, "instance.items", 42, "stop")
    assert (action.at, action.zone, action.asks_again) == ("18:30", "", True)


def test_an_action_that_acts_later_is_made_by_the_form(admin_client: Client) -> None:
    later = {"delay": "2", "delay_unit": "hours", "at": "18:00", "zone": "Europe/Berlin", "asks_again": "on"}
    row = {"kind": "log_message", "config": '{"message": "x"}', **later}
    assert admin_client.post(reverse(ADD), post_data([row])).status_code == 302
    action = RuleAction.objects.get()
    assert (action.delay, action.at, action.zone, action.asks_again) == (7_200, "18:00", "Europe/Berlin", True)
