"""A shop with rules of its own: they hold in it alone, in the name of its own users, and nobody else sees them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

from rules_engine.capture import receiver
from rules_engine.capture.bulk.querysets import RulesQuerySet
from rules_engine.models import Event, Execution, Rule
from rules_engine.testing import create_rule, run_due
from rules_engine.work.schedules.looking import look_due
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)
NOTE = ("note_shop", {"text": "{{ instance.name }}"})
OTHERS = {"weight", "born", "fed_at", "keeper", "data"}
SETTING = {**shop_of.SETTING, "home": "public", "own_rules": True}


@pytest.fixture
def noted(shops: list[str], settings: Any) -> list[str]:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": SETTING}
    return shops


def rule_of(shop: str | None, **options: Any) -> Rule:
    with open_in(shop):
        return create_rule(Animal, **{"actions": [NOTE], "slug": f"of-{shop}", **options})


def save_in(*shops: str | None) -> None:
    for shop in shops:
        with open_in(shop):
            Animal.objects.create(name=f"Rex of {shop}")


def test_a_rule_holds_where_it_was_made(noted: list[str]) -> None:
    assert rule_of("north").surroundings == '"north"'
    rule_of("south")
    save_in("north", "south", "east", None)
    run_due()
    assert sorted(noted) == ["north: Rex of north", "south: Rex of south"]
    assert set(Event.objects.values_list("surroundings", "evaluations__0__rule")) == {
        ('"north"', "of-north"),
        ('"south"', "of-south"),
    }


@pytest.mark.parametrize("home", [None, "public"])
def test_a_rule_that_was_made_at_home_holds_everywhere(noted: list[str], home: str | None) -> None:
    assert rule_of(home).surroundings == ""
    rule_of("north")
    save_in("north", "south", None)
    run_due()
    assert sorted(noted) == [
        "None: Rex of None",
        "north: Rex of north",
        "north: Rex of north",
        "south: Rex of south",
    ]


def test_without_the_setting_a_rule_holds_wherever_it_was_made(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": {**SETTING, "own_rules": False}}
    assert rule_of("north").surroundings == ""
    save_in("south")
    run_due()
    assert noted == ["south: Rex of south"]


def test_rules_of_all_and_of_a_shop_are_tried_in_one_order(noted: list[str]) -> None:
    rule_of(None, slug="third", position=3)
    rule_of("north", slug="second", position=2, stop_processing=True)
    rule_of(None, slug="first", position=1)
    save_in("north", "south")
    run_due()
    told = dict(Execution.objects.values_list("rule_slug", "event__surroundings").order_by("pk"))
    assert told == {"first": '"south"', "second": '"north"', "third": '"south"'}
    assert Execution.objects.count() == 4


def test_a_shop_s_veto_stops_no_other_shop(noted: list[str]) -> None:
    veto = ("reject", {"message": "Not here."}, {"timing": "before_save"})
    rule_of("north", signals=["pre_save"], actions=[veto])
    save_in("south", None)
    with open_in("south"):
        Animal(name="Rex").full_clean(exclude=OTHERS)
    with open_in("north"):
        with pytest.raises(Exception, match="Not here"), transaction.atomic():
            Animal.objects.create(name="Rex")
        with pytest.raises(Exception, match="Not here"):
            Animal(name="Rex").full_clean(exclude=OTHERS)
    assert Animal.objects.count() == 2


def test_a_bulk_write_is_not_told_to_the_rules_of_another_shop(noted: list[str]) -> None:
    rule_of("north")
    for shop in ("north", "south"):
        with open_in(shop):
            RulesQuerySet(Animal).bulk_create([Animal(name=f"Rex of {shop}")])
    run_due()
    assert noted == ["north: Rex of north"]


def test_a_rule_on_time_looks_where_it_holds(noted: list[str]) -> None:
    with open_in("north"):
        schedule = {"kind": "every", "each": "hour"}
        create_rule("", signals=(), schedule=schedule, actions=[("note_shop", {"text": "tick"})])
    look_due()
    look_due(now=timezone.now() + timedelta(hours=2))
    run_due()
    assert set(noted) == {"north: tick"}
    assert set(Event.objects.values_list("surroundings", flat=True)) == {'"north"'}


def test_a_rule_is_changed_for_the_next_save(noted: list[str]) -> None:
    rule = rule_of("north")
    save_in("north", "south")
    with open_in("north"):
        rule.enabled = False
        rule.save()
    save_in("north")
    rule_of("south")
    save_in("north", "south")
    assert list(Execution.objects.values_list("rule_slug", flat=True).order_by("pk")) == ["of-north", "of-south"]


def test_what_was_matched_is_not_done_once_the_rule_holds_elsewhere(noted: list[str]) -> None:
    rule = rule_of("north")
    save_in("north")
    Rule.objects.filter(pk=rule.pk).update(surroundings='"south"')
    run_due()
    assert noted == []
    assert "does not hold there any more" in Execution.objects.get().error


def test_a_save_looks_up_no_rules_of_other_shops(noted: list[str]) -> None:
    rule_of(None)
    rules = {shop: rule_of(shop) for shop in ("north", "south", "east")}

    def watch(shop: str) -> Any:
        with open_in(shop):
            return receiver.table(Animal).models[Animal]

    before = watch("north")
    assert [rule.slug for rule in before.rules["post_save"]] == ["of-None", "of-north"]
    assert [rule.slug for rule in watch("west").rules["post_save"]] == ["of-None"]
    rules["south"].description = "Another one."
    rules["south"].save()
    assert watch("north") is before


def test_a_save_goes_on_where_the_site_cannot_say_where_that_is(
    noted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule_of("north")
    with open_in("north"), monkeypatch.context() as patch:
        patch.setattr(connection, "shop", {1, 2})
        Animal.objects.create(name="Rex")
        RulesQuerySet(Animal).bulk_create([Animal(name="Tom")])
    assert Animal.objects.count() == 2
    assert not Event.objects.exists()


def packed(tmp_path: Path) -> str:
    rule = {"slug": "greets", "name": "Greets", "model": "zoo.animal", "signals": ["post_save"]}
    note = {"rule": ["greets"], "position": 0, "kind": "note_shop", "config": {"text": "hello"}}
    objects = [{"model": "rules_engine.rule", "fields": rule}, {"model": "rules_engine.ruleaction", "fields": note}]
    path = tmp_path / "greetings.json"
    path.write_text(json.dumps(objects))
    return str(path)


def test_a_pack_is_installed_for_some_shops(noted: list[str], tmp_path: Path, capsys: Any) -> None:
    pack = packed(tmp_path)
    for shop in ("north", "south"):
        call_command("rulepack", "install", pack, "--surroundings", shop)
    save_in("north", "south", "east", None)
    run_due()
    assert sorted(noted) == ["north: hello", "south: hello"]
    assert set(Rule.objects.values_list("slug", flat=True)) == {"greets-north", "greets-south"}
    capsys.readouterr()
    call_command("rulepack", "install", pack, "--surroundings", "north")
    assert "Nothing to change: 1 rule is as in the pack." in capsys.readouterr().out


@pytest.mark.parametrize(("shop", "said"), [("closed", "is closed"), ("public", "a tenant has its own")])
def test_a_pack_is_for_a_shop_with_rules_of_its_own(noted: list[str], tmp_path: Path, shop: str, said: str) -> None:
    shop_of.closed.append("closed")
    with pytest.raises(CommandError, match=said):
        call_command("rulepack", "install", packed(tmp_path), "--surroundings", shop)
    assert not Rule.objects.exists()
