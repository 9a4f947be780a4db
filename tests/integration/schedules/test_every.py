"""Rules that act every so often: of nothing, of each object, or of all in a list; each time once, late ones as told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from rules_engine.admin.runs.progress import far
from rules_engine.context.visible import visible
from rules_engine.models import Event, Firing, Pause, RuleError, Run, Schedule
from rules_engine.testing import refresh
from rules_engine.work.runs.telling import tell_due
from rules_engine.work.schedules import every as every_module
from rules_engine.work.schedules.looking import look_due
from tests.integration.schedules.clocks import BEGIN, DAY, HOUR, MINUTE, act, fired, look, set_back, timed
from tests.zoo.models import Animal, Keeper

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

AT = [("note", {"text": "{{ due.at }}"})]
ROWS = [("note", {"text": "{{ due.count }}: {% for row in rows %}{{ row.name }} {% endfor %}"})]


def every(each: str = "hour", **others: Any) -> dict[str, Any]:
    return {"kind": "every", "each": each, "zone": "UTC", **others}


def daily(of: str, **others: Any) -> dict[str, Any]:
    return every("day", at="18:00", of=of, **others)


def hours(noted: list[str]) -> list[int]:
    return [datetime.fromisoformat(text).hour for text in noted]


# Of nothing


def test_each_time_that_comes_acts_once(noted: list[str]) -> None:
    rule = timed(every(), model="", actions=AT)
    for minutes in (0, 30, 59, 60, 61, 90, 120, 120, 125):
        act(BEGIN + minutes * MINUTE)
    assert hours(noted) == [13, 14]
    assert fired(rule) == [("", BEGIN + HOUR), ("", BEGIN + 2 * HOUR)]


def test_the_next_look_is_when_the_next_time_comes() -> None:
    timed(every("week", at="08:00"), model="", actions=AT)
    look(BEGIN)
    assert Schedule.objects.get().next_look_at == datetime(2031, 5, 12, 8, tzinfo=UTC)


def test_its_event_is_about_no_object() -> None:
    timed(every("day", at="18:00", zone="America/New_York"), model="", actions=AT)
    act(BEGIN + DAY)
    event = Event.objects.get()
    assert (event.signal, event.model, event.object_pk) == ("due", "", "")
    assert event.context["due"] == {"at": "2031-05-05T22:00:00+00:00", "date": "2031-05-05"}
    assert Firing.objects.get().event_id == event.pk


def test_a_condition_may_ask_for_the_day(noted: list[str]) -> None:
    timed(every("day"), model="", actions=AT, condition={"!=": [{"var": "due.date"}, "2031-05-07"]})
    act(BEGIN + 3 * DAY)
    assert [text[:10] for text in noted] == ["2031-05-06", "2031-05-08"]


@pytest.mark.parametrize(
    ("late", "expected", "skipped"),
    [("all", [13, 14, 15, 16, 17], 0), ("last", [17], 4), ("skip", [17], 4)],
)
def test_what_passed_while_no_worker_looked_is_as_the_rule_says(
    noted: list[str], late: str, expected: list[int], skipped: int
) -> None:
    timed(every(late=late), model="", actions=AT)
    act(BEGIN)
    act(BEGIN + 5 * HOUR + 2 * MINUTE)
    assert hours(noted) == expected
    assert Schedule.objects.get().skipped == skipped
    act(BEGIN + 6 * HOUR)
    assert hours(noted) == [*expected, 18]


def test_the_last_of_those_that_passed_is_late_by_no_more_than_it_may(noted: list[str]) -> None:
    timed(every("day", at="13:00", late="last", lateness=3600), model="", actions=AT)
    act(BEGIN + 3 * DAY)
    assert noted == []
    assert Schedule.objects.get().skipped == 3


def test_what_recurs_goes_on_from_its_last_time_not_from_a_look(noted: list[str]) -> None:
    # Frappe's and erpnext's jobs took the last run for the time it was due: each delay was handed on to all that came.
    timed(every(), model="", actions=AT)
    for minutes in (77, 139, 181, 240):
        act(BEGIN + minutes * MINUTE)
    assert hours(noted) == [13, 14, 15, 16]


def test_very_many_that_passed_are_told_some_in_each_transaction(
    noted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(every_module, "BATCH", 4)
    timed(every(), model="", actions=AT)
    act(BEGIN + 22 * HOUR)
    assert len(noted) == 22


@pytest.mark.parametrize("back", [MINUTE, HOUR, 3 * DAY])
def test_a_clock_set_back_has_no_time_come_again(noted: list[str], back: Any) -> None:
    rule = timed(every(), model="", actions=AT)
    act(BEGIN + 2 * HOUR)
    act(BEGIN + 2 * HOUR - back)
    act(BEGIN + 2 * HOUR)
    assert hours(noted) == [13, 14]
    # Nor does a schedule that has forgotten how far it was.
    set_back(rule, BEGIN)
    act(BEGIN + 2 * HOUR)
    assert hours(noted) == [13, 14]


def test_a_cron_text_with_no_time_left_waits(noted: list[str]) -> None:
    timed({"kind": "every", "cron": "0 8 29 2 *", "zone": "UTC"}, model="", actions=AT)
    act(BEGIN + 2 * DAY)
    assert noted == []
    assert Schedule.objects.get().next_look_at == datetime(2032, 2, 29, 8, tzinfo=UTC)


def test_times_during_a_pause_that_drops_are_left_out(noted: list[str]) -> None:
    rule = timed(every(), model="", actions=AT)
    pause = Pause.objects.create(rule_slug=rule.slug, mode=Pause.Mode.DROP)
    refresh()
    act(BEGIN + 3 * HOUR)
    pause.delete()
    refresh()
    act(BEGIN + 4 * HOUR)
    assert hours(noted) == [16]


# Of each object


def test_each_object_that_the_condition_selects_is_told(noted: list[str]) -> None:
    rule = timed(daily("each"), condition={">": [{"var": "instance.legs"}, 3]})
    for name, legs in (("Rex", 4), ("Kit", 2), ("Tom", 4)):
        Animal.objects.create(name=name, legs=legs)
    act(BEGIN + 6 * HOUR)
    act(BEGIN + 7 * HOUR)
    assert noted == ["Rex", "Tom"]
    run = Run.objects.get()
    assert (run.signal, run.state, run.matched) == ("due", "done", 2)
    assert Firing.objects.get().event_id == run.pk
    act(BEGIN + DAY + 6 * HOUR)
    assert noted == ["Rex", "Tom", "Rex", "Tom"]
    assert len(fired(rule)) == 2


def test_the_events_of_a_run_know_when_it_was_due(noted: list[str]) -> None:
    timed(daily("each"), actions=[("note", {"text": "{{ instance.name }} {{ due.at }}"})])
    Animal.objects.create(name="Rex")
    act(BEGIN + 6 * HOUR)
    assert noted == ["Rex 2031-05-05T18:00:00+00:00"]


# Of all in a list


def test_a_list_has_what_the_condition_selects_and_how_many_there_are(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 2}
    timed(daily("rows"), actions=ROWS, condition={">": [{"var": "instance.legs"}, 3]})
    for name, legs in (("Rex", 4), ("Kit", 2), ("Tom", 4), ("Sam", 4)):
        Animal.objects.create(name=name, legs=legs)
    act(BEGIN + 6 * HOUR)
    assert noted == ["3: Rex Tom "]
    event = Event.objects.get()
    assert (event.model, event.object_pk) == ("zoo.animal", "")
    assert [row["name"] for row in event.captured().context["rows"]] == ["Rex", "Tom"]


def test_a_list_without_a_condition_has_all(noted: list[str]) -> None:
    timed(daily("rows"), actions=ROWS)
    for name in ("Rex", "Tom"):
        Animal.objects.create(name=name)
    act(BEGIN + 6 * HOUR)
    assert noted == ["2: Rex Tom "]


def test_an_empty_list_is_not_told(noted: list[str]) -> None:
    rule = timed(daily("rows"), actions=ROWS)
    act(BEGIN + 6 * HOUR)
    assert noted == []
    assert len(fired(rule)) == 1


def test_rows_lead_to_what_they_belong_to_and_hide_what_may_not_be_seen(noted: list[str]) -> None:
    texts = [("note", {"text": "{% for row in rows %}{{ row.name }} of {{ row.keeper.name }}{% endfor %}"})]
    timed(daily("rows"), actions=texts)
    Animal.objects.create(name="Rex", keeper=Keeper.objects.create(name="Ada"))
    act(BEGIN + 6 * HOUR)
    assert noted == ["Rex of Ada"]
    context = Event.objects.get().captured().context
    seen, hidden = visible(context, "zoo.animal", lambda model: model is Animal)
    assert hidden == ["rows.keeper"]
    assert seen["rows"][0]["name"] == "Rex"
    assert "keeper" not in seen["rows"][0]


def test_a_condition_that_cannot_be_asked_of_one_is_said_and_asked_again(noted: list[str]) -> None:
    rule = timed(daily("rows"), actions=ROWS, condition={">": [{"/": [12, {"var": "instance.legs"}]}, 1]})
    rex = Animal.objects.create(name="Rex", legs=0)
    act(BEGIN + 6 * HOUR)
    assert (noted, fired(rule)) == ([], [])
    assert RuleError.objects.get().rule_slug == rule.slug
    Animal.objects.filter(pk=rex.pk).update(legs=4)
    act(BEGIN + 7 * HOUR)
    assert noted == ["1: Rex "]


# What a look costs


def test_objects_for_a_list_are_walked_through_in_no_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(daily("rows"), actions=ROWS, condition={">": [{"var": "instance.legs"}, 3]})
    Animal.objects.create(name="Rex", legs=4)
    selected, seen = every_module.selected, []

    def watched(*args: Any, **named: Any) -> Any:
        # Another worker leaves the rule alone meanwhile.
        seen.append((connection.in_atomic_block, look_due(now=BEGIN + DAY)))
        return selected(*args, **named)

    monkeypatch.setattr(every_module, "selected", watched)
    look(BEGIN + DAY)
    assert (seen, Event.objects.count()) == ([(False, 0)], 1)


def test_each_list_is_told_in_a_transaction_of_its_own(noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    whole = every_module.look
    monkeypatch.setattr(every_module, "look", lambda *given: (told.append((came := whole(*given))[0]), came)[1])
    timed(daily("rows"), actions=ROWS)
    Animal.objects.create(name="Rex")
    act(BEGIN + 2 * DAY + 6 * HOUR)
    assert len(noted) == 3
    assert told == [1, 1, 1]


def test_nothing_is_counted_for_a_run_that_nobody_asked_for(noted: list[str]) -> None:
    timed(daily("each"))
    Animal.objects.create(name="Rex")
    look(BEGIN + 6 * HOUR)
    run = Run.objects.get()
    assert run.total is None
    assert far(run) == "0 looked at"


def test_what_a_run_tells_occurs_by_the_database_s_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    timed(daily("each"))
    Animal.objects.create(name="Rex")
    look(BEGIN + 6 * HOUR)
    asked_at = Run.objects.get().created_at
    monkeypatch.setattr(timezone, "now", lambda: datetime(2001, 1, 1, tzinfo=UTC))
    tell_due()
    assert Event.objects.get().occurred_at >= asked_at
