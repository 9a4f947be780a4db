"""A rule's form that is posted half-filled, with odd words, in windows of its own or twice: names are made, and nothing
ends in an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from rules_engine.admin.rules.forms import LONGEST_MADE_NAME, LONGEST_NAME
from rules_engine.models import Rule, RuleAction
from rules_engine.models.rule import LONGEST_SLUG
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import ADD, WRITERS, change_url, post_data, posted_by_the_page

pytestmark = pytest.mark.django_db(transaction=True)
LOG = {"kind": "log_message", "config": '{"message": "x"}'}


def post(client: Client, *actions: dict[str, Any], **fields: Any) -> Any:
    return client.post(reverse(ADD), post_data(actions, **fields))


def errors(response: Any) -> str:
    """All that a form says is wrong, of the rule and of its rows."""
    form = response.context["adminform"].form
    rows = response.context["inline_admin_formsets"][0].formset
    return " ".join([str(form.errors), str(rows.errors), str(rows.non_form_errors())])


def made(response: Any) -> Rule:
    assert response.status_code == 302, errors(response)
    return Rule.objects.latest("pk")


# Names


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("New order", "new-order"),
        ("  Spaces   within  ", "spaces-within"),
        ("Größe ändern", "groe-andern"),
        ("اختبار", "rule"),
        ("\u202eright to left\u202c", "right-to-left"),
        ("<script>alert(1)</script>", "scriptalert1script"),
        ("日本語", "rule"),
        ("--", "rule"),
        ("A & B / C", "a-b-c"),
    ],
)
def test_a_slug_is_made_of_any_name(admin_client: Client, name: str, slug: str) -> None:
    rule = made(post(admin_client, name=name, slug=""))
    assert (rule.name, rule.slug) == (name.strip(), slug)
    again = made(post(admin_client, name=name, slug=""))
    assert again.slug != slug
    assert again.slug.startswith(slug)
    assert admin_client.get(change_url(rule)).status_code == 200


def test_a_name_is_made_of_what_sets_the_rule_off(admin_client: Client) -> None:
    rule = made(post(admin_client, LOG, name="", slug=""))
    assert "order" in rule.name.lower()
    assert len(rule.name) <= LONGEST_MADE_NAME
    other = made(post(admin_client, LOG, name="", slug=""))
    assert (other.name, other.slug != rule.slug) == (rule.name, True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "x" * (LONGEST_NAME + 1)}, f"at most {LONGEST_NAME} characters"),
        ({"slug": "x" * (LONGEST_SLUG + 1)}, f"at most {LONGEST_SLUG} characters"),
        ({"slug": "no slug"}, "Enter a valid “slug”"),
        ({"slug": "ümlaut"}, "Enter a valid “slug”"),
        ({"position": "first"}, "Enter a whole number."),
        ({"position": "9" * 30}, "Ensure this value is less than or equal to"),
        ({"sample_percent": "0"}, "greater than or equal to 1"),
        ({"sample_percent": "101"}, "less than or equal to 100"),
        ({"sample_percent": "half"}, "Enter a whole number."),
        ({"throttle_count": "-1"}, "greater than or equal to"),
        ({"active_from_0": "soon", "active_from_1": ""}, "Enter a valid date"),
        ({"active_from_0": "2031-02-30", "active_from_1": "10:00"}, "Enter a valid date"),
        ({"active_from_0": "2031-05-06", "active_from_1": "25:00"}, "Enter a valid time"),
        ({"description": "\x00"}, "Null characters are not allowed."),
        ({"name": "a\x00b"}, "Null characters are not allowed."),
        ({"model": "shop.gone"}, "shop.gone"),
    ],
    ids=str,
)
def test_what_cannot_be_is_said_and_what_was_typed_stands_there(
    admin_client: Client, fields: dict[str, Any], said: str
) -> None:
    response = post(admin_client, LOG, **{"description": "Typed by hand", **fields})
    assert response.status_code == 200
    assert said in errors(response).replace("&quot;", '"')
    assert "description" in fields or "Typed by hand" in response.content.decode()
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": ""}, "This field is required."),
        ({"kind": "no_kind"}, "no_kind is not one of the available choices"),
        ({"config": ""}, "message"),
        ({"config": "{"}, "line 1"),
        ({"config": "[]"}, "Expected"),
        ({"config": '{"mesage": "x"}'}, "Did you mean"),
        ({"config": '{"message": "{{ instance.totl }}"}'}, "Did you mean"),
        ({"position": "-1"}, "greater than or equal to 0"),
        ({"timing": "sometimes"}, "sometimes is not one of the available choices"),
        ({"on_failure": "cry"}, "cry is not one of the available choices"),
        ({"at": "25:00"}, "25:00"),
        ({"at": "18:00", "zone": "Europe/Berlim"}, "Europe/Berlim"),
        ({"for_each": "instance.itms"}, "Did you mean"),
        ({"id": "7"}, "Select a valid choice."),
    ],
    ids=str,
)
def test_what_an_action_cannot_be_is_said_in_its_row(admin_client: Client, row: dict[str, Any], said: str) -> None:
    response = post(admin_client, {**LOG, **row})
    assert response.status_code == 200
    assert said in errors(response).replace("&quot;", '"')
    assert not Rule.objects.exists()


@pytest.mark.parametrize("left_out", ["actions-TOTAL_FORMS", "actions-INITIAL_FORMS"])
def test_a_form_that_lost_its_rows_on_the_way_is_refused(admin_client: Client, left_out: str) -> None:
    data = post_data([LOG])
    del data[left_out]
    response = admin_client.post(reverse(ADD), data)
    assert response.status_code == 200
    assert "ManagementForm data is missing or has been tampered with." in errors(response)
    assert not Rule.objects.exists()


@pytest.mark.parametrize("data", [{}, {"name": "x"}, {"csrfmiddlewaretoken": "x"}])
def test_a_form_of_which_nearly_nothing_came_is_refused(admin_client: Client, data: dict[str, str]) -> None:
    response = admin_client.post(reverse(ADD), data)
    assert response.status_code == 200
    assert not Rule.objects.exists()


# Buttons, windows, and pages that are left open


@pytest.mark.parametrize(
    ("button", "leads_to"),
    [("_save", "change"), ("_continue", "change"), ("_addanother", "add"), ("_test", "test")],
)
def test_each_button_leads_on(admin_client: Client, button: str, leads_to: str) -> None:
    response = post(admin_client, LOG, **{button: "1"})
    rule = made(response)
    args = [rule.pk] if leads_to in ("change", "test") else []
    assert response["Location"].partition("?")[0] == reverse(f"admin:rules_engine_rule_{leads_to}", args=args)


def test_a_window_of_its_own_is_closed_with_what_was_made(admin_client: Client) -> None:
    assert "_popup" in admin_client.get(reverse(ADD), {"_popup": "1"}).content.decode()
    response = post(admin_client, LOG, _popup="1")
    assert response.status_code == 200
    assert response.templates[0].name == "admin/popup_response.html"
    assert str(Rule.objects.get().pk) in response.content.decode()


def test_a_page_that_was_saved_twice_makes_one_rule(admin_client: Client) -> None:
    made(post(admin_client, LOG))
    response = post(admin_client, LOG)
    assert response.status_code == 200
    assert "already exists" in errors(response)
    assert Rule.objects.count() == RuleAction.objects.count() == 1


def test_a_page_of_a_rule_that_is_gone_leads_back(admin_client: Client) -> None:
    rule = create_rule("shop.order", actions=[("log_message", {"message": "x"})])
    page = admin_client.get(change_url(rule)).content.decode()
    address = change_url(rule)
    rule.delete()
    response = admin_client.post(address, posted_by_the_page(page), follow=True)
    assert response.status_code == 200
    assert "Perhaps it was deleted?" in response.content.decode()
    assert not Rule.objects.exists()


def test_an_action_that_another_removed_meanwhile_is_said_to_be_gone(admin_client: Client) -> None:
    rule = create_rule("shop.order", actions=[("log_message", {"message": "x"})] * 2)
    page = admin_client.get(change_url(rule)).content.decode()
    rule.actions.order_by("position").last().delete()
    response = admin_client.post(change_url(rule), posted_by_the_page(page))
    assert response.status_code == 200
    assert "This rule was changed after you opened this page" in errors(response)
    assert rule.actions.count() == 1


@pytest.mark.parametrize(
    "rights", [(), ("rules_engine.view_rule",), ("rules_engine.view_rule", "rules_engine.change_rule")]
)
def test_whoever_may_not_add_a_rule_posts_none(staff: Callable[..., Client], rights: tuple[str, ...]) -> None:
    assert post(staff(*rights), LOG).status_code == 403
    assert not Rule.objects.exists()


def test_a_rule_is_switched_on_by_those_alone_who_may(staff: Callable[..., Client]) -> None:
    rights = [right for right in WRITERS if right != "rules_engine.enable_rule"]
    client = staff(*rights, "shop.view_order")
    response = post(client, LOG)
    assert not made(response).enabled
