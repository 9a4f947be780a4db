"""One action carried out once for each of some rows: which rows, what it reads of them, and who may."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import Permission
from django.core import mail
from django.core.signals import Signal

from project.accounts.models import User
from project.clinic.models import Department, Doctor
from project.shop.models import Order, OrderItem
from rules_engine import register_signal
from rules_engine.capture import decision
from rules_engine.context import signals
from rules_engine.errors import InvalidRule
from rules_engine.models import Event, Execution, HeldMatch, Rule
from rules_engine.outbox.releasing import release_due
from rules_engine.rules import repetition
from rules_engine.rules.permissions import needed
from rules_engine.testing import create_rule, run_due
from tests.factories import order_with_items
from tests.integration.noting import note

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("noted")]

ITEMS = {"for_each": "instance.items"}
#: Those of more than two pieces.
LARGE = {"for_each": {"filter": [{"var": "instance.items"}, {">": [{"var": "quantity"}, 2]}]}}


def order(*quantities: int) -> Order:
    items = [(quantity, "1.10") for quantity in quantities]
    return order_with_items(*items, order_number=str(Order.objects.count()))


def on_update(*actions: Any, **fields: Any) -> None:
    create_rule(Order, operations=["update"], actions=actions, **fields)


def problems(*actions: Any, **fields: Any) -> list[str]:
    with pytest.raises(InvalidRule) as caught:
        create_rule(**{"model": Order, **fields}, actions=actions)
    return [str(problem) for problem in caught.value.problems]


# Which rows


@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
def test_an_action_is_carried_out_for_each_row_of_a_relation(noted: list[str], timing: str) -> None:
    on_update(note("{{ instance.order_number }}: {{ each.quantity }} × {{ each.unit_price }}", timing=timing, **ITEMS))
    order(1, 2).save()
    run_due()
    assert noted == ["0: 1 × 1.10", "0: 2 × 1.10"]
    assert Execution.objects.count() == 2


@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
def test_an_expression_chooses_the_rows_and_their_decimals_stay_exact(noted: list[str], timing: str) -> None:
    on_update(note("{{ each.quantity }} × {{ each.unit_price }}", timing=timing, **LARGE))
    order(1, 3, 4).save()
    run_due()
    assert noted == ["3 × 1.10", "4 × 1.10"]


def test_each_reads_on_through_relations(noted: list[str]) -> None:
    on_update(note("{{ each.product.name }}", **ITEMS))
    order(1).save()
    run_due()
    assert noted == ["Lamp"]


def test_no_rows_are_no_execution_and_the_next_action_goes_on(noted: list[str]) -> None:
    on_update(note("{{ each.pk }}", on_failure="stop", **ITEMS), note("next"))
    order().save()
    run_due()
    assert noted == ["next"]


def test_thousands_of_rows_are_all_of_them_whatever_the_limit_of_rows_is(
    noted: list[str], settings: LazySettings
) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 10}
    on_update(note("{{ each.quantity }}", **ITEMS))
    order(*range(3_000)).save()
    release_due()
    assert Execution.objects.count() == 3_000
    assert run_due(limit=20) == 20
    assert noted == [str(n) for n in range(20)]
    assert Event.objects.get().execution_count == 3_000


def test_too_many_rows_are_none_and_the_record_says_why(noted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repetition, "MOST_ROWS", 5)
    monkeypatch.setattr(decision, "MOST_ROWS", 5)
    on_update(note("{{ each.pk }}", **ITEMS), note("{{ each.pk }}", **LARGE), note("next"))
    order(*range(5)).save()
    run_due()
    assert len(noted) == 5 + 2 + 1
    noted.clear()
    order(*[1] * 6).save()
    run_due()
    assert noted == ["next"]
    assert "more than 5 rows" in Execution.objects.filter(state="discarded").first().error  # type: ignore[union-attr]


def test_keys_of_a_relation_that_were_cut_off_are_not_all_of_them(noted: list[str], settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 3}
    create_rule(Doctor, signals=["m2m_changed"], operations=["add"], actions=[note("{{ each }}", for_each="m2m.pks")])
    doctor = Doctor.objects.create(first_name="Ada")
    found = [Department.objects.create(name=str(n)) for n in range(7)]
    doctor.departments.add(*found[:3])
    run_due()
    assert sorted(noted) == sorted(str(one.pk) for one in found[:3])
    doctor.departments.add(*found[3:])
    run_due()
    assert len(noted) == 3
    assert "m2m.pks is cut off at 3" in Execution.objects.get(state="discarded").error


def test_a_list_that_a_signal_sends_is_all_or_nothing(noted: list[str], settings: LazySettings) -> None:
    settings.RULES_ENGINE = {"ROWS_LIMIT": 3}
    signal = Signal()
    register_signal("zoo.guests_named", signal, arguments={"names": "Who"})
    try:
        create_rule(signals=["zoo.guests_named"], actions=[note("{{ each }}", for_each="signal.names")])
        signal.send(sender=None, names=["a", "b"])
        signal.send(sender=None, names=["c", "d", "e", "f"])
        run_due()
        assert noted == ["a", "b"]
        assert "signal.names is cut off" in Execution.objects.get(state="discarded").error
    finally:
        del signals._named["zoo.guests_named"]


def test_what_is_no_list_is_a_failure_in_words_and_not_nothing(noted: list[str]) -> None:
    on_update(note("{{ each }}", for_each={"var": "instance.order_number"}))
    order().save()
    run_due()
    assert Execution.objects.get().error == "for_each could not be worked out: It did not come to a list."


# When it acts


def test_each_is_the_row_as_it_was_when_the_rule_matched(noted: list[str]) -> None:
    on_update(note("{{ each.quantity }}", **ITEMS))
    made = order(1, 2)
    made.save()
    OrderItem.objects.all().delete()
    run_due()
    assert noted == ["1", "2"]


def test_a_row_that_fails_fails_alone(noted: list[str]) -> None:
    on_update(("note", {"text": "{{ each.quantity }}", "fails": "2"}, ITEMS))
    order(1, 2, 3).save()
    run_due()
    assert noted == ["1", "3"]
    assert Execution.objects.get(state="discarded").given["context"]["each"]["quantity"] == 2  # type: ignore[index]


def test_one_mail_for_each_row(noted: list[str]) -> None:
    config = {"to": ["{{ each.name }}@example.com"], "subject": "Hello {{ each.name }}", "body": "."}
    create_rule(Doctor, operations=["update"], actions=[("send_email", config, {"for_each": "instance.departments"})])
    doctor = Doctor.objects.create(first_name="Ada")
    doctor.departments.set([Department.objects.create(name=name) for name in ("a", "b")])
    doctor.save()
    run_due()
    assert sorted(message.to[0] for message in mail.outbox) == ["a@example.com", "b@example.com"]


def test_what_is_throttled_is_the_rule_and_not_each_row(noted: list[str]) -> None:
    on_update(note("{{ each.quantity }} +{{ held.count }}", **ITEMS), throttle_count=1, throttle_seconds=60)
    made = order(1, 2)
    made.save()
    made.save()
    run_due()
    assert noted == ["1 +0", "2 +0"]
    assert HeldMatch.objects.filter(state="dropped").count() == 1


def test_a_rule_in_shadow_reads_no_rows(noted: list[str]) -> None:
    on_update(note("{{ each.pk }}", **ITEMS), shadow=True)
    order(1).save()
    run_due()
    assert not noted
    assert not HeldMatch.objects.exists()


# What is wrong


@pytest.mark.parametrize(
    ("for_each", "sentence"),
    [
        ("instance.order_number", "is one thing and no list"),
        ("instance.customer", "is one thing and no list"),
        ("instance.itms", 'Did you mean "items"'),
        ("instance.items.product", '"instance.items" is a list itself'),
        ("instance.items.product.tags", '"instance.items" is a list itself'),
        ("items", 'Did you mean "instance.items"'),
        ("", "is not known"),
        (["instance.items"], "Expected a path"),
        (7, "Expected a path"),
        (True, "Expected a path"),
        ({"filter": [{"var": "instance.itms"}, True]}, 'Did you mean "items"'),
        ({"no_such": []}, "no_such"),
        ({}, "an empty object"),
    ],
)
def test_a_bad_for_each_is_a_sentence_at_its_field(for_each: Any, sentence: str) -> None:
    found = problems(note("x", for_each=for_each))
    assert any(one.startswith("/actions/0/for_each") and sentence in one for one in found), found


def test_texts_are_held_against_the_rows_that_they_read() -> None:
    assert any("quantty" in one for one in problems(note("{{ each.quantty }}", **ITEMS)))
    assert any('There is no "each" here' in one for one in problems(note("{{ each.quantity }}")))


def test_how_many_were_held_is_known_to_rules_that_hold_back_alone() -> None:
    assert any('there is no "held"' in one for one in problems(note("{{ held.count }}")))
    fields = {"throttle_count": 1, "throttle_seconds": 1}
    held = {">": [{"var": "held.count"}, 1]}
    assert any(one.startswith("/condition") for one in problems(note("x"), condition=held, **fields))
    assert any(one.startswith("/throttle_by") for one in problems(note("x"), throttle_by="{{ held.count }}", **fields))


# Who may

NAMES_OF_PRODUCTS = {"for_each": {"map": [{"var": "instance.items"}, {"var": "product_id"}]}}


@pytest.mark.parametrize("each", [ITEMS, LARGE, NAMES_OF_PRODUCTS])
def test_its_author_needs_to_see_the_rows_whether_texts_read_them_or_not(each: dict[str, Any]) -> None:
    create_rule(Order, slug="r", actions=[note("x", **each)])
    assert needed(Rule.objects.get(slug="r").spec()) == {"shop.view_order", "shop.view_orderitem"}


@pytest.mark.parametrize("each", [ITEMS, LARGE, NAMES_OF_PRODUCTS])
@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
def test_it_is_refused_when_its_author_may_not_see_the_rows(
    noted: list[str], timing: str, each: dict[str, Any]
) -> None:
    author = User.objects.create_user("ada", is_staff=True)
    author.user_permissions.add(Permission.objects.get(codename="view_order"))
    on_update(note("x", timing=timing, **each), author=author)
    order(5).save()
    run_due()
    assert not noted
    assert Execution.objects.get().state == "refused"
    author.user_permissions.add(Permission.objects.get(codename="view_orderitem"))
    order(5).save()
    run_due()
    assert noted == ["x"]
