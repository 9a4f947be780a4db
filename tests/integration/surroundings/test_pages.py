"""What the admin shows in a shop is that shop's; at home all is shown, without taking one object for another."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from project.accounts.models import User
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Rule
from rules_engine.models.inheritance import ObjectName
from rules_engine.test.backtest import events_of
from rules_engine.test.why import events_about
from rules_engine.testing import create_rule, run_due
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def page(shops: list[str], settings: Any) -> Client:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": {**shop_of.SETTING, "home": "public"}}
    create_rule(Animal, actions=[("note_shop", {"text": "{{ instance.name }}"}), ("write_audit_entry", {"note": "x"})])
    create_rule(Animal, slug="waits", coalesce_seconds=600, actions=[("note_shop", {"text": "x"})])
    for shop in ("north", "south"):
        with open_in(shop):
            Animal.objects.create(name=f"Secret of {shop}")
    run_due()
    User.objects.create_superuser("ada", password="x")
    client = Client()
    client.force_login(User.objects.get())
    return client


#: The lists, and how many rows of each a shop has.
LISTS = {"event": 1, "execution": 2, "activity": 3, "heldmatch": 1, "auditentry": 1}


def told(page: Client, name: str, shop: str | None) -> Any:
    with open_in(shop):
        return page.get(reverse(f"admin:rules_engine_{name}_changelist"))


@pytest.mark.parametrize("name", LISTS)
def test_a_shop_s_admin_lists_what_happened_in_it(page: Client, name: str) -> None:
    answer = told(page, name, "north")
    assert answer.context["cl"].result_count == LISTS[name]
    assert "south" not in answer.content.decode()
    assert told(page, name, "east").context["cl"].result_count == 0


@pytest.mark.parametrize("name", [name for name in LISTS if name != "auditentry"])
def test_at_home_all_is_listed_and_no_object_looked_up(page: Client, name: str) -> None:
    for shop in ("public", None):
        answer = told(page, name, shop)
        assert answer.context["cl"].result_count == 2 * LISTS[name]
        text = answer.content.decode()
        assert "(north)" in text
        assert "(south)" in text
        # The object of that key is another one here.
        assert "/admin/zoo/animal/" not in text.partition('id="result_list"')[2]


@pytest.mark.parametrize(("name", "model"), [("event", Event), ("execution", Execution), ("heldmatch", HeldMatch)])
def test_the_page_of_another_shop_s_record_is_not_there(page: Client, name: str, model: Any) -> None:
    of = "surroundings" if model is Event else "event__surroundings"
    other = model.objects.filter(**{of: '"south"'}).first()
    url = reverse(f"admin:rules_engine_{name}_change", args=[other.pk])
    with open_in("north"):
        assert page.get(url).status_code == 302
    with open_in("south"):
        assert page.get(url).status_code == 200
    with open_in("public"):
        assert "(south)" in page.get(url).content.decode()


def test_an_audit_entry_of_another_shop_is_not_there(page: Client) -> None:
    entry = AuditEntry.objects.get(event_id=Event.objects.get(surroundings='"south"').pk)
    with open_in("north"):
        assert page.get(reverse("admin:rules_engine_auditentry_change", args=[entry.pk])).status_code == 302


def test_home_tells_of_which_shop_an_audit_entry_is(page: Client) -> None:
    url = reverse("admin:rules_engine_auditentry_changelist")
    rows = page.get(url).content.decode().partition('id="result_list"')[2]
    assert ">north<" in rows
    assert ">south<" in rows
    # The object of that key is another one here.
    assert "/admin/zoo/animal/" not in rows
    entry = AuditEntry.objects.get(event_id=Event.objects.get(surroundings='"south"').pk)
    found = page.get(url, {"q": "south"})
    assert [each.pk for each in found.context["cl"].result_list] == [entry.pk]
    assert f"zoo.animal {entry.object_pk}" in rows
    text = page.get(reverse("admin:rules_engine_auditentry_change", args=[entry.pk])).content.decode()
    assert '<div class="readonly">south</div>' in text
    with open_in("north"):
        assert ">north<" not in page.get(url).content.decode()


def test_an_object_s_history_is_of_the_object_here(page: Client) -> None:
    animal = Animal.objects.get(name="Secret of north")
    with open_in("south"):
        animal.save()
    url = reverse("admin:rules_engine_rule_why") + f"?model=zoo.animal&pk={animal.pk}"
    with open_in("north"):
        page.get(url)
    names = [ObjectName("zoo.animal", str(animal.pk))]
    for shop, count in (("north", 1), ("south", 1), ("east", 0), (None, 2)):
        with open_in(shop):
            assert events_about(names).count() == count


def test_a_backtest_is_of_the_events_of_here(page: Client) -> None:
    spec = Rule.objects.get(slug="waits").spec()
    for shop, count in (("north", 1), ("public", 2), ("east", 0)):
        with open_in(shop):
            assert events_of(spec).count() == count
