"""Rules on time of all, where a site lists its surroundings: each is looked after by itself, by whatever worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.utils import timezone

from rules_engine.checks import check_rules_on_time
from rules_engine.models import Armed, Event, Firing, Rule, RuleError, Run, Schedule
from rules_engine.testing import create_rule, run_due
from rules_engine.work.schedules import arming, dates_looked_at, looking
from rules_engine.work.schedules.looking import look_due
from tests.integration.schedules.clocks import BEGIN, DAY, HOUR, act, look, on, set_back
from tests.integration.surroundings import shop_of
from tests.integration.surroundings.shop_of import open_in
from tests.threads import run_together
from tests.zoo.models import Animal

pytestmark = pytest.mark.django_db(transaction=True)
NOTE = ("note_shop", {"text": "{{ instance.name }}"})
NOTE_NONE = ("note_shop", {"text": "x"})
SETTING = {**shop_of.SETTING, "every": f"{shop_of.__name__}.every"}
DAILY = {"kind": "every", "each": "day", "at": "08:00", "zone": "UTC"}
SILENT = {"kind": "silent", "count": 26, "unit": "hours"}
STAYS = {"kind": "stays", "count": 3, "unit": "days"}


@pytest.fixture
def noted(shops: list[str], settings: Any) -> list[str]:
    """The notes of actions; there are the shops north and south, and nothing is looked for where workers begin."""
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": SETTING}
    shop_of.listed[:] = ["north", "south"]
    return shops


def timed(schedule: dict[str, Any], **fields: Any) -> Rule:
    rule = create_rule(Animal, **{"slug": "timed", "signals": (), "schedule": schedule, "actions": [NOTE], **fields})
    set_back(rule, BEGIN)
    return rule


def places() -> list[str]:
    return sorted(Schedule.objects.values_list("surroundings", flat=True))


def waiting_begins() -> None:
    """Have workers begin to wait, and take together what that marks."""
    run_due()
    run_due()


def after(**span: float) -> int:
    return run_due(now=timezone.now() + timedelta(**span))


def test_a_date_is_told_in_each_shop_and_once(noted: list[str]) -> None:
    timed(on())
    Animal.objects.create(name="Rex", fed_at=BEGIN)
    for later in (HOUR, 2 * HOUR, DAY):
        act(BEGIN + later)
    assert sorted(noted) == ["north: Rex", "south: Rex"]
    assert sorted(Event.objects.values_list("surroundings", flat=True)) == ['"north"', '"south"']
    fired = Firing.objects.order_by("surroundings").values_list("surroundings", "due_at")
    assert list(fired) == [('"north"', BEGIN + HOUR), ('"south"', BEGIN + HOUR)]
    assert shop_of.present() is None


def test_without_a_list_it_is_looked_where_workers_begin(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": shop_of.SETTING}
    timed(on())
    Animal.objects.create(name="Rex", fed_at=BEGIN)
    act(BEGIN + HOUR)
    assert (noted, places()) == (["None: Rex"], [""])


def test_the_surroundings_of_rules_are_where_workers_begin(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": {**SETTING, "home": "public"}}
    shop_of.listed[:] = ["public", "north"]
    timed(on())
    assert places() == ["", '"north"']


def test_what_is_about_no_model_is_due_once(noted: list[str]) -> None:
    rule = create_rule(signals=(), schedule=DAILY, actions=[NOTE_NONE])
    set_back(rule, BEGIN)
    act(BEGIN + DAY)
    assert noted == ["None: x"]


@pytest.mark.parametrize("of", ["each", "rows"])
def test_what_comes_every_so_often_goes_through_each_shop(noted: list[str], of: str) -> None:
    text = "{{ instance.name }}" if of == "each" else "{% for row in rows %}{{ row.name }}{% endfor %}"
    timed({**DAILY, "of": of}, actions=[("note_shop", {"text": text})])
    Animal.objects.create(name="Rex")
    for _ in range(2):
        act(BEGIN + DAY)
        run_due()
    assert sorted(noted) == ["north: Rex", "south: Rex"]
    assert Firing.objects.count() == 2
    assert sorted(Run.objects.values_list("surroundings", flat=True)) == (['"north"', '"south"'] * (of == "each"))


def test_silence_begins_in_each_shop_and_ends_in_its_own(noted: list[str]) -> None:
    create_rule(Animal, slug="silent", schedule=SILENT, actions=[NOTE_NONE])
    waiting_begins()
    with open_in("south"):
        Animal.objects.create(name="Rex")
    Armed.objects.filter(surroundings='"south"', state="waiting").update(
        created_at=timezone.now() - timedelta(hours=27)
    )
    Armed.objects.filter(surroundings='"north"').update(due_at=timezone.now() - timedelta(hours=1))
    run_due()
    assert noted == ["north: x"]
    after(hours=27)
    assert noted == ["north: x", "south: x"]


def test_what_is_so_already_is_waited_for_in_each_shop(noted: list[str]) -> None:
    Animal.objects.bulk_create([Animal(name="Rex")])
    create_rule(Animal, slug="stays", schedule=STAYS, actions=[NOTE], condition={"!!": {"var": "instance.name"}})
    waiting_begins()
    assert sorted(Armed.objects.values_list("surroundings", flat=True)) == ['"north"', '"south"']
    after(days=4)
    after(days=8)
    assert sorted(noted) == ["north: Rex", "south: Rex"]


def test_another_length_begins_anew_in_each_shop(noted: list[str]) -> None:
    rule = create_rule(Animal, slug="silent", schedule=SILENT, actions=[NOTE_NONE])
    waiting_begins()
    rule.schedule = {**SILENT, "count": 2}
    rule.save()
    run_due()
    assert {row.due_at - row.created_at for row in Armed.objects.all()} == {timedelta(hours=2)}
    assert Armed.objects.count() == 2


def test_a_shop_that_cannot_be_entered_stops_no_other(noted: list[str], caplog: pytest.LogCaptureFixture) -> None:
    timed(on())
    Animal.objects.create(name="Rex", fed_at=BEGIN)
    shop_of.closed.append("north")
    act(BEGIN + HOUR)
    act(BEGIN + HOUR)
    assert noted == ["south: Rex"]
    assert "The shop north is closed." in RuleError.objects.get().message
    assert caplog.text.count("What is due by timed in north could not be told") == 1
    shop_of.closed.clear()
    act(BEGIN + 2 * HOUR)
    assert noted == ["south: Rex", "north: Rex"]
    assert set(Schedule.objects.values_list("error", flat=True)) == {""}


def test_what_fails_in_one_shop_names_it_and_stops_no_other(noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    timed(on())
    Animal.objects.create(name="Rex", fed_at=BEGIN)
    tell = dates_looked_at.tell

    def fail_in_north(*args: Any, **named: Any) -> Any:
        if shop_of.present() == "north":
            raise DatabaseError("no such table")
        return tell(*args, **named)

    monkeypatch.setattr(dates_looked_at, "tell", fail_in_north)
    act(BEGIN + HOUR)
    assert noted == ["south: Rex"]
    assert RuleError.objects.get().message == "In north: DatabaseError: no such table"
    assert Schedule.objects.get(surroundings='"north"').error == "DatabaseError: no such table"


def test_what_a_closed_shop_waits_for_stops_no_other(noted: list[str]) -> None:
    create_rule(Animal, slug="silent", schedule=SILENT, actions=[NOTE_NONE])
    waiting_begins()
    shop_of.closed.append("north")
    after(hours=27)
    assert noted == ["south: x"]
    assert "The shop north is closed." in RuleError.objects.get().message
    shop_of.closed.clear()
    after(hours=28)
    assert noted == ["south: x", "north: x"]
    assert set(Schedule.objects.values_list("error", flat=True)) == {""}


def listed_anew() -> None:
    """As if a minute had passed since the site was asked."""
    arming._listed_until = 0.0
    arming.keep_armed()


def test_a_shop_that_opens_later_is_looked_after_from_then_on(noted: list[str]) -> None:
    timed(on())
    silent = create_rule(Animal, slug="silent", schedule=SILENT, actions=[NOTE_NONE])
    arming.keep_armed()
    shop_of.listed.append("east")
    arming.keep_armed()
    assert len(places()) == 4
    # SQLite's clock leaves out what is less than a millisecond.
    before = timezone.now() - timedelta(milliseconds=1)
    listed_anew()
    assert places() == ['"east"', '"east"', '"north"', '"north"', '"south"', '"south"']
    assert all(row.since > before for row in Schedule.objects.filter(surroundings='"east"'))
    run_due()
    assert sorted(Armed.objects.filter(rule_slug=silent.slug).values_list("surroundings", flat=True)) == [
        '"east"',
        '"north"',
        '"south"',
    ]


def test_a_shop_that_is_gone_is_forgotten(noted: list[str]) -> None:
    timed(on())
    create_rule(Animal, slug="silent", schedule=SILENT, actions=[NOTE_NONE])
    waiting_begins()
    shop_of.listed.remove("north")
    shop_of.closed.append("north")
    listed_anew()
    assert places() == ['"south"', '"south"']
    after(hours=27)
    assert noted == ["south: x"]
    assert not RuleError.objects.exists()


def test_what_acted_in_a_shop_that_is_gone_is_forgotten_later(noted: list[str]) -> None:
    Animal.objects.bulk_create([Animal(name="Rex")])
    create_rule(Animal, slug="stays", schedule=STAYS, actions=[NOTE], condition={"!!": {"var": "instance.name"}})
    waiting_begins()
    after(days=4)
    shop_of.listed.remove("north")
    listed_anew()
    assert Armed.objects.count() == 2
    shop_of.closed.append("north")
    after(days=40)
    assert list(Armed.objects.values_list("surroundings", flat=True)) == ['"south"']


def test_a_list_that_cannot_be_had_leaves_all_as_it_was(noted: list[str], caplog: pytest.LogCaptureFixture) -> None:
    timed(on())
    shop_of.no_list = "no list today"
    listed_anew()
    assert places() == ['"north"', '"south"']
    assert "no list today" in caplog.text
    create_rule(Animal, slug="another", signals=(), schedule=on(), actions=[NOTE])
    assert places() == ["", '"north"', '"south"']


def test_a_rule_that_is_switched_off_ends_in_each_shop(noted: list[str]) -> None:
    rule = timed(on())
    rule.enabled = False
    rule.save()
    assert places() == []


def test_rules_of_one_shop_alone_are_looked_after_there(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": {**SETTING, "home": "public", "own_rules": True}}
    with open_in("north"):
        timed(on())
    Animal.objects.create(name="Rex", fed_at=BEGIN)
    act(BEGIN + HOUR)
    assert (noted, places()) == (["north: Rex"], [""])


@pytest.mark.row_locks
def test_workers_that_look_at_once_tell_each_shop_s_objects_once(noted: list[str]) -> None:
    shop_of.listed[:] = [f"shop {number}" for number in range(12)]
    timed(on())
    for number in range(5):
        Animal.objects.create(name=str(number), fed_at=BEGIN)
    run_together(3, lambda _number: look_due(now=BEGIN + 2 * HOUR))
    look(BEGIN + 3 * HOUR)
    told = list(Event.objects.values_list("surroundings", "object_pk"))
    assert len(told) == len(set(told)) == Firing.objects.count() == 60


@pytest.fixture
def entered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The places that looks enter."""
    places: list[str] = []
    enter = looking.within

    def noting(place: str) -> Any:
        places.append(place)
        return enter(place)

    monkeypatch.setattr(looking, "within", noting)
    return places


def test_those_that_waited_longest_come_first_and_none_starves(
    noted: list[str], entered: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop_of.listed[:] = [f"shop {number}" for number in range(6)]
    timed(on())
    late = '"shop 3"'
    Schedule.objects.filter(surroundings=late).update(next_look_at=BEGIN - HOUR)
    clock = iter(range(1_000_000))
    # Each look takes all of the time that there is.
    monkeypatch.setattr(looking, "time", type("Clock", (), {"monotonic": staticmethod(lambda: next(clock))}))
    for _ in range(6):
        looking.look_due(seconds=3, now=BEGIN + HOUR)
    assert len(set(entered)) == len(entered) == 6
    assert entered[0] == late


@pytest.mark.parametrize(("shops_listed", "seconds"), [(1, 15), (100, 15), (1_000, 40), (100_000, 300)])
def test_many_places_are_each_looked_at_more_seldom(
    noted: list[str], monkeypatch: pytest.MonkeyPatch, shops_listed: int, seconds: float
) -> None:
    monkeypatch.setattr(arming, "_armed", shops_listed)
    assert dates_looked_at.seconds_between() == seconds


def test_a_shop_is_entered_once_for_all_of_its_rules(noted: list[str], entered: list[str]) -> None:
    for number in range(3):
        timed(on(), slug=f"rule-{number}")
    look(BEGIN + HOUR)
    assert sorted(entered) == ['"north"', '"south"']


def said() -> list[str]:
    return [f"{message.id}: {message.msg}" for message in check_rules_on_time(None) if "W042" in str(message.id)]


def test_check_tells_that_rules_look_at_home_alone(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": shop_of.SETTING}
    create_rule(Animal, slug="heard", actions=[NOTE])
    create_rule(slug="report", signals=(), schedule=DAILY, actions=[NOTE_NONE])
    assert said() == []
    for number in range(6):
        timed(on(), slug=f"timed-{number}")
    (found,) = said()
    assert found.startswith("rules_engine.W042: Rules on time hold in all surroundings, and look for objects where")
    assert found.endswith(": timed-0, timed-1, timed-2, timed-3, timed-4 and 1 more.")
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": SETTING}
    assert said() == []


def test_check_tells_that_there_is_no_list(noted: list[str]) -> None:
    timed(on())
    shop_of.no_list = "no list today"
    (found,) = said()
    assert "of zoo.animal could not be listed (no list today)" in found
