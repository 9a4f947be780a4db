"""How often a rule acts, as the form asks for it: units, values by their names, and what was stored stays."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Rule
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import ADD, WRITERS, change_url, post_data, posted_by_the_page
from tests.integration.admin.test_sections import dump

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
EACH = "{{ instance.customer_id }}"


def shown(page: str, name: str) -> tuple[str, str]:
    """What stands in a limit's input, and what is chosen in the select beside it."""
    data = posted_by_the_page(page)
    other = next(key for key in data if key in (f"{name}_unit", f"{name}_choice"))
    return data[name][0] if data[name] else "", data[other][0]


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"throttle_count": 1, "throttle_seconds": 3600}, "throttle_seconds", ("1", "hours")),
        ({"throttle_count": 1, "throttle_seconds": 90}, "throttle_seconds", ("90", "seconds")),
        ({"coalesce_seconds": 86_400}, "coalesce_seconds", ("1", "days")),
        ({"coalesce_seconds": 0}, "coalesce_seconds", ("", "transaction")),
        ({}, "throttle_seconds", ("1", "hours")),
        ({}, "coalesce_seconds", ("", "minutes")),
        ({}, "throttle_by", ("", "")),
        ({"throttle_count": 1, "throttle_seconds": 1, "throttle_by": EACH}, "throttle_by", ("", EACH)),
        ({"coalesce_seconds": 1, "coalesce_by": "all"}, "coalesce_by", ("", "all")),
        ({"coalesce_seconds": 1, "coalesce_by": "own"}, "coalesce_by", ("own", "own")),
        (
            {"throttle_count": 1, "throttle_seconds": 1, "throttle_by": "{{instance.customer_id}} "},
            "throttle_by",
            ("{{instance.customer_id}} ", "own"),
        ),
    ],
)
def test_a_stored_limit_opens_in_words_and_saving_changes_nothing(
    admin_client: Client, fields: dict[str, Any], name: str, expected: tuple[str, str]
) -> None:
    rule = create_rule(Order, actions=[LOG], **fields)
    before = dump()
    page = admin_client.get(change_url(rule)).content.decode()
    assert shown(page, name) == expected
    response: Any = admin_client.post(change_url(rule), posted_by_the_page(page))
    assert response.status_code == 302, response.context_data["errors"]
    assert dump() == before


def test_a_limit_is_made_of_choices_alone(admin_client: Client) -> None:
    limits = {
        "throttle_count": "1",
        "throttle_seconds": "1",
        "throttle_seconds_unit": "hours",
        "throttle_by": "",
        "throttle_by_choice": EACH,
        "coalesce_seconds": "2",
        "coalesce_seconds_unit": "days",
        "coalesce_by": "left over",
        "coalesce_by_choice": "all",
    }
    assert admin_client.post(reverse(ADD), post_data(**limits)).status_code == 302
    rule = Rule.objects.get()
    assert (rule.throttle_count, rule.throttle_seconds, rule.throttle_by) == (1, 3600, EACH)
    assert (rule.coalesce_seconds, rule.coalesce_by) == (172_800, "all")


def test_the_hour_that_is_suggested_is_no_limit_by_itself(admin_client: Client) -> None:
    suggested = {"throttle_seconds": "1", "throttle_seconds_unit": "hours"}
    assert admin_client.post(reverse(ADD), post_data(**suggested)).status_code == 302
    assert Rule.objects.get().throttle_seconds is None


def test_a_delay_is_given_in_units(admin_client: Client) -> None:
    row = {"kind": "log_message", "config": '{"message": "x"}', "delay": "3", "delay_unit": "hours"}
    admin_client.post(reverse(ADD), post_data([row]))
    rule = Rule.objects.get()
    assert rule.actions.get().delay == 10_800
    page = admin_client.get(change_url(rule)).content.decode()
    assert shown(page, "actions-0-delay") == ("3", "hours")


def offered(page: str, name: str) -> list[tuple[str, str]]:
    select = page.split(f'name="{name}_choice"', 1)[1].split("</select>", 1)[0]
    return [
        (unescape(value), unescape(text)) for value, text in re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)', select)
    ]


def test_the_values_of_the_model_are_offered_by_their_names(admin_client: Client) -> None:
    rule = create_rule(Order, actions=[LOG])
    choices = offered(admin_client.get(change_url(rule)).content.decode(), "throttle_by")
    assert choices[0] == ("", "– all together –")
    assert choices[1:3] == [(EACH, "Customer"), ("{{ instance.pk }}", "Order")]
    assert ("{{ instance.status }}", "Status") in choices
    assert choices[-2:] == [("{{ actor.id }}", "who made the change"), ("own", "own text …")]


def test_what_a_signal_sends_is_offered_where_there_is_no_model(admin_client: Client) -> None:
    rule = create_rule("", ["user_login_failed"], actions=[LOG])
    values = [value for value, _label in offered(admin_client.get(change_url(rule)).content.decode(), "throttle_by")]
    assert "{{ signal.credentials }}" in values
    assert "{{ instance.pk }}" not in values


def test_whoever_may_not_view_the_model_is_offered_none_of_its_fields(staff: Callable[..., Client]) -> None:
    rule = create_rule(Order, actions=[LOG], throttle_count=1, throttle_seconds=5, throttle_by=EACH, enabled=False)
    page = staff(*WRITERS).get(change_url(rule)).content.decode()
    assert [value for value, _label in offered(page, "throttle_by")] == ["", "own"]
    assert shown(page, "throttle_by") == (EACH, "own")


@pytest.mark.parametrize("text", ["customer", "instance.customer", "customer_id"])
def test_a_constant_for_each_is_refused_with_what_was_meant(admin_client: Client, text: str) -> None:
    limits = {"throttle_count": "1", "throttle_seconds": "60", "throttle_by": text, "throttle_by_choice": "own"}
    response: Any = admin_client.post(reverse(ADD), post_data(**limits))
    page = unescape(response.content.decode())
    assert f'Did you mean "{EACH}"?' in page
    assert shown(response.content.decode(), "throttle_by") == (text, "own")
    assert not Rule.objects.exists()


def test_a_rule_that_is_stored_with_a_constant_opens_and_saves(admin_client: Client) -> None:
    rule = create_rule(Order, actions=[LOG], throttle_count=1, throttle_seconds=60, throttle_by="customer")
    before = dump()
    data = posted_by_the_page(admin_client.get(change_url(rule)).content.decode())
    assert admin_client.post(change_url(rule), data).status_code == 302
    assert dump() == before
    assert admin_client.post(change_url(rule), {**data, "name": "Another"}).status_code == 302
    assert admin_client.post(change_url(rule), {**data, "throttle_by": "status"}).status_code == 200
    rule.refresh_from_db()
    assert (rule.name, rule.throttle_by) == ("Another", "customer")
    rule.full_clean()
    rule.throttle_by = "status"
    with pytest.raises(ValidationError, match="Did you mean"):
        rule.full_clean()


def test_the_check_warns_of_a_stored_constant(capsys: pytest.CaptureFixture[str]) -> None:
    create_rule(Order, slug="odd", actions=[LOG], throttle_count=1, throttle_seconds=60, throttle_by="customer")
    call_command("check", "rules_engine")
    told = capsys.readouterr().err
    assert "rules_engine.W019" in told
    assert f'Rule odd: /throttle_by: "customer" is the same for every match. Did you mean "{EACH}"?' in told


def test_the_units_and_names_are_told_in_german(german: Client) -> None:
    rule = create_rule(Order, actions=[LOG], throttle_count=1, throttle_seconds=3600)
    page = german.get(change_url(rule)).content.decode()
    assert ("", "– alle zusammen –") in offered(page, "throttle_by")
    assert '<option value="hours" selected>Stunden</option>' in page
