"""The admin of a shop with rules of its own shows, makes and changes those; home sees all, and changes its own."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from project.accounts.models import User
from rules_engine.models import Pause, Recording, Rule, RuleVersion
from rules_engine.testing import create_rule
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)
SETTING = {**shop_of.SETTING, "home": "public", "own_rules": True}
SHOPS = ("north", "south", None)


@pytest.fixture
def page(shops: list[str], settings: Any) -> Client:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": SETTING}
    for shop in SHOPS:
        with open_in(shop):
            slug = f"secret-of-{shop}"
            create_rule(Animal, slug=slug, name=slug, labels=[slug], actions=[("note_shop", {"text": slug})])
            Pause.objects.create(rule_slug=slug, reason=f"because of {slug}")
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


def text_in(shop: str | None, page: Client, name: str, *args: Any, query: str = "") -> str:
    with open_in(shop):
        answer = page.get(reverse(f"admin:{name}", args=args) + query, follow=True)
    assert answer.status_code == 200
    return str(answer.content.decode())


SHOWING = [
    "rules_engine_rule_changelist",
    "rules_engine_rule_add",
    "rules_engine_rules_flow",
    "rules_engine_ruleversion_changelist",
    "rules_engine_pause_changelist",
    "rules_engine_pause_add",
    "rules_engine_event_changelist",
    "rules_engine_execution_changelist",
    "rules_engine_activity_changelist",
    "index",
]


@pytest.mark.parametrize("name", SHOWING)
def test_no_page_of_a_shop_tells_of_another_shop_s_rules(page: Client, name: str) -> None:
    assert "secret-of-south" not in text_in("north", page, name)
    assert "secret-of-north" not in text_in("east", page, name)


@pytest.mark.parametrize(
    "name", ["rules_engine_rule_changelist", "rules_engine_ruleversion_changelist", "rules_engine_pause_changelist"]
)
def test_a_shop_is_shown_its_own_and_home_all(page: Client, name: str) -> None:
    assert "secret-of-north" in text_in("north", page, name)
    for home in ("public", None):
        text = text_in(home, page, name)
        assert all(f"secret-of-{shop}" in text for shop in SHOPS)


@pytest.mark.parametrize("of", ["south", None])
@pytest.mark.parametrize("name", ["change", "delete", "history", "test", "flow", "switch_on"])
def test_the_pages_of_a_rule_of_others_are_not_there(page: Client, name: str, of: str | None) -> None:
    url = reverse(f"admin:rules_engine_rule_{name}", args=[Rule.objects.get(slug=f"secret-of-{of}").pk])
    with open_in("north"):
        answer = page.post(url, {"post": "yes", "to": "off"})
        assert answer.status_code in (302, 404)
        assert page.get(url).status_code in (302, 404, 405)
    assert Rule.objects.filter(enabled=True).count() == len(SHOPS)


def test_a_copy_is_of_the_shop_where_it_is_made_and_at_home_of_all(page: Client) -> None:
    rule = Rule.objects.get(slug="secret-of-north")
    for shop, expected in (("north", '"north"'), (None, "")):
        with open_in(shop):
            url = reverse("admin:rules_engine_rule_changelist")
            page.post(url, {"action": "duplicate", "_selected_action": [rule.pk]})
        made = Rule.objects.order_by("-pk")[0]
        assert (made.name, made.surroundings) == ("secret-of-north (copy)", expected)


def test_home_looks_at_a_shop_s_rule_and_switches_it_off(page: Client) -> None:
    rule = Rule.objects.get(slug="secret-of-north")
    text = text_in(None, page, "rules_engine_rule_change", rule.pk)
    assert 'name="_save"' not in text
    page.post(reverse("admin:rules_engine_rule_switch", args=[rule.pk]), {"to": "off"})
    assert not Rule.objects.get(pk=rule.pk).enabled
    assert 'name="_save"' in text_in("north", page, "rules_engine_rule_change", rule.pk)


def test_home_tells_rules_apart_by_their_surroundings(page: Client) -> None:
    for query, seen in (('"north"', "north"), ("-", "None")):
        text = text_in(None, page, "rules_engine_rule_changelist", query=f"?surroundings={query}")
        rows = text.partition('id="result_list"')[2].partition("</table>")[0]
        assert [shop for shop in ("north", "south", "None") if f"secret-of-{shop}" in rows] == [seen]


def test_a_shop_pauses_its_own_rules_alone(page: Client) -> None:
    url, count = reverse("admin:rules_engine_pause_add"), Pause.objects.count()
    given = {"mode": "hold", "lasts": "", "reason": "", "until_0": "", "until_1": ""}
    with open_in("north"):
        page.post(url, {**given, "scope": "everything"})
        page.post(url, {**given, "scope": "model", "model": "zoo.animal"})
        page.post(url, {**given, "scope": "rule", "rule_slug": "secret-of-south"})
        assert Pause.objects.count() == count
        page.post(url, {**given, "scope": "rule", "rule_slug": "secret-of-north"})
    assert Pause.objects.count() == count + 1


@pytest.mark.parametrize("name", ["rules_engine_rule_overview", "rules_engine_recording_changelist"])
def test_what_tells_of_all_is_for_home(page: Client, name: str) -> None:
    name = name.replace("rule_overview", "overview")
    with open_in("north"):
        assert page.get(reverse(f"admin:{name}")).status_code == 403
    assert page.get(reverse(f"admin:{name}")).status_code == 200
    assert "/overview/" not in text_in("north", page, "rules_engine_rule_changelist")
    assert Recording.objects.count() == 0


def test_versions_are_those_of_the_shop_s_rules(page: Client) -> None:
    other = RuleVersion.objects.filter(rule_slug="secret-of-south").first()
    assert other is not None
    with open_in("north"):
        assert page.get(reverse("admin:rules_engine_ruleversion_change", args=[other.pk])).status_code == 302
