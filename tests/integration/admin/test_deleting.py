"""What takes a running rule away asks for what switching it off asks for."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import get_deleted_objects
from django.test import RequestFactory
from django.urls import reverse

from project.shop.models import Order
from rules_engine.models import Rule
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import change_url, client_of, make_user

pytestmark = pytest.mark.django_db(transaction=True)

DELETER = ("rules_engine.view_rule", "rules_engine.delete_rule")
ENABLE = "rules_engine.enable_rule"
LIST = "admin:rules_engine_rule_changelist"


def rules() -> tuple[Rule, Rule]:
    """Return one that is on and one that is off."""
    action = ("log_message", {"message": "x"})
    return create_rule(Order, slug="on", actions=[action]), create_rule(
        Order, slug="off", actions=[action], enabled=False
    )


def left() -> set[str]:
    return set(Rule.objects.values_list("slug", flat=True))


def delete_url(rule: Rule) -> str:
    return reverse("admin:rules_engine_rule_delete", args=[rule.pk])


def test_a_rule_that_is_on_is_deleted_by_who_may_switch_it_off() -> None:
    on, off = rules()
    client = client_of(make_user(*DELETER, name="deleter"))
    assert client.post(delete_url(on), {"post": "yes"}).status_code == 403
    assert delete_url(on) not in client.get(change_url(on)).content.decode()
    assert client.post(delete_url(off), {"post": "yes"}).status_code == 302
    assert left() == {"on"}
    client = client_of(make_user(*DELETER, ENABLE, name="both"))
    assert client.post(delete_url(on), {"post": "yes"}).status_code == 302
    assert left() == set()


@pytest.mark.parametrize("may_enable", [True, False])
@pytest.mark.parametrize("across", ["0", "1"])
def test_several_rules_are_deleted_by_who_may_switch_all_of_them_off(may_enable: bool, across: str) -> None:
    on, off = rules()
    client = client_of(make_user(*DELETER, *([ENABLE] if may_enable else [])))
    body = {"action": "delete_selected", "_selected_action": [on.pk, off.pk], "select_across": across, "post": "yes"}
    client.post(reverse(LIST), body)
    assert left() == (set() if may_enable else {"on", "off"})


def test_rules_that_are_off_are_deleted_together_without() -> None:
    _on, off = rules()
    client = client_of(make_user(*DELETER))
    client.post(reverse(LIST), {"action": "delete_selected", "_selected_action": [off.pk], "post": "yes"})
    assert left() == {"on"}


@pytest.mark.parametrize("may_enable", [True, False])
def test_whatever_deletes_a_running_rule_along_with_itself_is_told_so(may_enable: bool) -> None:
    on, _off = rules()
    request: Any = RequestFactory().get("/")
    request.user = make_user(*DELETER, *([ENABLE] if may_enable else []))
    # What the admin asks on the page of any object, of all that would go along with it.
    _shown, _counts, needed, _protected = get_deleted_objects([on], request, admin.site)
    assert bool(needed) is not may_enable


def test_the_author_of_a_running_rule_is_deleted_and_the_rule_stays() -> None:
    author = make_user(name="author")
    create_rule(Order, slug="theirs", actions=[("log_message", {"message": "x"})], author=author)
    permissions = ("accounts.view_user", "accounts.delete_user", "auth.view_group")
    client = client_of(make_user(*permissions))
    client.post(reverse("admin:accounts_user_delete", args=[author.pk]), {"post": "yes"})
    assert left() == {"theirs"}
