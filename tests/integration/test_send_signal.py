"""``send_signal``: receivers in the worker, and the rules that listen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail
from django.db import transaction

from project.clinic.models import Doctor
from project.clinic.signals import appointment_cancelled, doctor_went_on_vacation
from rules_engine.models import Event, Execution
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import ActionContractTests, create_rule, run_due
from rules_engine.types import ActionSpec, RuleSpec
from tests.factories import make_doctor

pytestmark = pytest.mark.django_db(transaction=True)

VACATION = "clinic.doctor_went_on_vacation"
CANCELLED = "clinic.appointment_cancelled"
WITH_OBJECT = {"signal": VACATION, "with_object": True}

Connect = Callable[[Any, Any], None]


class TestContract(ActionContractTests):
    kind = "send_signal"
    config = {"signal": CANCELLED, "arguments": [{"name": "reason", "value": "{{ instance.last_name }}"}]}
    context = {"instance": {"last_name": "Byron"}}
    rule = RuleSpec(slug="vacation", model="clinic.doctor", signals=("post_save",))


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects receivers that are disconnected again after the test."""
    connected = []

    def to(signal: Any, receiver: Any) -> None:
        signal.connect(receiver, weak=False)
        connected.append((signal, receiver))

    yield to
    for signal, receiver in connected:
        signal.disconnect(receiver)


@pytest.fixture
def heard(connect: Connect) -> list[dict[str, Any]]:
    """What receivers of the two signals were given."""
    found: list[dict[str, Any]] = []

    def listen(**sent: Any) -> None:
        found.append(sent)

    connect(doctor_went_on_vacation, listen)
    connect(appointment_cancelled, listen)
    return found


def on_doctor(config: dict[str, Any], **more: Any) -> Any:
    return create_rule(Doctor, actions=[("send_signal", config)], **more)


def problems(config: dict[str, Any], model: str = "clinic.doctor", signal: str = "post_save") -> dict[str, str]:
    rule = RuleSpec(slug="r", model=model, signals=(signal,), actions=(ActionSpec("send_signal", config),))
    return {one.pointer.removeprefix("/actions/0/config"): one.message for one in rule_problems(rule)}


def test_receivers_get_the_object_as_it_is_then(heard: list[dict[str, Any]]) -> None:
    on_doctor(WITH_OBJECT, operations=["create"])
    doctor = make_doctor()
    Doctor.objects.filter(pk=doctor.pk).update(last_name="King")
    assert heard == []
    run_due()
    [sent] = heard
    assert sent["sender"] is Doctor
    assert sent["instance"].last_name == "King"
    assert Execution.objects.get().summary.startswith(f"Sent {VACATION} to ")


def test_receivers_get_the_arguments_and_no_object_unless_asked(heard: list[dict[str, Any]]) -> None:
    on_doctor({"signal": CANCELLED, "arguments": [{"name": "reason", "value": "{{ instance.last_name }} is away"}]})
    make_doctor()
    run_due()
    [sent] = heard
    assert sent["reason"] == "Byron is away"
    assert "instance" not in sent


def test_nothing_is_sent_for_what_is_rolled_back(heard: list[dict[str, Any]]) -> None:
    on_doctor(WITH_OBJECT)
    with transaction.atomic():
        make_doctor()
        transaction.set_rollback(True)
    assert run_due() == 0
    assert heard == []


def test_rules_on_the_signal_continue_the_chain() -> None:
    on_doctor(WITH_OBJECT, slug="first", changes=[{"field": "is_on_vacation", "to": True}])
    body = "Doctor {{ signal.instance.pk }}, {{ event.depth }} after the first"
    create_rule(
        signals=[VACATION],
        actions=[("send_email", {"to": ["admin@example.com"], "subject": "Vacation", "body": body})],
    )
    doctor = make_doctor()
    assert mail.outbox == []
    doctor.is_on_vacation = True
    doctor.save()
    assert run_due() == 2
    [message] = mail.outbox
    assert message.body == f"Doctor {doctor.pk}, 1 after the first"
    first, second = Event.objects.order_by("occurred_at")
    assert (second.root_id, second.depth) == (first.pk, 1)


def test_a_rule_on_another_signal_sends_without_a_sender(heard: list[dict[str, Any]]) -> None:
    create_rule(signals=["shop.order_paid"], actions=[("send_signal", {"signal": VACATION})])
    from project.shop.signals import order_paid

    order_paid.send(sender=None)
    run_due()
    assert [sent["sender"] for sent in heard] == [None]


def test_two_rules_that_send_each_others_signal_come_to_an_end() -> None:
    create_rule(signals=[VACATION], actions=[("send_signal", {"signal": CANCELLED})])
    create_rule(signals=[CANCELLED], actions=[("send_signal", {"signal": VACATION})])
    doctor_went_on_vacation.send(sender=None)
    assert run_due() <= 10


def test_an_object_that_is_gone_is_not_waited_for(heard: list[dict[str, Any]]) -> None:
    on_doctor(WITH_OBJECT)
    make_doctor().delete()
    run_due()
    execution = Execution.objects.get()
    assert (execution.state, execution.error) == ("discarded", "The object is gone.")
    assert heard == []


def test_a_receiver_that_fails_is_named_and_the_others_are_called(
    connect: Connect, heard: list[dict[str, Any]]
) -> None:
    def careless(**_: Any) -> None:
        raise KeyError("phone")

    async def late(**_: Any) -> None:
        raise ValueError("no")

    connect(doctor_went_on_vacation, careless)
    connect(doctor_went_on_vacation, late)
    on_doctor(WITH_OBJECT)
    make_doctor()
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "retryable"
    assert "careless: KeyError: 'phone'" in execution.error
    assert "late: ValueError: no" in execution.error
    assert len(heard) == 1


def test_a_signal_of_djangos_under_another_name_is_not_sent() -> None:
    from django.core.signals import request_started
    from django.db.models.signals import pre_init

    from rules_engine.context import signals

    try:
        for name, signal in (("ours.request", request_started), ("ours.init", pre_init)):
            signals.register_signal(name, signal)
            assert "Django's" in problems({"signal": name})["/signal"]
    finally:
        signals._named.pop("ours.request")
        signals._named.pop("ours.init")


@pytest.mark.parametrize(
    ("config", "pointer", "words"),
    [
        ({}, "/signal", "Name the signal"),
        ({"signal": "clinic.doctor_went_on_vacatoin"}, "/signal", f'Did you mean "{VACATION}"?'),
        ({"signal": "post_save"}, "/signal", "Django's"),
        ({"signal": "user_logged_in"}, "/signal", "Django's"),
        ({"signal": "template_rendered"}, "/signal", "Django's"),
        ({"signal": CANCELLED, "arguments": [{"name": "reson"}]}, "/arguments/0/name", 'Did you mean "reason"?'),
        ({"signal": CANCELLED, "arguments": [{"name": "sender"}]}, "/arguments/0/name", "taken"),
        ({"signal": CANCELLED, "arguments": [{"name": "instance"}]}, "/arguments/0/name", "taken"),
        (
            {"signal": CANCELLED, "arguments": [{"name": "reason", "value": {"var": "instance.lst_name"}}]},
            "/arguments/0/value/var",
            "last_name",
        ),
    ],
)
def test_what_is_wrong_is_reported_at_its_place(config: dict[str, Any], pointer: str, words: str) -> None:
    found = problems(config)
    assert words in found.get(pointer, found.get(pointer.removesuffix("/var"), "")), found


def test_an_object_that_cannot_be_there_is_reported() -> None:
    assert "gone" in problems(WITH_OBJECT, signal="post_delete")["/with_object"]
    assert "no model" in problems(WITH_OBJECT, model="", signal="shop.order_paid")["/with_object"]


def test_handing_over_the_object_takes_the_permission_to_change_it(heard: list[dict[str, Any]]) -> None:
    author = get_user_model().objects.create_user("author", is_staff=True)
    author.user_permissions.add(Permission.objects.get(codename="view_doctor"))
    on_doctor(WITH_OBJECT, author=author)
    make_doctor()
    run_due()
    execution = Execution.objects.get()
    assert execution.state == "refused"
    assert execution.error.endswith("lacks the permission clinic.change_doctor.")
    assert heard == []
