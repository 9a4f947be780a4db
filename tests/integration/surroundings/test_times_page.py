"""The page of a rule on time says where it is looked after, and of where what comes next is."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from project.accounts.models import User
from rules_engine.models import Rule, Schedule
from rules_engine.testing import create_rule, run_due
from rules_engine.work.schedules.looking import look_due
from tests.integration.schedules.clocks import on
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in
from tests.integration.surroundings.test_on_time import SETTING, SILENT
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)
NOTE = ("note_shop", {"text": "x"})


@pytest.fixture
def page(shops: list[str], settings: Any) -> Client:
    """The site's own administrator; there are the shops north and south."""
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": {**SETTING, "home": "public"}}
    shop_of.listed[:] = ["north", "south"]
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="x"))
    return client


def dated(**fields: Any) -> Rule:
    return create_rule(Animal, signals=(), schedule=on(), actions=[NOTE], **fields)


def text_in(shop: str | None, page: Client, rule: Rule) -> str:
    with open_in(shop):
        answer = page.get(reverse("admin:rules_engine_rule_times", args=[rule.pk]))
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_home_tells_what_comes_in_each_shop_by_its_key(page: Client) -> None:
    rex = Animal.objects.create(name="Rex", fed_at=timezone.now())
    said = text_in(None, page, dated())
    assert "in 2 of the site’s surroundings, in each by itself: north, south" in said
    assert f"{rex.pk} (north)" in said
    assert f"{rex.pk} (south)" in said
    assert "Animal object" not in said


def test_home_shows_its_own_objects_beside_those(page: Client) -> None:
    shop_of.listed.append("public")
    rex = Animal.objects.create(name="Rex", fed_at=timezone.now())
    said = text_in(None, page, dated())
    assert "in 3 of the site’s surroundings, in each by itself: home, north, south" in said
    assert "Animal object" in said
    assert f"{rex.pk} (south)" in said


def test_a_shop_tells_of_none_of_the_others(page: Client) -> None:
    Animal.objects.create(name="Rex", fed_at=timezone.now())
    rule = dated()
    shop_of.closed.append("south")
    look_due()
    said = text_in("north", page, rule)
    assert "Animal object" in said
    assert "south" not in said


def test_what_is_done_with_in_one_shop_comes_in_the_others(page: Client) -> None:
    rule = dated()
    Schedule.objects.update(since=timezone.now() - timedelta(days=1))
    Animal.objects.create(name="Rex", fed_at=timezone.now() - timedelta(hours=2))
    shop_of.closed.append("south")
    look_due()
    shop_of.closed.clear()
    said = text_in("north", page, rule)
    assert "is done with" in said
    assert "is done with" not in text_in("south", page, rule)


def test_where_it_cannot_be_looked_after_stands_there(page: Client) -> None:
    rule = dated()
    shop_of.closed.append("south")
    look_due()
    said = text_in(None, page, rule)
    assert "Where it cannot be looked after" in said
    assert "<strong>south</strong>:" in said
    assert "The shop south is closed." in said


def test_what_it_waits_for_says_where(page: Client) -> None:
    rule = create_rule(Animal, schedule=SILENT, actions=[NOTE])
    run_due()
    run_due()
    said = text_in(None, page, rule)
    assert "<span>north</span>" in said
    assert "<span>south</span>" in said
    said = text_in("south", page, rule)
    assert "north" not in said


def test_without_a_list_it_says_that_it_looks_at_home_alone(page: Client, settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": shop_of.SETTING}
    assert "where workers begin alone, since the site lists no other surroundings" in text_in(None, page, dated())


def test_a_list_that_cannot_be_had_says_why(page: Client) -> None:
    rule = dated()
    shop_of.no_list = "no list today"
    assert "The surroundings could not be listed: OSError: no list today" in text_in(None, page, rule)


def test_why_not_goes_by_the_shop(page: Client) -> None:
    rule = dated()
    rex = Animal.objects.create(name="Rex", fed_at=timezone.now() - timedelta(hours=2))
    Schedule.objects.filter(surroundings='"north"').update(since=timezone.now() - timedelta(days=1))
    with open_in("north"):
        there = page.get(reverse("admin:rules_engine_rule_times", args=[rule.pk]) + f"?pk={rex.pk}").content.decode()
    with open_in("south"):
        here = page.get(reverse("admin:rules_engine_rule_times", args=[rule.pk]) + f"?pk={rex.pk}").content.decode()
    assert "A worker tells it at its next look." in there
    assert "which is before the rule was switched on" in here
