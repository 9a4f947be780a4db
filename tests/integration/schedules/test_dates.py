"""Rules on dates, told by workers: each object once, when it is due and not before, whatever happens meanwhile."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission

from project.accounts.models import User
from rules_engine.live import cache
from rules_engine.models import Event, Execution, Firing, HeldMatch, Pause, Rule, RuleError, Schedule
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work import retention
from rules_engine.work.erasure.of_object import erase
from rules_engine.work.schedules import arming, dates_looked_at, looking
from rules_engine.work.schedules.arming import arm
from rules_engine.work.schedules.dates import Dates
from rules_engine.work.schedules.looking import is_any_due, look_due
from tests.integration.schedules.clocks import BEGIN, DAY, HOUR, MINUTE, act, fired, look, on, set_back, timed
from tests.zoo.models import Animal, Dog, Ticket

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]


def fed(name: str, at: datetime | None = BEGIN, **fields: Any) -> Animal:
    return Animal.objects.create(name=name, fed_at=at, **fields)


# When it is due, and once


def test_an_object_is_told_when_it_is_due_and_once(noted: list[str]) -> None:
    rule = timed(on())
    fed("Rex")
    act(BEGIN + HOUR - timedelta(microseconds=1))
    assert noted == []
    act(BEGIN + HOUR)
    assert noted == ["Rex"]
    for later in (HOUR, HOUR + MINUTE, 2 * HOUR, DAY):
        act(BEGIN + later)
    assert noted == ["Rex"]
    assert [at for _, at in fired(rule)] == [BEGIN + HOUR]


def test_before_a_date_comes_before_it(noted: list[str]) -> None:
    # paperless had the sign of the offset wrong for months.
    timed(on(count=2, unit="days", direction="before"))
    fed("Rex", BEGIN + 3 * DAY)
    act(BEGIN + DAY - MINUTE)
    assert noted == []
    act(BEGIN + DAY)
    assert noted == ["Rex"]


def test_a_date_without_a_time_is_due_at_a_time_of_day(noted: list[str]) -> None:
    timed(on("born", 1, "days", "before", at="18:00", zone="Europe/Berlin"))
    Animal.objects.create(name="Rex", born=date(2031, 5, 7))
    act(datetime(2031, 5, 6, 15, 59, tzinfo=UTC))
    assert noted == []
    act(datetime(2031, 5, 6, 16, 0, tzinfo=UTC))
    assert noted == ["Rex"]


def test_the_date_may_be_of_whom_an_object_belongs_to(noted: list[str]) -> None:
    timed(on("animal.fed_at"), Ticket, actions=[("note", {"text": "{{ instance.animal.name }} {{ due.date }}"})])
    Ticket.objects.create(animal=fed("Rex"))
    Ticket.objects.create(animal=fed("Tom", BEGIN + DAY))
    act(BEGIN + 2 * HOUR)
    assert noted == ["Rex 2031-05-05T12:00:00+00:00"]


def test_texts_and_conditions_read_when_it_was_due(noted: list[str]) -> None:
    condition = {"==": [{"var": "due.date"}, "2031-05-06"]}
    timed(on("born", 0, "days"), condition=condition, actions=[("note", {"text": "{{ due.at }} {{ due.date }}"})])
    for day in (6, 7):
        Animal.objects.create(name="Rex", born=date(2031, 5, day))
    act(BEGIN + 3 * DAY)
    assert noted == ["2031-05-06T00:00:00+00:00 2031-05-06"]


def test_its_event_is_on_the_signal_due_and_about_the_object() -> None:
    timed(on())
    animal = fed("Rex")
    act(BEGIN + 2 * HOUR)
    event = Event.objects.get()
    assert (event.signal, event.operation, event.model, event.object_pk) == ("due", "", "zoo.animal", str(animal.pk))
    assert event.occurred_at == BEGIN + 2 * HOUR
    assert event.context["due"] == {"at": "2031-05-05T13:00:00+00:00", "date": "2031-05-05T12:00:00+00:00"}
    assert event.evaluations[0]["outcome"] == "matched"
    assert Firing.objects.get().event_id == event.pk


def test_objects_of_heirs_and_other_keys_are_told(noted: list[str]) -> None:
    timed(on(), Dog)
    Dog.objects.create(name="Rex", fed_at=BEGIN)
    fed("Tom")
    act(BEGIN + 2 * HOUR)
    act(BEGIN + 3 * HOUR)
    assert noted == ["Rex"]


# The condition


def test_the_condition_is_asked_when_it_is_due_on_the_object_as_it_is(noted: list[str]) -> None:
    timed(on(), condition={"==": [{"var": "instance.legs"}, 3]})
    rex, tom = fed("Rex", legs=4), fed("Tom", legs=3)
    Animal.objects.filter(pk=rex.pk).update(legs=3)
    Animal.objects.filter(pk=tom.pk).update(legs=4)
    act(BEGIN + 2 * HOUR)
    assert noted == ["Rex"]


def test_what_the_condition_refused_when_due_is_not_asked_again(noted: list[str]) -> None:
    rule = timed(on(), condition={"==": [{"var": "instance.legs"}, 3]})
    rex = fed("Rex")
    act(BEGIN + 2 * HOUR)
    Animal.objects.filter(pk=rex.pk).update(legs=3)
    act(BEGIN + 3 * HOUR)
    assert noted == []
    assert Firing.objects.get().event_id is None
    assert Event.objects.count() == 0
    assert len(fired(rule)) == 1


def test_a_condition_that_fails_is_an_error_of_that_object_alone(noted: list[str]) -> None:
    timed(on(), condition={">": [{"/": [12, {"var": "instance.legs"}]}, 1]})
    fed("Rex", legs=0)
    fed("Tom", legs=4)
    act(BEGIN + 2 * HOUR)
    assert noted == ["Tom"]
    assert RuleError.objects.count() == 1


# Moved, deleted, late


def test_a_moved_date_arms_anew(noted: list[str]) -> None:
    rule = timed(on())
    rex = fed("Rex")
    act(BEGIN + 2 * HOUR)
    Animal.objects.filter(pk=rex.pk).update(fed_at=BEGIN + 3 * HOUR)
    act(BEGIN + 4 * HOUR - MINUTE)
    assert noted == ["Rex"]
    act(BEGIN + 4 * HOUR)
    assert noted == ["Rex", "Rex"]
    assert len(fired(rule)) == 2


def test_a_date_that_was_moved_away_is_not_due_any_more(noted: list[str]) -> None:
    timed(on())
    rex = fed("Rex")
    look(BEGIN + MINUTE)
    Animal.objects.filter(pk=rex.pk).update(fed_at=BEGIN + DAY)
    act(BEGIN + 2 * HOUR)
    assert noted == []
    Animal.objects.filter(pk=rex.pk).update(fed_at=None)
    act(BEGIN + 2 * DAY)
    assert noted == []


def test_a_date_that_is_moved_there_and_back_acts_once(noted: list[str]) -> None:
    rule = timed(on())
    rex = fed("Rex")
    act(BEGIN + 2 * HOUR)
    for at in (BEGIN + 10 * HOUR, BEGIN):
        Animal.objects.filter(pk=rex.pk).update(fed_at=at)
        act(BEGIN + 2 * HOUR + MINUTE)
    assert noted == ["Rex"]
    assert len(fired(rule)) == 1


def test_a_date_moved_within_what_is_due_at_one_time_acts_once(noted: list[str]) -> None:
    rule = timed(on(count=0, unit="days", at="18:00"))
    rex = fed("Rex", BEGIN + HOUR)
    act(BEGIN + 7 * HOUR)
    for minutes in range(5):
        Animal.objects.filter(pk=rex.pk).update(fed_at=BEGIN + minutes * MINUTE)
        act(BEGIN + 7 * HOUR + minutes * MINUTE)
    assert noted == ["Rex"]
    assert len(fired(rule)) == 1


def test_a_deleted_object_is_not_due(noted: list[str]) -> None:
    timed(on())
    rex = fed("Rex")
    look(BEGIN + MINUTE)
    rex.delete()
    act(BEGIN + 2 * HOUR)
    assert noted == []


def test_what_a_long_transaction_brings_in_after_it_was_due_acts(noted: list[str]) -> None:
    rule = timed(on())
    act(BEGIN + HOUR + 5 * MINUTE)
    fed("Rex")
    act(BEGIN + HOUR + 5 * MINUTE + timedelta(seconds=15))
    assert noted == ["Rex"]
    # Later than an ordinary look goes back: the next wide one finds it.
    fed("Tom", BEGIN - 15 * MINUTE)
    Schedule.objects.filter(rule_slug=rule.slug).update(next_wide_at=BEGIN + 3 * HOUR)
    act(BEGIN + 2 * HOUR + 59 * MINUTE)
    assert noted == ["Rex"]
    act(BEGIN + 3 * HOUR)
    assert noted == ["Rex", "Tom"]


def test_what_was_due_before_the_rule_was_on_does_not_act(noted: list[str]) -> None:
    timed(on(), begin=BEGIN + 2 * HOUR)
    fed("Rex")
    fed("Tom", BEGIN + HOUR)
    fed("Kit", BEGIN + HOUR + timedelta(microseconds=1))
    act(BEGIN + DAY)
    assert noted == ["Kit"]


# Workers that stand still


def test_what_was_due_while_no_worker_looked_is_caught_up_in_order(noted: list[str]) -> None:
    # Frappe looks each day for the dates of that day: what was due while it stood still is skipped for good.
    timed(on())
    act(BEGIN)
    for name, hours in (("c", 50), ("a", 3), ("b", 20), ("d", 71)):
        fed(name, BEGIN + hours * HOUR)
    act(BEGIN + 3 * DAY)
    assert noted == ["a", "b", "c", "d"]


@pytest.mark.parametrize("fields", [{}, {"at": "18:00", "unit": "days"}, {"unit": "months"}, {"unit": "business_days"}])
def test_batches_go_on_in_order_and_leave_none_out(
    noted: list[str], monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any]
) -> None:
    monkeypatch.setattr(dates_looked_at, "BATCH", 3)
    rule = timed(on(**fields))
    for number in range(20):
        fed(f"{number:02}", BEGIN + number * HOUR)
    # A month later: each of them is due, and none is too late.
    act(BEGIN + (32 if fields.get("unit") == "months" else 5) * DAY)
    assert sorted(noted) == [f"{number:02}" for number in range(20)]
    assert len(fired(rule)) == 20


def test_what_is_too_late_is_left_out_and_counted(noted: list[str]) -> None:
    rule = timed(on(lateness=3600 * 24))
    act(BEGIN)
    for hours in (1, 2, 40):
        fed(str(hours), BEGIN + hours * HOUR)
    act(BEGIN + 2 * DAY)
    assert noted == ["40"]
    assert Schedule.objects.get(rule_slug=rule.slug).skipped == 2
    act(BEGIN + 2 * DAY + HOUR)
    assert Schedule.objects.get(rule_slug=rule.slug).skipped == 2


def test_a_rule_may_leave_out_what_a_stop_held_up(noted: list[str]) -> None:
    rule = timed(on(late="skip"))
    act(BEGIN)
    fed("then", BEGIN + HOUR)
    fed("now", BEGIN + 2 * DAY - HOUR)
    act(BEGIN + 2 * DAY)
    assert noted == ["now"]
    assert Schedule.objects.get(rule_slug=rule.slug).skipped == 1


@pytest.mark.parametrize("back", [MINUTE, HOUR, 2 * DAY])
def test_a_clock_that_is_set_back_and_forth_has_nothing_act_again(noted: list[str], back: timedelta) -> None:
    timed(on())
    fed("Rex")
    act(BEGIN + 2 * HOUR)
    for at in (BEGIN + 2 * HOUR - back, BEGIN + 2 * HOUR, BEGIN + 2 * HOUR - back, BEGIN + DAY):
        act(at)
    assert noted == ["Rex"]


def test_a_batch_that_failed_is_told_again_as_a_whole(noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    rule = timed(on())
    fed("Rex")

    def lost(*_args: Any, **_named: Any) -> Any:
        raise OSError("gone")

    with monkeypatch.context() as patched:
        patched.setattr(dates_looked_at, "tell", lost)
        look(BEGIN + 2 * HOUR)
    row = Schedule.objects.get(rule_slug=rule.slug)
    assert (row.error, row.looked_until, fired(rule)) == ("OSError: gone", None, [])
    assert RuleError.objects.get().message == "OSError: gone"
    act(BEGIN + 3 * HOUR)
    assert noted == ["Rex"]
    assert Schedule.objects.get(rule_slug=rule.slug).error == ""


# The rule: off, on, edited, paused, gone


def test_what_was_due_while_a_rule_was_off_is_left_out(noted: list[str]) -> None:
    rule = timed(on())
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    assert not Schedule.objects.exists()
    fed("Rex")
    act(BEGIN + 2 * HOUR)
    Rule.objects.filter(pk=rule.pk).update(enabled=True)
    set_back(rule, BEGIN + 3 * HOUR)
    fed("Tom", BEGIN + 3 * HOUR)
    act(BEGIN + 5 * HOUR)
    assert noted == ["Tom"]


def test_what_it_does_may_be_edited_and_when_it_acts_begins_anew() -> None:
    rule = timed(on())
    since = Schedule.objects.get().since
    rule.name = "Another"
    rule.save()
    assert Schedule.objects.get().since == since
    rule.schedule = on(count=2)
    rule.save()
    assert Schedule.objects.get().since > since - 10 * 365 * DAY
    assert Schedule.objects.get().since != since
    rule.delete()
    assert not Schedule.objects.exists()


def test_a_rule_that_gets_a_signal_instead_is_no_rule_on_time_any_more() -> None:
    rule = timed(on())
    rule.schedule, rule.signals = None, ["post_save"]
    rule.save()
    assert not Schedule.objects.exists()


def test_rules_loaded_at_once_are_armed_and_switched_off_in_bulk_disarmed() -> None:
    Rule.objects.bulk_create(
        Rule(slug=f"r{number}", name="R", model="zoo.animal", signals=[], schedule=on()) for number in range(3)
    )
    assert Schedule.objects.count() == 3
    Rule.objects.update(enabled=False)
    assert Schedule.objects.count() == 0
    arm("default")
    assert Schedule.objects.count() == 0


def test_a_pause_keeps_what_was_due_or_leaves_it_out(noted: list[str]) -> None:
    rule = timed(on())
    pause = Pause.objects.create(rule_slug=rule.slug, mode=Pause.Mode.HOLD)
    refresh()
    fed("Rex")
    act(BEGIN + 2 * HOUR)
    assert noted == []
    pause.delete()
    refresh()
    act(BEGIN + 2 * HOUR)
    assert noted == ["Rex"]
    pause = Pause.objects.create(rule_slug=rule.slug, mode=Pause.Mode.DROP)
    refresh()
    fed("Tom", BEGIN + 2 * HOUR)
    act(BEGIN + 4 * HOUR)
    pause.delete()
    refresh()
    fed("Kit", BEGIN + 4 * HOUR)
    act(BEGIN + 6 * HOUR)
    assert noted == ["Rex", "Kit"]


def test_a_rule_whose_field_is_gone_says_so_and_others_go_on(noted: list[str]) -> None:
    broken, well = timed(on()), timed(on())
    Rule.objects.filter(pk=broken.pk).update(schedule=on("gone"))
    refresh()
    set_back(broken, BEGIN)
    fed("Rex")
    act(BEGIN + 2 * HOUR)
    assert noted == ["Rex"]
    assert 'no field "gone"' in Schedule.objects.get(rule_slug=broken.slug).error
    assert [error.rule_slug for error in RuleError.objects.all()] == [broken.slug]
    act(BEGIN + 3 * HOUR)
    assert RuleError.objects.count() == 1
    assert fired(well)


# Matching, permissions, limits


def test_limits_hold_for_what_time_brings(noted: list[str]) -> None:
    timed(on(), throttle_count=1, throttle_seconds=3600)
    fed("Rex")
    fed("Tom", BEGIN + MINUTE)
    act(BEGIN + 2 * HOUR)
    assert noted == ["Rex"]
    assert HeldMatch.objects.filter(state=HeldMatch.State.DROPPED).count() == 1


def test_once_per_object_holds_over_moved_dates(noted: list[str]) -> None:
    timed(on(), once=True)
    rex = fed("Rex")
    act(BEGIN + 2 * HOUR)
    Animal.objects.filter(pk=rex.pk).update(fed_at=BEGIN + 3 * HOUR)
    act(BEGIN + 5 * HOUR)
    assert noted == ["Rex"]


def test_an_author_who_may_not_see_the_date_has_nothing_done() -> None:
    author = User.objects.create(username="ada")
    author.user_permissions.add(Permission.objects.get(codename="view_ticket"))
    timed(on("animal.fed_at"), Ticket, author=author, actions=[("note", {"text": "x"})])
    Ticket.objects.create(animal=fed("Rex"))
    act(BEGIN + 2 * HOUR)
    execution = Execution.objects.get()
    assert execution.state == "refused"
    assert "view_animal" in execution.error


def test_a_rule_in_shadow_does_nothing(noted: list[str]) -> None:
    rule = timed(on(), shadow=True)
    fed("Rex")
    act(BEGIN + 2 * HOUR)
    assert noted == []
    assert len(fired(rule)) == 1


# What it costs, and what is forgotten


def test_nothing_is_asked_of_a_table_while_nothing_can_be_due(django_assert_max_num_queries: Any) -> None:
    timed(on("born", 1, "days", at="18:00"))
    look(BEGIN)
    with django_assert_max_num_queries(16) as asked:
        look(BEGIN + HOUR)
    assert not [query for query in asked.captured_queries if "zoo_animal" in query["sql"]]


def test_a_site_without_rules_on_time_pays_one_query_a_look(django_assert_num_queries: Any) -> None:
    create_rule(Animal)
    is_any_due()
    with django_assert_num_queries(1):
        assert look_due() == 0


def test_an_idle_look_is_a_query_by_the_index_and_one_update(django_assert_num_queries: Any) -> None:
    timed(on())
    fed("Rex")
    look(BEGIN)
    look(BEGIN + MINUTE)
    # Whose turn it is, what is due, and how far it was looked: neither a lock nor a transaction.
    with django_assert_num_queries(3):
        look_due(now=BEGIN + MINUTE + timedelta(seconds=16))


def test_firings_are_kept_as_long_as_anything_may_be_late(noted: list[str], settings: Any) -> None:
    settings.RULES_ENGINE = {"RETENTION_DAYS": 1}
    rule = timed(on(lateness=366 * 24 * 3600), begin=datetime(2026, 1, 1, tzinfo=UTC))
    now = datetime.now(tz=UTC)
    for days in (400, 300):
        key = str(fed(str(days), now - days * DAY).pk)
        Firing.objects.create(rule_slug=rule.slug, object_key=key, due_at=now - days * DAY + HOUR)
    retention.prune()
    assert [at for _, at in fired(rule)] == [now - 300 * DAY + HOUR]
    set_back(rule, now - 500 * DAY)
    run_due()
    assert noted == []


def test_erasing_a_gone_object_takes_what_says_of_its_dates(noted: list[str]) -> None:
    rule = timed(on())
    rex = fed("Rex")
    act(BEGIN + 2 * HOUR)
    erase("zoo.animal", str(rex.pk))
    # It is there, and would be told again.
    assert len(fired(rule)) == 1
    set_back(rule, BEGIN)
    act(BEGIN + 3 * HOUR)
    assert noted == ["Rex"]
    pk = str(rex.pk)
    rex.delete()
    assert erase("zoo.animal", pk)["firings"] == 1
    assert fired(rule) == []


def test_keys_are_known_in_the_form_that_the_database_gives_them() -> None:
    timed(on("animal.fed_at"), Ticket, actions=[("note", {"text": "x"})])
    Ticket.objects.create(animal=fed("Rex"))
    act(BEGIN + 2 * HOUR)
    rule = cache.current().rules[0]
    dates = Dates(rule.slug, rule.model, rule.schedule or {}, "default")
    windows = dates.windows(BEGIN, BEGIN + 2 * HOUR)
    assert dates.within(windows).count() == 1
    assert dates.unfired(windows, BEGIN).count() == 0


def test_the_clock_is_the_databases(noted: list[str]) -> None:
    now = datetime.now(tz=UTC)
    timed(on(), begin=now - DAY)
    fed("past", now - HOUR - MINUTE)
    fed("future", now - HOUR + MINUTE)
    run_due()
    assert noted == ["past"]


# A rule that is edited, and a worker that has not read it yet


def before(count: int, path: str = "fed_at") -> Any:
    return on(path, count, "days", "before")


@pytest.mark.parametrize("path", ["fed_at", "born"])
def test_what_the_old_schedule_told_is_due_by_the_new_one_too(noted: list[str], path: str) -> None:
    rule = timed(before(3, path))
    value = BEGIN + 4 * DAY
    Animal.objects.create(name="Rex", **{path: value if path == "fed_at" else value.date()})
    act(BEGIN + DAY)
    assert noted == ["Rex"]
    rule.schedule = before(1, path)
    rule.save()
    refresh()
    set_back(rule, BEGIN + DAY + HOUR)
    for _ in range(2):
        act(BEGIN + 3 * DAY)
    assert noted == ["Rex", "Rex"]
    # What is done with by the same schedule stays so.
    act(BEGIN + 3 * DAY + HOUR)
    assert noted == ["Rex", "Rex"]


def test_a_process_that_has_not_read_an_edit_tells_nothing_by_it(noted: list[str]) -> None:
    rule = timed(on())
    fed("Rex")
    refresh()
    later = BEGIN + 2 * HOUR
    Schedule.objects.update(digest=arming.digest_of(rule.model, on(count=9)))
    looking._look_at(looking._turns(later, ())[0], later, set())
    assert not Event.objects.exists()
    assert Schedule.objects.get().next_look_at == later + timedelta(seconds=1)
    # It arms again by the rule that there is, and goes on with that.
    is_any_due()
    assert Schedule.objects.get().digest == arming.digest_of(rule.model, on())
    set_back(rule, BEGIN)
    act(later)
    assert noted == ["Rex"]
