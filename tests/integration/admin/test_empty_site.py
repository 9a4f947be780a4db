"""A site on which nothing has happened yet, or whose rows are gone: each page says so, to whoever may open it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import translation

from rules_engine.models import Execution, Rule
from rules_engine.testing import create_rule, run_due
from tests.admin_pages import APPS
from tests.factories import make_order
from tests.integration.admin.conftest import client_of, make_user

pytestmark = pytest.mark.django_db
LISTS = (
    "event",
    "execution",
    "auditentry",
    "heldmatch",
    "rule",
    "ruleversion",
    "pause",
    "recording",
    "run",
    "activity",
)
PAGES = ("overview", "rule_why", "rules_flow", "rule_templates")


def address(name: str, *args: Any) -> str:
    return reverse(f"admin:rules_engine_{name}", args=args)


def lists() -> list[str]:
    return [address(f"{name}_changelist") for name in LISTS]


def viewer() -> Client:
    views = Permission.objects.filter(content_type__app_label__in=APPS, codename__startswith="view_")
    return client_of(make_user(*(f"{one.content_type.app_label}.{one.codename}" for one in views)))


@pytest.mark.parametrize("who", ["root", "viewer"])
def test_every_list_of_nothing_is_shown(admin_client: Client, who: str) -> None:
    client = admin_client if who == "root" else viewer()
    for page in lists():
        answer = client.get(page)
        assert (page, answer.status_code) == (page, 200)
        assert "Traceback" not in answer.content.decode()


@pytest.mark.parametrize("asked", [{"q": "x", "o": "1.-2"}, {"p": "7", "_facets": "True"}])
def test_a_list_of_nothing_is_searched_sorted_and_turned_over(admin_client: Client, asked: dict[str, str]) -> None:
    for page in lists():
        answer = admin_client.get(page, asked, follow=True)
        assert (page, asked, answer.status_code) == (page, asked, 200)


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_nothing_is_shown(admin_client: Client, name: str, language: str) -> None:
    with translation.override(language):
        answer = admin_client.get(address(name))
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.content.decode()


@pytest.mark.parametrize(
    "name",
    ["rule_change", "rule_test", "rule_history", "rule_python", "rule_backtest", "rule_times", "rule_run", "rule_flow",
     "rule_tests", "rule_versions", "rule_switch", "rule_promote", "rule_shadow", "rule_delete", "event_change",
     "execution_change"],
)  # fmt: skip
@pytest.mark.parametrize("key", ["7", "9" * 30])
def test_a_page_of_what_is_not_there_leads_back_or_is_not_found(admin_client: Client, name: str, key: str) -> None:
    answer = admin_client.get(address(name, key))
    assert answer.status_code in (302, 404, 405)
    if answer.status_code == 302:
        assert answer["Location"].startswith(reverse("admin:index"))


@pytest.mark.parametrize("action", ["delete_selected", "enable", "disable", "label", "", "no_action"])
def test_an_action_on_nothing_says_so(admin_client: Client, action: str) -> None:
    create_rule("shop.order", slug="there", actions=[("log_message", {"message": "x"})])
    for chosen in ([], ["7"]):
        data = {"action": action, "_selected_action": chosen, "index": "0"}
        assert admin_client.post(address("rule_changelist"), data, follow=True).status_code == 200
    assert Rule.objects.get().enabled


def test_what_is_left_of_a_rule_that_is_gone_is_shown(admin_client: Client) -> None:
    rule = create_rule("shop.order", slug="gone", actions=[("log_message", {"message": "x"})])
    make_order()
    run_due()
    execution = Execution.objects.get()
    rule.delete()
    for page in (
        address("execution_change", execution.pk),
        address("event_change", execution.event_id),
        *lists(),
        *(address(name) for name in PAGES),
    ):
        assert (page, admin_client.get(page).status_code) == (page, 200)
    assert "gone" in admin_client.get(address("execution_change", execution.pk)).content.decode()


def test_of_a_site_that_one_may_not_look_into_nothing_is_shown(staff: Callable[..., Client]) -> None:
    client = staff()
    for page in [*lists(), *(address(name) for name in PAGES if name != "rule_why")]:
        assert (page, client.get(page).status_code) == (page, 403)
