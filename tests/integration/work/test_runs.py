"""Runs: one rule told of what is there, part by part, by workers that may die, wait or be several."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone

from project.accounts.models import User
from project.shop.models import Order
from rules_engine.live import cache
from rules_engine.models import Event, Execution, HeldMatch, Pause, RuleError, Run
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.work import retention
from rules_engine.work.runs import selecting, starting, telling
from rules_engine.work.runs.starting import CannotRun, cancel, start_run
from tests.factories import make_animals, make_order
from tests.zoo.fields import Ulid
from tests.zoo.models import Animal, Cage, Capsule, Dog, Enclosure, OldAnimal, Statue

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

NAME = ("note", {"text": "{{ instance.name }}"})
NUMBER = ("note", {"text": "{{ instance.order_number }}"})
PAID = {"==": [{"var": "instance.status"}, "paid"]}


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selecting, "PART", 2)


def run_of(rule: Any, **options: Any) -> Run:
    """Start a run and tell all of it."""
    run = start_run(rule.slug, **options)
    run_due()
    run.refresh_from_db()
    return run


def a_runner(*models: str) -> User:
    """Store a user who may run rules, and view objects of these models."""
    user = User.objects.create(username="ada")
    user.user_permissions.add(Permission.objects.get(codename="run_rule"))
    user.user_permissions.add(*Permission.objects.filter(codename__in=[f"view_{name}" for name in models]))
    return User.objects.get(pk=user.pk)


# What it is told of


def test_all_that_the_condition_selects_is_told_once(noted: list[str], small_parts: None) -> None:
    for number in range(5):
        make_order(order_number=str(number), status="paid" if number != 2 else "pending")
    run = run_of(create_rule(Order, condition=PAID, actions=[NUMBER]))
    assert noted == ["0", "1", "3", "4"]
    assert (run.state, run.matched, run.failed) == ("done", 4, 0)
    assert run.ended_at is not None
    run_due()
    assert len(noted) == 4


def test_objects_of_some_keys_are_told_in_that_order(noted: list[str], small_parts: None) -> None:
    a, _b, c, d = make_animals("a", "b", "c", "d")
    run = run_of(create_rule(Animal, actions=[NAME]), selection=[d.pk, a.pk, c.pk, a.pk])
    assert noted == ["d", "a", "c"]
    assert (run.total, run.looked_at, run.keys) == (3, 3, [])
    assert run.is_of_keys


def test_of_chosen_objects_those_act_on_which_the_condition_holds(noted: list[str]) -> None:
    paid, pending = make_order(status="paid", order_number="1"), make_order(status="pending", order_number="2")
    run = run_of(create_rule(Order, condition=PAID, actions=[NUMBER]), selection=[paid.pk, pending.pk])
    assert noted == ["1"]
    assert (run.looked_at, run.matched) == (2, 1)


def test_an_event_of_a_run_says_who_asked_and_which_run_it_was() -> None:
    user = a_runner("animal")
    [animal] = make_animals("a")
    rule = create_rule(Animal, actions=[("log_message", {"message": "{{ actor.username }}: {{ event.signal }}"})])
    run = run_of(rule, asked_by=user)
    event = Event.objects.get()
    assert (event.signal, event.operation, event.object_pk) == ("run", "", str(animal.pk))
    assert (event.actor_name, event.actor_id, event.request_id) == ("ada", str(user.pk), run.pk.hex)
    assert event.context["changed"] is None
    assert Execution.objects.get().summary == "Logged: ada: run"


def test_a_condition_reads_who_asked_and_what_was_due(noted: list[str]) -> None:
    make_animals("a")
    rule = create_rule(Animal, condition={"==": [{"var": "actor.username"}, "ada"]}, actions=[NAME])
    assert run_of(rule).matched == 0
    assert run_of(rule, asked_by=a_runner("animal")).matched == 1
    run_of(rule, asked_by=User.objects.get(), signal="due", due={"at": "2031-05-06T08:00:00+00:00"})
    event = Event.objects.get(signal="due")
    assert event.captured().context["due"] == {"at": "2031-05-06T08:00:00+00:00"}


def test_what_happened_and_which_fields_changed_is_not_asked(noted: list[str]) -> None:
    make_animals("a")
    rule = create_rule(Animal, operations=["create"], changes=[{"field": "name", "to": "z"}], actions=[NAME])
    assert run_of(rule).matched == 1
    assert noted == ["a"]


def test_what_acts_in_the_transaction_of_a_save_is_done_by_a_worker(noted: list[str]) -> None:
    rule = create_rule(Animal, signals=["pre_delete", "post_save"], actions=[(*NAME, {"timing": "in_transaction"})])
    make_animals("a")
    assert noted == ["a"]
    run_of(rule)
    assert noted == ["a", "a"]
    assert Execution.objects.filter(event__signal="run").get().state == "succeeded"


# What it heeds


def test_once_an_object_holds_for_runs(noted: list[str]) -> None:
    rule = create_rule(Animal, once=True, actions=[NAME])
    make_animals("a")
    run_due()
    Animal.objects.bulk_create([Animal(name="b")])
    run_of(rule)
    run_of(rule)
    assert noted == ["a", "b"]


def test_a_limit_holds_for_runs(noted: list[str]) -> None:
    make_animals("a", "b", "c")
    run = run_of(create_rule(Animal, throttle_count=2, throttle_seconds=60, actions=[NAME]))
    assert noted == ["a", "b"]
    assert run.matched == 3
    assert HeldMatch.objects.filter(state="dropped").count() == 1


def test_a_rule_in_shadow_is_recorded_and_does_nothing(noted: list[str]) -> None:
    make_animals("a")
    assert run_of(create_rule(Animal, shadow=True, actions=[NAME])).matched == 1
    assert noted == []
    assert Event.objects.get().evaluations[0]["outcome"] == "matched"


@pytest.mark.parametrize("mode", ["keep", "drop"])
def test_a_run_of_a_paused_rule_waits_for_the_end_of_that(noted: list[str], mode: str) -> None:
    make_animals("a")
    rule = create_rule(Animal, actions=[NAME])
    pause = Pause.objects.create(rule_slug=rule.slug, mode=mode)
    refresh()
    run = run_of(rule)
    assert (run.state, run.looked_at, noted) == ("waiting", 0, [])
    assert "paused" in run.reason
    pause.delete()
    Run.objects.update(due_at=run.created_at)
    refresh()
    run_due()
    run.refresh_from_db()
    assert (run.state, run.reason, noted) == ("done", "", ["a"])


def test_a_rule_outside_of_its_dates_acts_on_nothing(noted: list[str]) -> None:
    make_animals("a")
    create = create_rule(Animal, active_until=timezone.now() - timedelta(days=1), actions=[NAME])
    assert run_of(create).matched == 0
    assert noted == []


# What happens meanwhile


def tell_a_part() -> None:
    run = Run.objects.get()
    assert telling._tell(run.pk)


def test_a_rule_that_is_switched_off_or_deleted_meanwhile_stops(noted: list[str], small_parts: None) -> None:
    make_animals("a", "b", "c", "d")
    rule = create_rule(Animal, actions=[NAME])
    run = start_run(rule.slug)
    tell_a_part()
    rule.enabled = False
    rule.save()
    run_due()
    run.refresh_from_db()
    assert (run.state, run.reason, run.looked_at) == ("stopped", "The rule was switched off.", 2)
    rule.enabled = True
    rule.save()
    refresh()
    other = start_run(rule.slug)
    rule.delete()
    refresh()
    run_due()
    other.refresh_from_db()
    assert (other.state, other.reason) == ("stopped", "The rule was deleted.")


def test_a_rule_that_is_changed_meanwhile_stops_what_was_asked_of_it(small_parts: None) -> None:
    make_animals("a", "b", "c", "d")
    rule = create_rule(Animal, actions=[NAME])
    compiled = starting.live_rule(rule.slug)
    start_run(rule.slug, version=compiled.version)
    start_run(rule.slug)
    rule.condition = {"==": [{"var": "instance.name"}, "d"]}
    rule.save()
    refresh()
    run_due()
    asked, whichever = Run.objects.order_by("id")
    assert (asked.state, whichever.state, whichever.matched) == ("stopped", "done", 1)
    assert "changed" in asked.reason


def test_rows_that_come_later_are_left_out_and_those_that_go_are_passed(noted: list[str], small_parts: None) -> None:
    _a, _b, c, _d = make_animals("a", "b", "c", "d")
    rule = create_rule(Animal, actions=[NAME])
    run = start_run(rule.slug)
    tell_a_part()
    c.delete()
    Animal.objects.bulk_create([Animal(name="late")])
    run_due()
    run.refresh_from_db()
    assert noted == ["a", "b", "d"]
    assert run.looked_at == 3


def test_rows_that_keep_coming_do_not_make_it_endless(small_parts: None) -> None:
    make_animals("a", "b", "c")
    run = start_run(create_rule(Animal, actions=[NAME]).slug)
    for _part in range(5):
        telling._tell(run.pk)
        Animal.objects.bulk_create([Animal(name="more"), Animal(name="more")])
    run.refresh_from_db()
    assert (run.state, run.matched) == ("done", 3)


def test_a_cancelled_run_goes_no_further(noted: list[str], small_parts: None) -> None:
    make_animals("a", "b", "c", "d")
    run = start_run(create_rule(Animal, actions=[NAME]).slug)
    tell_a_part()
    assert cancel(run.pk, by="ada")
    run_due()
    run.refresh_from_db()
    assert (noted, run.state, run.looked_at) == (["a", "b"], "cancelled", 2)
    assert "ada" in run.reason
    assert not cancel(run.pk)


def test_whoever_loses_the_right_to_run_stops_their_run(noted: list[str], small_parts: None) -> None:
    user = a_runner("animal")
    make_animals("a", "b", "c", "d")
    run = start_run(create_rule(Animal, actions=[NAME]).slug, asked_by=user)
    tell_a_part()
    user.user_permissions.clear()
    run_due()
    run.refresh_from_db()
    assert (run.state, run.looked_at) == ("stopped", 2)
    assert "ada" in run.reason


def test_an_author_who_may_not_do_it_is_refused_as_ever(noted: list[str]) -> None:
    make_animals("a")
    author = User.objects.create(username="eve")
    run = run_of(create_rule(Animal, author=author, actions=[NAME]), asked_by=a_runner("animal"))
    assert run.matched == 1
    assert Execution.objects.get().state == "refused"
    assert noted == []


def test_a_part_that_cannot_be_told_is_tried_again(
    noted: list[str], small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_animals("a", "b", "c")
    run = start_run(create_rule(Animal, actions=[NAME]).slug)
    advance = telling._advance
    calls: list[int] = []

    def fails_once(*given: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("out of luck")
        advance(*given)

    monkeypatch.setattr(telling, "_advance", fails_once)
    telling.tell_due()
    run.refresh_from_db()
    assert (run.failures, run.looked_at, Event.objects.count()) == (1, 2, 2)
    assert run.reason == "A part could not be told (OSError); it is tried again."
    Run.objects.update(due_at=run.created_at)
    run_due()
    run.refresh_from_db()
    assert (run.state, run.reason, noted) == ("done", "", ["a", "b", "c"])


def test_an_object_that_fails_takes_no_other_along_and_is_told_of(noted: list[str]) -> None:
    make_animals("a", "b")
    rule = create_rule(Animal, condition={">": [{"*": [{"var": "instance.name"}, 2]}, 1]}, actions=[NAME])
    Animal.objects.filter(name="b").update(name="7")
    run = run_of(rule)
    assert (run.matched, run.failed, noted) == (1, 1, ["7"])
    assert run.reason
    assert RuleError.objects.get().rule_slug == rule.slug


def test_of_very_many_errors_some_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    Animal.objects.bulk_create([Animal(name="a") for _ in range(30)])
    run = run_of(create_rule(Animal, condition={">": [{"*": [{"var": "instance.name"}, 2]}, 1]}, actions=[NAME]))
    assert (run.failed, RuleError.objects.count()) == (30, 20)


def test_a_run_that_counts_does_nothing_and_says_how_many(noted: list[str], small_parts: None) -> None:
    make_animals("a", "b", "c")
    rule = create_rule(Animal, condition={"!=": [{"var": "instance.name"}, "b"]}, actions=[NAME])
    run = run_of(rule, counts_only=True)
    assert (run.state, run.looked_at, run.matched) == ("done", 3, 2)
    assert (noted, Event.objects.count()) == ([], 0)


# Models and keys


def test_what_inherits_and_what_stands_for_a_model_is_told(noted: list[str]) -> None:
    Dog.objects.create(name="dog")
    make_animals("cat")
    run_of(create_rule(Animal, actions=[NAME]))
    run_of(create_rule(Dog, actions=[NAME]))
    run_of(create_rule(OldAnimal, actions=[NAME]))
    assert sorted(noted) == sorted(["dog", "cat", "dog", "dog", "cat"])


@pytest.mark.parametrize("is_chosen", [False, True])
def test_keys_of_every_kind_are_walked_in_order(noted: list[str], small_parts: None, is_chosen: bool) -> None:
    for code in ("b", "A", "c c", "ö", "Z", "10", "9"):
        Cage.objects.create(code=code, name=code)
    for number in range(5):
        Capsule.objects.create(id=Ulid(f"{number:026}"), name=str(number))
        Enclosure.objects.create(house=number % 2, number=number, name=f"{number % 2}-{number}")
    keys: dict[Any, list[Any]] = {}
    for model in (Cage, Capsule, Enclosure):
        keys[model] = list(model.objects.values_list("pk", flat=True)) if is_chosen else None  # type: ignore[assignment]
        run = run_of(create_rule(model, actions=[NAME]), selection=keys[model])
        assert (run.state, run.matched) == ("done", model._default_manager.count())
    assert sorted(noted) == sorted([
        *Cage.objects.values_list("name", flat=True),
        *Capsule.objects.values_list("name", flat=True),
        *Enclosure.objects.values_list("name", flat=True),
    ])  # fmt: skip


def test_an_exhibit_with_a_key_of_its_own_is_told_by_it(noted: list[str], small_parts: None) -> None:
    for number in ("10", "9", "b"):
        Statue.objects.create(number=number, title=f"t{number}")
    run_of(create_rule(Statue, actions=[("note", {"text": "{{ instance.title }}"})]))
    assert sorted(noted) == ["t10", "t9", "tb"]


def test_a_table_without_rows_is_done_at_once() -> None:
    run = run_of(create_rule(Animal, actions=[NAME]))
    assert (run.state, run.looked_at, run.total) == ("done", 0, 0)


# What cannot be run


def test_a_rule_that_cannot_be_run_says_why() -> None:
    for fields, said in [
        ({"signals": ["user_logged_in"]}, "watches no model"),
        ({"model": Animal, "signals": ["post_delete"]}, "what is deleted"),
        ({"model": Animal, "enabled": False}, "switched on"),
        ({"model": Animal, "signals": ["pre_save"], "actions": [("reject", {"message": "no"})]}, "while an object"),
    ]:
        rule = create_rule(**fields)
        with pytest.raises(CannotRun, match=said):
            start_run(rule.slug)
    with pytest.raises(CannotRun, match="no rule nobody"):
        start_run("nobody")


def test_keys_that_are_none_and_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = create_rule(Animal, actions=[NAME])
    with pytest.raises(CannotRun, match="no key"):
        start_run(rule.slug, selection=["x"])
    monkeypatch.setattr(starting, "MOST_KEYS", 2)
    with pytest.raises(CannotRun, match="3 objects"):
        start_run(rule.slug, selection=[1, 2, 3])
    assert not Run.objects.exists()


# What is asked of the database


def selected(model: Any, **fields: Any) -> list[Any]:
    rule = create_rule(model, **fields)
    return list(selecting.rows_of(model, starting.live_rule(rule.slug), cache.alias()))


def test_a_constant_of_the_condition_is_asked_of_the_database() -> None:
    paid = make_order(status="paid")
    make_order(status="pending")
    assert selected(Order, condition=PAID) == [paid]
    assert selected(Order, condition={"and": [PAID, {">": [{"var": "instance.total"}, 1]}]}) == [paid]
    assert len(selected(Order, condition={"or": [PAID, {"==": [1, 1]}]})) == 2
    assert len(selected(Order, condition={"!=": [{"var": "instance.status"}, "paid"]})) == 2
    assert len(selected(Order, condition={"==": [{"var": "instance.total"}, 0]})) == 2


def test_old_runs_are_forgotten_and_live_ones_are_kept(settings: Any) -> None:
    make_animals("a")
    rule = create_rule(Animal, actions=[NAME])
    run_of(rule)
    start_run(rule.slug)
    Run.objects.update(created_at="2020-01-01T00:00Z")
    retention.prune()
    assert [run.state for run in Run.objects.all()] == ["waiting"]
