"""What is recorded of one shop's animal is not that of the animal of the same key in another shop."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from rules_engine.models import Armed, AuditEntry, Event, Execution, HeldMatch
from rules_engine.testing import create_rule, run_due
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)
AUDIT = ("write_audit_entry", {"note": "seen"})
NORTH, SOUTH = '"north"', '"south"'


def run(*arguments: str) -> str:
    said = StringIO()
    call_command(*arguments, stdout=said)
    return said.getvalue()


@pytest.fixture
def rex(shops: list[str]) -> Animal:
    """One key in two shops, as two schemas have it, each recorded, held back once and waited for."""
    create_rule(Animal, slug="audit", actions=[AUDIT])
    create_rule(Animal, slug="once", once=True, actions=[AUDIT])
    rex = Animal(name="Rex")
    for shop in ("north", "south"):
        with open_in(shop):
            rex.save()
    run_due()
    return rex


def recorded() -> dict[str, tuple[int, int, int, int]]:
    """Events, executions, audit entries and held matches, by their surroundings."""
    found = {}
    for text in (NORTH, SOUTH, ""):
        events = Event.objects.filter(surroundings=text)
        keys = [str(key) for key in events.values_list("pk", flat=True)]
        found[text] = (
            len(keys),
            Execution.objects.filter(event__in=keys).count(),
            AuditEntry.objects.filter(event_id__in=keys).count(),
            HeldMatch.objects.filter(event__in=keys).count(),
        )
    return found


def test_erasing_leaves_the_object_of_that_key_in_another_shop(rex: Animal):
    before = recorded()
    assert before[NORTH][0] == before[SOUTH][0] == 1
    run("rules_erase", "zoo.animal", str(rex.pk), "--surroundings", "north", "--no-input")
    assert recorded() == {NORTH: (0, 0, 0, 0), SOUTH: before[SOUTH], "": (0, 0, 0, 0)}
    assert AuditEntry.objects.count() == before[SOUTH][2]


def test_erasing_within_a_shop_is_about_that_shop(rex: Animal):
    before = recorded()
    with open_in("south"):
        run("rules_erase", "zoo.animal", str(rex.pk), "--no-input")
    assert recorded() == {NORTH: before[NORTH], SOUTH: (0, 0, 0, 0), "": (0, 0, 0, 0)}


def test_erasing_at_home_asks_whose_object_is_meant(rex: Animal):
    before = recorded()
    with pytest.raises(CommandError, match=r"north \(1 event\), south \(1 event\)\. Say whose .* --surroundings NAME"):
        run("rules_erase", "zoo.animal", str(rex.pk), "--no-input")
    assert recorded() == before


def test_erasing_everywhere_is_for_what_all_share(rex: Animal):
    run("rules_erase", "zoo.animal", str(rex.pk), "--everywhere", "--no-input")
    assert set(recorded().values()) == {(0, 0, 0, 0)}
    assert not HeldMatch.objects.exists()


def test_what_acted_once_on_an_erased_object_may_act_once_more(rex: Animal):
    def acted() -> int:
        return AuditEntry.objects.filter(rule_slug="once").count()

    before = acted()
    for shop in ("north", "south"):
        with open_in(shop):
            rex.save()
    run_due()
    assert acted() == before
    run("rules_erase", "zoo.animal", str(rex.pk), "--surroundings", "north", "--no-input")
    left = acted()
    for shop in ("north", "south"):
        with open_in(shop):
            rex.save()
    run_due()
    assert acted() == left + 1


def test_entries_whose_events_are_gone_are_left_and_told(rex: Animal):
    Event.objects.filter(surroundings=NORTH).delete()
    said = run("rules_erase", "zoo.animal", str(rex.pk), "--surroundings", "south", "--no-input")
    assert "left alone: whose they are was told by events that are gone. --everywhere removes them too." in said
    assert AuditEntry.objects.exists()
    run("rules_erase", "zoo.animal", str(rex.pk), "--everywhere", "--no-input")
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("command", ["rules_erase", "rules_explain"])
def test_surroundings_that_cannot_be_entered_are_told(rex: Animal, command: str):
    shop_of.closed.append("north")
    with pytest.raises(CommandError, match="north"):
        run(command, "zoo.animal", str(rex.pk), "--surroundings", "north")


@pytest.mark.parametrize("command", ["rules_erase", "rules_explain"])
def test_a_site_without_surroundings_has_none_to_name(command: str):
    with pytest.raises(CommandError, match=r"SURROUNDINGS\"\] is not set, so all objects of a key are one object"):
        run(command, "zoo.animal", "1", "--surroundings", "north")


def test_an_explanation_is_of_one_shop_or_says_which(rex: Animal):
    said = run("rules_explain", "zoo.animal", str(rex.pk))
    assert "post_save (create) in north" in said
    assert "in south" in said
    said = run("rules_explain", "zoo.animal", str(rex.pk), "--surroundings", "south")
    assert "in south" in said
    assert "in north" not in said


def test_what_is_waited_for_of_an_erased_object_is_not_any_more(shops: list[str]):
    an_hour = {"kind": "stays", "count": 1, "unit": "hours"}
    create_rule(
        Animal, slug="stays", schedule=an_hour, condition={"==": [{"var": "instance.name"}, "Rex"]}, actions=[AUDIT]
    )
    rex = Animal(name="Rex")
    for shop in ("north", "south"):
        with open_in(shop):
            rex.save()
    assert Armed.objects.count() == 2
    run("rules_erase", "zoo.animal", str(rex.pk), "--surroundings", "north", "--no-input")
    assert [row.surroundings for row in Armed.objects.all()] == [SOUTH]
