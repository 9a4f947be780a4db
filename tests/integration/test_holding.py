"""Rules that hold back: throttled, waiting for more, once per object, on a sample, between dates."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import connection, transaction
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from project.accounts.models import User
from project.clinic.models import Doctor
from project.shop.models import Order
from rules_engine.capture import outcome
from rules_engine.databases.generic import seconds_from_now
from rules_engine.models import Event, Execution, HeldMatch, Rule
from rules_engine.outbox.releasing import release_due
from rules_engine.rules.gates import DRAW_BITS, SAMPLE
from rules_engine.rules.matching import CompiledRule
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.types import MatchSubject
from rules_engine.work import retention
from rules_engine.work.erasure.of_object import erase
from tests.factories import make_animals
from tests.statements import statements_of
from tests.threads import run_together
from tests.zoo.models import Animal, Dog, OldAnimal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

NAME = ("note", {"text": "{{ instance.name }}"})
NAME_OF_DOCTOR = ("note", {"text": "{{ instance.first_name }}"})
NAME_AND_HELD = ("note", {"text": "{{ instance.name }} +{{ held.count }}"})


def let_time_pass(seconds: float) -> None:
    """As if all that is recorded of matches had happened so much earlier."""
    earlier = timedelta(seconds=seconds)
    for match in HeldMatch.objects.all():
        match.due_at -= earlier
        match.waits_since -= earlier
        match.created_at -= earlier
        match.decided_at = match.decided_at and match.decided_at - earlier
        match.save()


def dropped() -> set[str]:
    return set(HeldMatch.objects.filter(state="dropped").values_list("reason", flat=True))


# Throttle


def test_a_throttled_rule_acts_so_often_and_says_how_many_it_held(noted: list[str]) -> None:
    create_rule(Animal, throttle_count=2, throttle_seconds=60, actions=[NAME_AND_HELD])
    make_animals("a", "b", "c", "d", "e")
    run_due()
    assert noted == ["a +0", "b +0"]
    assert dropped() == {"The rule acts at most 2 times in 60 seconds."}
    let_time_pass(61)
    make_animals("f", "g", "h")
    run_due()
    assert noted[2:] == ["f +3", "g +0"]


def test_what_was_taken_together_is_told_from_what_the_throttle_held(noted: list[str]) -> None:
    create_rule(
        Animal,
        coalesce_seconds=10,
        coalesce_by="{{ instance.name }}",
        throttle_count=1,
        throttle_seconds=60,
        actions=[("note", {"text": "{{ instance.name }} {{ held.together }}+{{ held.throttled }}={{ held.count }}"})],
    )
    make_animals("a", "a", "b", "b")
    let_time_pass(11)
    run_due()
    assert noted == ["a 1+0=1"]
    let_time_pass(61)
    make_animals("b", "b", "b")
    let_time_pass(11)
    run_due()
    assert noted[1:] == ["b 2+2=4"]


def test_the_window_slides(noted: list[str]) -> None:
    create_rule(Animal, throttle_count=2, throttle_seconds=60, actions=[NAME])
    make_animals("a")
    run_due()
    let_time_pass(40)
    make_animals("b")
    run_due()
    let_time_pass(30)
    make_animals("c", "d")
    run_due()
    assert noted == ["a", "b", "c"]


def test_a_throttle_counts_separately_for_each_text(noted: list[str]) -> None:
    create_rule(
        Order,
        throttle_count=1,
        throttle_seconds=60,
        throttle_by="{{ instance.customer_id }}",
        actions=[("note", {"text": "{{ instance.order_number }} +{{ held.count }}"})],
    )
    ada, eve = (User.objects.create(username=name) for name in ("ada", "eve"))
    for number, customer in enumerate((ada, ada, eve, ada, None, None)):
        Order.objects.create(order_number=str(number), customer=customer)
    run_due()
    assert noted == ["0 +0", "2 +0", "4 +0"]
    let_time_pass(61)
    for number, customer in ((6, eve), (7, ada), (8, None)):
        Order.objects.create(order_number=str(number), customer=customer)
    run_due()
    assert noted[3:] == ["6 +0", "7 +2", "8 +1"]


def test_a_throttle_counts_by_texts_of_any_length(noted: list[str]) -> None:
    create_rule(Animal, throttle_count=1, throttle_seconds=60, throttle_by="{{ instance.notes }}", actions=[NAME])
    for name, notes in (("a", "x" * 400), ("b", "x" * 400), ("c", "x" * 399 + "y")):
        Animal.objects.create(name=name, notes=notes)
    run_due()
    assert noted == ["a", "c"]


def test_ten_writers_at_once_get_through_what_the_throttle_lets(noted: list[str]) -> None:
    create_rule(Animal, throttle_count=7, throttle_seconds=600, actions=[NAME])

    def write(number: int) -> None:
        for n in range(5):
            make_animals(f"{number}.{n}")
            release_due()

    run_together(10, write)
    release_due()
    run_due()
    assert len(noted) == 7
    assert HeldMatch.objects.filter(state="dropped").count() == 43
    assert not HeldMatch.objects.filter(state="waiting").exists()


@pytest.mark.row_locks
def test_savers_of_a_throttled_rule_do_not_wait_for_each_other() -> None:
    create_rule(Animal, throttle_count=1, throttle_seconds=60, actions=[NAME])
    with transaction.atomic():
        make_animals("a")
        run_together(1, lambda _: make_animals("b"))
    assert HeldMatch.objects.count() == 2


def test_a_saver_that_rolls_back_uses_nothing_up(noted: list[str]) -> None:
    create_rule(Animal, throttle_count=1, throttle_seconds=60, actions=[NAME])
    with transaction.atomic():
        make_animals("a")
        transaction.set_rollback(True)
    make_animals("b")
    run_due()
    assert noted == ["b"]


def test_what_a_throttle_looks_back_on_outlives_the_retention(noted: list[str], settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"RETENTION_DAYS": 1}
    create_rule(Animal, throttle_count=1, throttle_seconds=10 * 24 * 3600, actions=[NAME])
    make_animals("a")
    run_due()
    let_time_pass(5 * 24 * 3600)
    Event.objects.update(created_at=F("created_at") - timedelta(days=5))
    retention.prune()
    make_animals("b")
    run_due()
    assert noted == ["a"]
    let_time_pass(20 * 24 * 3600)
    retention.prune()
    assert not HeldMatch.objects.exists()


# Coalesce and debounce


def test_the_last_state_of_one_transaction_wins(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=0, actions=[NAME_AND_HELD])
    with transaction.atomic():
        one, _ = make_animals("a", "b")
        for name in ("c", "d"):
            one.name = name
            one.save()
    run_due()
    assert sorted(noted) == ["b +0", "d +2"]


def test_two_transactions_are_two_however_late_they_are_looked_at(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=0, actions=[NAME_AND_HELD])
    [one] = make_animals("a")
    with transaction.atomic():
        for name in ("b", "c"):
            one.name = name
            one.save()
    one.name = "d"
    one.save()
    run_due()
    assert noted == ["a +0", "c +1", "d +0"]


def test_a_savepoint_that_is_rolled_back_is_no_part_of_the_transaction(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=0, actions=[NAME_AND_HELD])
    with transaction.atomic():
        with transaction.atomic():
            make_animals("lost")
            transaction.set_rollback(True)
        [one] = make_animals("a")
        with transaction.atomic():
            one.name = "b"
            one.save()
        with transaction.atomic():
            one.name = "lost"
            one.save()
            transaction.set_rollback(True)
    run_due()
    assert noted == ["b +1"]


def test_of_the_matches_in_a_window_the_last_one_acts_when_it_ends(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=30, actions=[NAME_AND_HELD])
    [one] = make_animals("a")
    run_due()
    let_time_pass(20)
    one.name = "b"
    one.save()
    run_due()
    assert not noted
    let_time_pass(11)
    run_due()
    assert noted == ["b +1"]


def test_what_is_taken_together_can_be_said_by_a_text(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=0, coalesce_by="{{ instance.legs }}", actions=[NAME_AND_HELD])
    with transaction.atomic():
        for name, legs in (("a", 4), ("b", 2), ("c", 4)):
            Animal.objects.create(name=name, legs=legs)
    run_due()
    assert sorted(noted) == ["b +0", "c +1"]


def test_a_debounce_waits_until_it_is_quiet(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=30, debounce=True, actions=[NAME_AND_HELD])
    [one] = make_animals("a")
    for name in ("b", "c", "d"):
        let_time_pass(20)
        one.name = name
        one.save()
        run_due()
    assert not noted
    let_time_pass(29)
    run_due()
    assert not noted
    let_time_pass(2)
    run_due()
    assert noted == ["d +3"]


def test_no_debounce_goes_on_for_ever(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=30, debounce=True, actions=[NAME_AND_HELD])
    [one] = make_animals("0")
    for number in range(1, 17):
        let_time_pass(20)
        one.name = str(number)
        one.save()
        run_due()
    assert len(noted) == 1
    name, held = noted[0].split(" +")
    assert int(name) == int(held)
    assert int(name) in (15, 16)


def test_the_last_one_is_told_by_the_databases_clock(noted: list[str]) -> None:
    """Ids are made by a server's own clock, which may be behind another's."""
    create_rule(Animal, coalesce_seconds=30, actions=[NAME])
    [one] = make_animals("first")
    if connection.vendor == "sqlite":
        HeldMatch.objects.update(created_at=seconds_from_now(-1))
    match = HeldMatch.objects.get()
    ahead = match.pk.int + (3_600_000 << 80)
    HeldMatch.objects.update(id=type(match.pk)(int=ahead))
    one.name = "last"
    one.save()
    let_time_pass(31)
    run_due()
    assert noted == ["last"]


def test_a_throttle_counts_what_acts_and_not_what_is_taken_together(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=0, throttle_count=2, throttle_seconds=60, actions=[NAME_AND_HELD])
    for names in ("ab", "cd", "ef"):
        with transaction.atomic():
            [one] = make_animals(names[0])
            one.name = names[1]
            one.save()
    run_due()
    assert noted == ["b +1", "d +1"]
    let_time_pass(61)
    make_animals("g")
    run_due()
    assert noted[2:] == ["g +2"]


def test_a_thousand_saves_in_one_transaction_act_once(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=0, actions=[NAME_AND_HELD])
    with transaction.atomic():
        [one] = make_animals("0")
        for number in range(1, 1_000):
            one.name = str(number)
            one.save()
    with CaptureQueriesContext(connection) as queries:
        release_due()
    assert len(queries) < 30
    run_due()
    assert noted == ["999 +999"]


# Once


def test_once_per_object_is_the_first_match_and_never_again(noted: list[str]) -> None:
    create_rule(Animal, once=True, actions=[NAME])
    one, _ = make_animals("a", "b")
    for name in ("c", "d"):
        one.name = name
        one.save()
        run_due()
    assert sorted(noted) == ["a", "b"]
    assert dropped() == {"It has acted on this object before."}


def test_once_outlives_the_retention_and_a_new_version_of_the_rule(noted: list[str]) -> None:
    rule = create_rule(Animal, once=True, actions=[NAME])
    [one] = make_animals("a")
    run_due()
    let_time_pass(60 * 24 * 3600)
    for model in (Event, Execution):
        model.objects.update(created_at=F("created_at") - timedelta(days=60))
    retention.prune()
    assert not Event.objects.exists()
    Rule.objects.filter(pk=rule.pk).update(coalesce_seconds=0)
    refresh()
    one.save()
    run_due()
    assert noted == ["a"]


def test_erasing_an_object_erases_that_a_rule_acted_on_it(noted: list[str]) -> None:
    create_rule(Animal, once=True, actions=[NAME])
    dog = Dog.objects.create(name="a")
    run_due()
    Event.objects.all().delete()
    erase("zoo.dog", str(dog.pk))
    assert not HeldMatch.objects.exists()


def test_an_object_is_the_same_whichever_of_its_models_saves_it(noted: list[str]) -> None:
    create_rule(Animal, once=True, actions=[NAME])
    dog = Dog.objects.create(name="a")
    Animal.objects.get(pk=dog.pk).save()
    OldAnimal.objects.get(pk=dog.pk).save()
    run_due()
    assert noted == ["a"]


def test_once_is_about_the_object_whatever_is_taken_together(noted: list[str]) -> None:
    create_rule(Animal, once=True, coalesce_seconds=0, coalesce_by="{{ instance.legs }}", actions=[NAME])
    make_animals("a")
    make_animals("b")[0].save()
    run_due()
    assert noted == ["a", "b"]


def test_once_and_throttle_what_was_throttled_may_act_later(noted: list[str]) -> None:
    create_rule(Animal, once=True, throttle_count=1, throttle_seconds=60, actions=[NAME_AND_HELD])
    one, other = make_animals("a", "b")
    run_due()
    one.save()
    let_time_pass(61)
    other.save()
    run_due()
    # One was held back by the throttle; that the rule had acted on "a" before is not counted.
    assert noted == ["a +0", "b +1"]


def test_once_under_savers_and_deciders_at_the_same_moment(noted: list[str]) -> None:
    create_rule(Animal, once=True, actions=[NAME])
    [one] = make_animals("a")

    def write(number: int) -> None:
        Animal.objects.get(pk=one.pk).save()
        release_due()

    run_together(10, write)
    release_due()
    run_due()
    assert noted == ["a"]
    assert not HeldMatch.objects.filter(state="waiting").exists()


# Deciding


def test_two_workers_that_decide_at_once_write_each_execution_once(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=30, actions=[NAME])
    create_rule(Animal, once=True, actions=[NAME])
    make_animals(*(str(n) for n in range(60)))
    let_time_pass(31)
    run_together(4, lambda _: release_due())
    release_due()
    assert Execution.objects.count() == 120
    assert HeldMatch.objects.filter(state="released").count() == 120


def test_what_waited_for_a_rule_that_went_is_dropped(noted: list[str]) -> None:
    rule = create_rule(Animal, throttle_count=1, throttle_seconds=60, actions=[NAME_AND_HELD])
    make_animals("a")
    Rule.objects.filter(pk=rule.pk).update(enabled=False)
    run_due()
    assert dropped() == {"The rule was disabled or deleted."}
    Rule.objects.filter(pk=rule.pk).update(enabled=True)
    refresh()
    make_animals("b")
    run_due()
    assert noted == ["b +0"]


def test_a_clock_that_goes_back_lets_no_more_through(noted: list[str]) -> None:
    create_rule(Animal, throttle_count=1, throttle_seconds=60, actions=[NAME])
    make_animals("a")
    run_due()
    let_time_pass(-3600)
    make_animals("b")
    run_due()
    assert noted == ["a"]


# Sample, dates, stop


def draws_of(slug: str, share: float) -> tuple[int, int]:
    """What chance has to draw that a rule with this sample is tried, and that it is not."""
    rule = CompiledRule(slug, 1, "zoo.animal", frozenset(), sample=share)
    # Sixteen draws that lie evenly between 0 and the largest: times any odd number they do so again, in another order.
    draws = range(0, 2**DRAW_BITS, 2**DRAW_BITS // 16)
    subjects = [MatchSubject("post_save", "create", {}, timezone.now(), draw=draw) for draw in draws]
    inside = next(subject.draw for subject in subjects if SAMPLE.stop(rule, subject) is None)
    outside = next(subject.draw for subject in subjects if SAMPLE.stop(rule, subject) is not None)
    return inside or 0, outside or 0


def test_a_sample_tries_the_rule_on_its_share_of_events(noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    create_rule(Animal, slug="sampled", sample_percent=25, actions=[NAME])
    inside, outside = draws_of("sampled", share=0.25)
    draws = iter([inside, outside, outside, inside])
    monkeypatch.setattr(outcome.random, "getrandbits", lambda bits: next(draws))
    make_animals("a", "b", "c", "d")
    run_due()
    assert noted == ["a", "d"]
    assert Event.objects.count() == 2


def test_a_rule_is_tried_between_its_dates_alone(noted: list[str]) -> None:
    now, hour = timezone.now(), timedelta(hours=1)
    for slug, dates in {
        "past": {"active_until": now - hour},
        "future": {"active_from": now + hour},
        "now": {"active_from": now - hour, "active_until": now + hour},
    }.items():
        create_rule(Animal, slug=slug, actions=[("note", {"text": slug})], **dates)
    make_animals("a")
    run_due()
    assert noted == ["now"]


def test_a_rule_that_stops_keeps_later_ones_from_the_same_event(noted: list[str]) -> None:
    odd = {"==": [{"var": "instance.name"}, "a"]}
    create_rule(Animal, position=1, condition=odd, stop_processing=True, actions=[("note", {"text": "first"})])
    create_rule(Animal, position=2, actions=[("note", {"text": "second"})])
    make_animals("a", "b")
    run_due()
    assert noted == ["first", "second"]


def test_a_rule_in_shadow_stops_no_other(noted: list[str]) -> None:
    create_rule(Animal, position=1, shadow=True, stop_processing=True, actions=[("note", {"text": "shadow"})])
    create_rule(Animal, position=2, actions=[("note", {"text": "second"})])
    make_animals("a")
    run_due()
    assert noted == ["second"]


# Cost


def test_a_rule_that_holds_nothing_back_costs_no_statement_for_it() -> None:
    create_rule(Doctor, actions=[NAME_OF_DOCTOR])
    with transaction.atomic():
        made = statements_of(lambda: Doctor.objects.create(first_name="Ada"))
    assert len(made) == 3, made  # the doctor, the event, the execution
    assert not any("held" in one or "pause" in one for one in made)


def test_a_throttled_rule_costs_as_many_statements_as_another() -> None:
    create_rule(Doctor, throttle_count=1, throttle_seconds=60, actions=[NAME_OF_DOCTOR])
    with transaction.atomic():
        made = statements_of(lambda: Doctor.objects.create(first_name="Ada"))
    assert len(made) == 3, made
