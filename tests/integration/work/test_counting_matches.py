"""Rules that act at the N-th match in a window, and actions that are handed all matches that they act for."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from project.accounts.models import User
from project.shop.models import Order
from rules_engine.errors import InvalidRule
from rules_engine.models import Event, Execution, HeldMatch, Rule
from rules_engine.models.held import TAKEN_TOGETHER, TOO_SELDOM
from rules_engine.outbox import counting
from rules_engine.outbox.releasing import release_due, release_now
from rules_engine.rules.permissions import needed
from rules_engine.rules.schedules import listed
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_animals, make_order
from tests.integration.noting import Note, note
from tests.threads import run_together
from tests.zoo.models import Animal, Keeper

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

THREE = {"kind": "often", "times": 3, "count": 10, "unit": "minutes"}
NAMES = note("{% for event in events %}{{ event.instance.name }} {% endfor %}")
MORE = "{% for event in events %}{{ event.instance.name }},{% endfor %} and {{ held.more }} more"


def often(*actions: Any, **fields: Any) -> Rule:
    return create_rule(Animal, **{"schedule": THREE, **fields}, actions=actions or [NAMES])


def let_minutes_pass(minutes: float) -> None:
    """As if all that is recorded of matches had happened so much earlier."""
    earlier = timedelta(minutes=minutes)
    HeldMatch.objects.update(
        due_at=F("due_at") - earlier, created_at=F("created_at") - earlier, waits_since=F("waits_since") - earlier
    )


def waiting() -> int:
    return HeldMatch.objects.filter(state="waiting").count()


# N in a window


def test_the_rule_acts_at_the_nth_match_and_tells_of_all_of_them(noted: list[str]) -> None:
    often()
    make_animals("a", "b")
    run_due()
    assert noted == []
    make_animals("c")
    run_due()
    assert noted == ["a b c "]
    assert Counter(HeldMatch.objects.values_list("state", "reason")) == {
        ("released", ""): 1,
        ("dropped", TAKEN_TOGETHER): 2,
    }


def test_what_made_it_up_is_used_up(noted: list[str]) -> None:
    often()
    make_animals(*"abcdefg")
    run_due()
    assert noted == ["a b c ", "d e f "]
    assert waiting() == 1
    make_animals("h", "i")
    run_due()
    assert noted[2:] == ["g h i "]


def test_matches_further_apart_than_the_window_do_not_count(noted: list[str]) -> None:
    often()
    make_animals("a", "b")
    run_due()
    let_minutes_pass(11)
    make_animals("c", "d")
    run_due()
    assert noted == []
    assert set(HeldMatch.objects.exclude(reason="").values_list("reason", flat=True)) == {TOO_SELDOM}
    make_animals("e")
    run_due()
    assert noted == ["c d e "]


def test_it_is_by_when_they_happened_and_not_when_a_worker_looks(noted: list[str]) -> None:
    often()
    make_animals("a", "b", "c")
    let_minutes_pass(3 * 24 * 60)
    make_animals("d")
    run_due()
    assert noted == ["a b c "]
    assert waiting() == 1


def test_what_waits_for_more_is_not_looked_at_again_and_again(noted: list[str]) -> None:
    often()
    make_animals("a", "b")
    assert release_due() == 2
    assert release_due() == 0
    let_minutes_pass(11)
    assert release_due() == 2
    assert waiting() == 0


def test_each_key_is_counted_by_itself(noted: list[str]) -> None:
    often(schedule={**THREE, "by": "{{ instance.legs }}"})
    for number, name in enumerate("abcdef"):
        Animal.objects.create(name=name, legs=number % 2)
    run_due()
    assert sorted(noted) == ["a c e ", "b d f "]


def test_a_throttle_goes_with_it(noted: list[str]) -> None:
    often(throttle_count=1, throttle_seconds=3_600)
    make_animals(*"abcdef")
    run_due()
    assert noted == ["a b c "]


def test_only_matches_count(noted: list[str]) -> None:
    often(condition={"!=": [{"var": "instance.name"}, "x"]})
    make_animals("a", "x", "x", "b", "c")
    run_due()
    assert noted == ["a b c "]


def test_a_save_that_is_undone_does_not_count(noted: list[str]) -> None:
    often()
    make_animals("a", "b")
    with transaction.atomic():
        make_animals("c")
        transaction.set_rollback(True)
    run_due()
    assert noted == []


def test_twenty_writers_at_once_are_counted_exactly(noted: list[str]) -> None:
    often(note("{{ held.count }}"), schedule={**THREE, "times": 4})

    def write(number: int) -> None:
        for step in range(3):
            Animal.objects.create(name=f"{number}.{step}")
            if step == 1:
                release_due()

    run_together(20, write)
    run_due()
    # Sixty matches in four each; whichever worker decided, none counts twice and none is lost.
    assert noted == ["3"] * 15
    assert waiting() == 0
    assert Counter(HeldMatch.objects.values_list("state", flat=True)) == {"released": 15, "dropped": 45}


def test_a_flood_of_one_key_is_counted_in_parts(noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "MOST_WAITING", 7)
    often(note("{{ held.count }}"))
    make_animals(*map(str, range(31)))
    run_due()
    assert (noted, waiting()) == (["2"] * 10, 1)


def test_a_match_that_somebody_lets_go_acts_by_itself(noted: list[str]) -> None:
    often()
    make_animals("a", "b")
    run_due()
    release_now(list(HeldMatch.objects.filter(state="waiting").values_list("pk", flat=True)[:1]), reason="By hand.")
    run_due()
    assert noted in (["a "], ["b "])


def test_a_rule_that_is_switched_off_counts_no_more(noted: list[str]) -> None:
    often()
    make_animals("a", "b", "c")
    Rule.objects.update(enabled=False)
    refresh()
    run_due()
    assert (noted, waiting()) == ([], 0)


def test_signals_without_a_model_are_counted_too(noted: list[str]) -> None:
    create_rule(signals=["user_login_failed"], schedule=THREE, actions=[note("{{ held.count }} more")])
    from django.contrib.auth.signals import user_login_failed

    for _number in range(3):
        user_login_failed.send(sender=__name__, credentials={"username": "eve"}, request=None)
    run_due()
    assert noted == ["2 more"]


# All of them as a list


def test_matches_that_are_taken_together_are_handed_on_in_order(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=60, coalesce_by="all", actions=[note(MORE)])
    make_animals("a", "b", "c")
    let_minutes_pass(2)
    run_due()
    assert noted == ["a,b,c, and 0 more"]


def test_one_match_alone_is_a_list_of_one(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=60, coalesce_by="all", actions=[note(MORE)])
    make_animals("a")
    let_minutes_pass(2)
    run_due()
    assert noted == ["a, and 0 more"]


def test_of_many_the_first_are_handed_on_and_the_rest_counted(
    noted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listed, "MOST_LISTED", 3)
    create_rule(Animal, coalesce_seconds=60, coalesce_by="all", actions=[note(MORE)])
    make_animals(*map(str, range(40)))
    let_minutes_pass(2)
    run_due()
    assert noted == ["0,1,2, and 37 more"]


def test_a_debounce_that_goes_on_loses_none(noted: list[str]) -> None:
    create_rule(Animal, coalesce_seconds=60, coalesce_by="all", debounce=True, actions=[note(MORE)])
    make_animals("a", "b")
    # The first is due, the second keeps it from acting.
    HeldMatch.objects.filter(pk=HeldMatch.objects.earliest("created_at").pk).update(due_at=Now())
    release_due()
    assert waiting() == 1
    make_animals("c", "d")
    let_minutes_pass(2)
    run_due()
    assert noted == ["a,b,c,d, and 0 more"]


def test_one_mail_tells_of_all() -> None:
    body = "{% for event in events %}{{ forloop.counter }}. {{ event.instance.order_number }}\n{% endfor %}"
    config = {"to": "ops@example.com", "subject": "{{ events|length }} orders", "body": body}
    create_rule(Order, coalesce_seconds=60, coalesce_by="all", actions=[("send_email", config)])
    for number in "AB":
        make_order(order_number=number)
    let_minutes_pass(2)
    run_due()
    [letter] = mail.outbox
    assert (letter.subject, letter.body.strip()) == ("2 orders", "1. A\n2. B")


def test_events_tell_what_changed_and_who_did_it(noted: list[str]) -> None:
    text = "{% for event in events %}{{ event.old.name }}→{{ event.instance.name }} {{ event.changed }}{% endfor %}"
    often(note(text), operations=["update"], schedule={**THREE, "times": 2})
    [animal] = make_animals("a")
    for name in "bc":
        animal.name = name
        animal.save()
    run_due()
    assert noted[0].startswith("a→b")
    assert "b→c" in noted[0]


def test_an_author_sees_of_them_what_they_may_view(noted: list[str]) -> None:
    author = User.objects.create_user("author")
    author.user_permissions.set(Permission.objects.filter(codename="view_animal"))
    create_rule(Animal, actions=[note("{{ instance.keeper.name }}")])
    often(author=author)
    for name in "abc":
        Animal.objects.create(name=name, keeper=Keeper.objects.create(name="Kim"))
    run_due()
    assert noted[-1] == "a b c "
    assert [event["instance"].keys() & {"name", "keeper"} for event in Note.contexts[-1].data["events"]] == [
        {"name"}
    ] * 3


def test_reading_related_objects_of_events_takes_the_right_to_view_them() -> None:
    text = "{% for event in events %}{{ event.instance.customer.username }}{% endfor %}"
    rule = create_rule(Order, schedule=THREE, actions=[("log_message", {"message": text})])
    assert "accounts.view_user" in needed(rule.spec())


def test_events_that_are_forgotten_are_left_out(noted: list[str]) -> None:
    often()
    make_animals("a", "b", "c")
    release_due()
    Event.objects.filter(object_pk=Animal.objects.get(name="b").pk).delete()
    run_due()
    assert noted == ["a c "]


def test_an_execution_holds_ids_and_no_copies() -> None:
    often(note("{{ held.count }}"))
    make_animals("a", "b", "c")
    release_due()
    assert Execution.objects.get().given == {"context": {"held": {"count": 2, "together": 2, "throttled": 0}}}


# What is wrong


@pytest.mark.parametrize(
    ("text", "fields", "said"),
    [
        ("{{ events }}", {}, 'There is no "events" here'),
        ("{% for e in events %}{{ e.instance.nme }}{% endfor %}", {"coalesce_seconds": 1}, 'no field "nme"'),
        ("{% for e in events %}{{ e.nonsense }}{% endfor %}", {"coalesce_seconds": 1}, '"nonsense" is not known'),
        ("{{ events.0.instance.nme }}", {"schedule": THREE}, 'no field "nme"'),
        ("{{ held.mre }}", {"schedule": THREE}, 'Did you mean "more"?'),
    ],
)
def test_a_text_that_reads_what_is_not_there_is_told(text: str, fields: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidRule) as caught:
        create_rule(Animal, actions=[note(text)], **fields)
    assert said in str(caught.value)


def test_a_condition_cannot_read_the_list_that_it_decides_about() -> None:
    with pytest.raises(InvalidRule) as caught:
        often(condition={"!!": [{"var": "events"}]})
    assert '/condition/!!/0: There is no "events" here' in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"times": 1}, "/schedule/times"),
        ({"times": 1_001}, "/schedule/times"),
        ({"times": "3"}, "/schedule/times"),
        ({"count": 0}, "/schedule/count"),
        ({"count": 31, "unit": "days"}, "/schedule/count"),
        ({"unit": "months"}, "/schedule/unit"),
        ({"unit": None}, "/schedule/unit"),
        ({"by": 7}, "/schedule/by"),
        ({"by": "{{ instance.nme }}"}, "/schedule/by"),
        ({"by": "{{ held.count }}"}, "/schedule/by"),
        ({"zone": "UTC"}, "/schedule/zone"),
    ],
)
def test_a_schedule_that_counts_wrongly_is_told_where(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(InvalidRule) as caught:
        often(schedule={**THREE, **fields})
    assert pointer in [problem.pointer for problem in caught.value.problems]


def test_a_rule_that_counts_does_not_wait_for_more_as_well() -> None:
    with pytest.raises(InvalidRule) as caught:
        often(coalesce_seconds=60)
    assert "takes them together already" in str(caught.value)


def test_a_rule_that_counts_acts_after_the_commit_alone() -> None:
    with pytest.raises(InvalidRule) as caught:
        often(note("x", timing="in_transaction"))
    assert "after the commit alone" in str(caught.value)
