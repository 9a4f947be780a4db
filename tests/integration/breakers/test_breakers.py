"""The breaker of rules: when one is paused by itself, who is told, and what becomes of what it had to do."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import transaction

from project.clinic.models import Doctor
from rules_engine.live.breakers.adding import add_up
from rules_engine.live.breakers.opening import open_breakers
from rules_engine.models import Event, Execution, Pause, Rule, RuleError, RuleFailures
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.troubles import failures
from rules_engine.troubles.signals import rule_keeps_failing
from rules_engine.work.repeating import against_rivals
from tests.integration.noting import note
from tests.threads import run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

#: It cannot be said whether a name is below 5; of "Ada" it can, for then it need not be.
FAILS_UNLESS_ADA = {"or": [{"==": [{"var": "instance.first_name"}, "Ada"]}, {"<": [{"var": "instance.first_name"}, 5]}]}


@pytest.fixture(autouse=True)
def breaker(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 5, "percent": 0}}
    settings.ADMINS = [("Ops", "ops@example.com")]


def save(*names: str) -> None:
    for name in names:
        Doctor.objects.create(first_name=name)
    add_up()
    refresh()


def failing_rule(**fields: Any) -> Rule:
    made = {"slug": "picky", "condition": FAILS_UNLESS_ADA, "actions": [note("hello")], **fields}
    return create_rule("clinic.doctor", **made)


def test_a_rule_that_fails_at_each_save_is_paused(noted: list[str]) -> None:
    failing_rule()
    save("x", "x", "x", "x")
    assert open_breakers() == []
    save("x")
    [pause] = Pause.objects.all()
    assert (pause.rule_slug, pause.by_itself, pause.mode, pause.until) == ("picky", True, "hold", None)
    assert pause.reason == "It failed 5 times in a row."
    assert open_breakers() == ["picky"]


def test_a_success_between_failures_begins_the_count_anew() -> None:
    failing_rule()
    save("x", "x", "x", "x", "Ada", "x", "x", "x", "x")
    assert open_breakers() == []
    save("x")
    assert open_breakers() == ["picky"]


def test_what_matched_while_it_was_paused_is_done_afterwards(noted: list[str]) -> None:
    failing_rule()
    save(*["x"] * 5)
    save("Ada", "x")
    run_due()
    assert noted == []
    Pause.objects.get().delete()
    refresh()
    run_due()
    assert noted == ["hello"]


def test_most_of_the_time_is_enough_whatever_comes_between(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 0, "percent": 60, "least": 10}}
    failing_rule()
    save(*["x", "x", "Ada"] * 3)
    assert open_breakers() == []
    save("x")
    assert open_breakers() == ["picky"]
    assert Pause.objects.get().reason.startswith("It failed 7 of 10 times.")


def test_switched_off_nothing_is_counted(settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 0, "percent": 0}}
    failing_rule()
    save(*["x"] * 20)
    assert (open_breakers(), RuleFailures.objects.count(), failures.take()) == ([], 0, {})


def test_a_rule_whose_actions_are_given_up_is_paused(noted: list[str]) -> None:
    create_rule("clinic.doctor", slug="mute", actions=[note("{{ instance.first_name }}", fails="x")])
    save(*["x"] * 4, "Ada", *["x"] * 4)
    run_due()
    assert open_breakers() == []
    save("x")
    run_due()
    assert open_breakers() == ["mute"]
    assert noted == ["Ada"]


def test_the_pending_executions_of_a_paused_rule_go_on_after_resuming(noted: list[str]) -> None:
    create_rule("clinic.doctor", slug="mute", actions=[note("{{ instance.first_name }}", fails="x")])
    save(*["x"] * 5)
    run_due(limit=5)
    save("Ada")
    assert open_breakers() == ["mute"]
    run_due()
    assert noted == []
    Pause.objects.get().delete()
    refresh()
    run_due()
    assert noted == ["Ada"]


def test_whoever_resumes_gives_it_another_chance() -> None:
    failing_rule()
    save(*["x"] * 5)
    Pause.objects.get().delete()
    save(*["x"] * 4)
    assert open_breakers() == []
    save("x")
    assert open_breakers() == ["picky"]


@pytest.mark.parametrize("way", ["save", "update", "action"])
def test_an_edit_closes_the_breaker(way: str) -> None:
    rule = failing_rule()
    save(*["x"] * 5)
    if way == "save":
        rule.condition = None
        rule.save()
    elif way == "update":
        Rule.objects.update(condition=None)
    else:
        rule.actions.get().save()
    refresh()
    assert open_breakers() == []


def test_a_veto_that_fails_is_told_of_and_not_paused() -> None:
    told: list[Any] = []
    receiver = lambda **sent: told.append((sent["rule"], sent["is_paused"]))  # noqa: E731
    rule_keeps_failing.connect(receiver)
    reject = ("reject", {"message": "No."})
    create_rule("clinic.doctor", ["pre_save"], slug="guard", condition=FAILS_UNLESS_ADA, actions=[reject])
    try:
        save(*["x"] * 12)
    finally:
        rule_keeps_failing.disconnect(receiver)
    assert (told, Pause.objects.count()) == ([("guard", False)], 0)
    with pytest.raises(Exception, match=r"No\."):
        Doctor.objects.create(first_name="Ada")


def test_its_author_is_mailed_or_else_the_administrators() -> None:
    author = get_user_model().objects.create_superuser("ada", email="ada@example.com")
    failing_rule(author=author)
    failing_rule(slug="nobody's")
    save(*["x"] * 5)
    run_due()
    told = {tuple(sent.to): sent for sent in mail.outbox}
    assert set(told) == {("ada@example.com",), ("ops@example.com",)}
    assert told["ada@example.com",].subject == "The rule picky keeps failing and was paused"
    assert "It failed 5 times in a row." in told["ada@example.com",].body


@pytest.mark.parametrize(("who", "to"), [("nobody", set()), ("admins", {"ops"}), ("both", {"ada", "ops"})])
def test_who_is_mailed_can_be_set(who: str, to: set[str], settings: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 5, "mail": who}}
    author = get_user_model().objects.create_superuser("ada", email="ada@example.com")
    failing_rule(author=author)
    save(*["x"] * 5)
    run_due()
    assert {address.split("@")[0] for sent in mail.outbox for address in sent.to} == to


def test_a_site_hears_of_it_by_a_rule(noted: list[str]) -> None:
    said = "{{ signal.name }} {{ signal.part }} {{ signal.failed }} {{ signal.is_paused }}"
    create_rule(signals=["rules_engine.rule_keeps_failing"], actions=[note(said)])
    failing_rule()
    save(*["x"] * 5)
    run_due()
    assert noted == ["picky condition 5 True"]


def test_processes_that_race_open_one_breaker() -> None:
    failing_rule()
    create_rule(signals=["rules_engine.rule_keeps_failing"], actions=[note("told")])

    def count(_number: int) -> None:
        # As each of several processes has it, whose threads add up at one time.
        for _ in range(3):
            failures.note("picky", 1, "It fails.")
            # What a rival on MariaDB undoes is put back, and added up at a later look.
            against_rivals(add_up)

    run_together(4, count)
    run_due()
    assert open_breakers() == ["picky"]
    assert len(mail.outbox) == 1
    assert Event.objects.filter(signal="rules_engine.rule_keeps_failing").count() == 2  # the mail's own, and the rule's


@pytest.mark.parametrize("address", ["", "ada", "ada@example.com\nBcc: spy@example.com", "a@x.com, b@x.com"])
def test_where_its_author_cannot_be_mailed_administrators_are(address: str) -> None:
    author = get_user_model().objects.create_user("ada", email="")
    get_user_model().objects.update(email=address)
    failing_rule(author=author)
    save(*["x"] * 5)
    run_due()
    assert [sent.to for sent in mail.outbox] == [["ops@example.com"]]


def test_what_cannot_be_added_up_is_added_up_later(monkeypatch: Any) -> None:
    failing_rule()
    with monkeypatch.context() as broken:
        broken.setattr(RuleFailures, "save", lambda *args, **options: 1 / 0)
        Doctor.objects.create(first_name="x")
        with pytest.raises(ZeroDivisionError):
            add_up()
    save(*["x"] * 4)
    assert open_breakers() == ["picky"]


def test_a_failure_in_a_transaction_that_is_undone_counts() -> None:
    failing_rule()
    for _ in range(5):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            Doctor.objects.create(first_name="x")
            raise ZeroDivisionError
    add_up()
    assert open_breakers() == ["picky"]


def test_a_rule_that_fails_at_each_save_leaves_few_rows_and_lines(settings: Any, caplog: Any) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "BREAKER": {"in_a_row": 0, "percent": 0}}
    failing_rule()
    for _ in range(200):
        Doctor.objects.create(first_name="x")
    assert RuleError.objects.count() == Event.objects.count() == 10
    assert sum("could not be evaluated" in line for line in caplog.messages) == 10


def test_a_save_where_nothing_fails_asks_nothing_more(django_assert_num_queries: Any) -> None:
    name = {"var": "instance.first_name"}
    failing_rule(condition={"and": [{"!=": [name, "Ada"]}, {"<": [name, 5]}]})
    save("x")
    assert "picky" in failures.watched
    with django_assert_num_queries(1):  # the INSERT, though its success is counted
        Doctor.objects.create(first_name="Ada")
    [count] = failures.take().values()
    assert (count.succeeded, count.failed) == (1, 0)


def test_a_rule_that_is_paused_by_people_is_left_to_them() -> None:
    failing_rule()
    Pause.objects.create(reason="Maintenance.")
    refresh()
    save(*["x"] * 8)
    assert open_breakers() == []
    assert Execution.objects.count() == 0
