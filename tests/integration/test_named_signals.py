"""Signals without a model: logins, a site's own with the object they are about, and what of their arguments is kept."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.contrib.auth import authenticate, get_user_model, login, logout
from django.contrib.auth.models import Permission
from django.core import checks, mail
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import connection, connections, models, transaction
from django.dispatch import Signal
from django.test import Client, RequestFactory
from django.test.signals import setting_changed, template_rendered
from django.test.utils import CaptureQueriesContext

from project.clinic.models import Doctor
from project.clinic.signals import appointment_cancelled, doctor_went_on_vacation
from project.shop.models import Order, Product
from project.shop.signals import order_paid
from rules_engine import conf, register_signal
from rules_engine.context import signals
from rules_engine.errors import DuplicateRegistration
from rules_engine.live import cache, faults
from rules_engine.models import AuditEntry, Event, Execution
from rules_engine.rules.signals import hearing
from rules_engine.rules.validation import rule_problems
from rules_engine.testing import create_rule, refresh, run_due
from rules_engine.types import ActionSpec, RuleSpec
from tests.factories import make_endpoint
from tests.zoo.models import Animal, Dog, Keeper
from webhooks.deliveries.payload import body

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]
bell = Signal()
register_signal("zoo.fed", bell, label="An animal was fed", arguments={"instance": "The animal", "food": "What"})
loose = Signal()
register_signal("zoo.anything", loose)


@pytest.fixture(autouse=True)
def _no_faults() -> Iterator[None]:
    before = faults.of_process.total
    yield
    assert faults.of_process.total == before


def problems(**fields: Any) -> dict[str, str]:
    return {one.pointer: one.message for one in rule_problems(RuleSpec(**{"slug": "r", **fields}))}


def the_signal() -> dict[str, Any]:
    found: dict[str, Any] = Event.objects.get().context["signal"]
    return found


# Logins


@pytest.fixture
def user() -> Any:
    return get_user_model().objects.create_user("ada", password="canary-password")


def audit(signal: str, **config: Any) -> None:
    create_rule(signals=[signal], actions=[("write_audit_entry", config)])


def test_logins_and_logouts_are_audited_with_who_and_where(user: Any) -> None:
    audit("user_logged_in", note="{{ signal.user.username }} from {{ signal.request.path }}")
    audit("user_logged_out", note="{{ signal.user.username }}")
    client = Client()
    client.post("/admin/login/", {"username": "ada", "password": "canary-password"})
    client.force_login(user)
    client.get("/")
    logout_request = RequestFactory().get("/leave/")
    logout_request.session, logout_request.user = client.session, user
    logout(logout_request)
    run_due()
    entries = list(AuditEntry.objects.order_by("at"))
    assert [one.operation for one in entries] == ["USER_LOGGED_IN", "USER_LOGGED_IN", "USER_LOGGED_OUT"][
        -len(entries) :
    ]
    assert {one.actor_name for one in entries} == {"ada"}
    assert entries[-1].note == "ada"
    assert entries[-1].request_path == "/leave/"
    assert "canary" not in str(list(AuditEntry.objects.values()) + list(Event.objects.values()))


def test_a_login_outside_of_the_middleware_is_that_users(user: Any) -> None:
    audit("user_logged_in")
    request = RequestFactory().post("/api/login/?key=canary")
    request.session = Client().session
    login(request, user)
    run_due()
    entry = AuditEntry.objects.get()
    assert (entry.actor_name, entry.actor_id, entry.request_path) == ("ada", str(user.pk), "/api/login/")


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("write_audit_entry", {"note": "Tried as {{ signal.credentials.username }}"}),
        ("log_message", {"message": "Tried as {{ signal.credentials.username }}"}),
        ("send_email", {"to": ["a@example.com"], "subject": "x", "body": "{{ signal.credentials.username }}"}),
    ],
)
def test_a_failed_login_names_the_user_tried_and_never_the_password(kind: str, config: Any) -> None:
    create_rule(signals=["user_login_failed"], actions=[(kind, config)])
    given = {"password": "canary-password", "otp": "canary-otp", "pin": "canary-pin"}
    assert authenticate(RequestFactory().post("/login/"), username="mallory", **given) is None
    assert run_due() == 1
    execution = Execution.objects.get()
    assert execution.state == "succeeded", execution.error
    assert the_signal() == {
        "credentials": {"username": "mallory"},
        "request": {"method": "POST", "path": "/login/"},
    }
    everything = [*Event.objects.values(), *Execution.objects.values(), *AuditEntry.objects.values()]
    assert "canary" not in str(everything)
    if kind == "send_email":
        assert "mallory" in mail.outbox[0].body


def test_of_credentials_nothing_but_the_username_is_told() -> None:
    create_rule(signals=["user_login_failed"], actions=LOG)
    signals.find_signal("user_login_failed").signal.send(sender=object, credentials={"email": "a"}, request=None)
    signals.find_signal("user_login_failed").signal.send(sender=object, credentials={"username": "m\x00" + "x" * 999})
    signals.find_signal("user_login_failed").signal.send(sender=object, credentials=None)
    told = [one.context["signal"]["credentials"]["username"] for one in Event.objects.order_by("occurred_at")]
    assert told == [None, "m\ufffd" + "x" * 248 + "…", None]


def test_a_webhook_about_a_login_carries_its_arguments_and_no_password(user: Any) -> None:
    make_endpoint("audit", url="https://example.com/hook")
    create_rule(signals=["user_login_failed"], actions=[("webhook", {"endpoint": "audit"})])
    authenticate(username="ada", password="canary-wrong")
    execution = Execution.objects.get()
    sent = json.loads(body(execution.event.captured()))
    assert sent["type"] == "user_login_failed"
    assert sent["data"]["signal"] == {"credentials": {"username": "ada"}, "request": None}
    assert "canary" not in str(sent)


# Validation by documented arguments


@pytest.mark.parametrize(
    ("fields", "pointer", "fragment"),
    [
        (
            {"signals": ("user_login_failed",), "condition": {"==": [{"var": "signal.credential.username"}, "a"]}},
            "/condition/==/0",
            'Did you mean "credentials"?',
        ),
        (
            {"signals": ("zoo.fed",), "actions": (ActionSpec("log_message", {"message": "{{ signal.fod }}"}),)},
            "/actions/0/config/message",
            'Did you mean "food"?',
        ),
        ({"signals": ("request_finished",), "condition": {"!": {"var": "signal.x"}}}, "/condition/!", "no arguments"),
        (
            {"signals": ("post_save",), "model": "zoo.animal", "condition": {"!": {"var": "signal.food"}}},
            "/condition/!",
            "post_save is none",
        ),
        ({"signals": ("user_logged_in",), "model": "zoo.animal"}, "/signals/0", "without a model"),
        ({"signals": ("zoo.fed",), "model": "zoo.animal", "changes": ({"field": "name"},)}, "/changes", "what changed"),
        (
            {"signals": ("zoo.fed",), "model": "zoo.animal", "condition": {"!": {"var": "old.name"}}},
            "/condition/!",
            "old",
        ),
        (
            {"signals": ("zoo.fed",), "model": "zoo.animal", "condition": {"!": {"var": "instance.nam"}}},
            "/condition/!",
            'Did you mean "name"?',
        ),
        ({"signals": ("zoo.fed",), "condition": {"!": {"var": "instance.name"}}}, "/condition/!", "no model"),
    ],
)
def test_what_a_signal_does_not_carry_is_a_problem(fields: Any, pointer: str, fragment: str) -> None:
    found = problems(**fields)
    assert fragment in found.get(pointer, ""), found


def test_a_signal_whose_arguments_are_not_documented_may_be_read_freely() -> None:
    assert problems(signals=("zoo.anything",), condition={"!": {"var": "signal.x"}}) == {}
    assert problems(signals=("zoo.fed", "zoo.anything"), condition={"!": {"var": "signal.x"}}) == {}
    assert problems(signals=("zoo.fed",), model="zoo.animal", condition={"!": {"var": "instance.name"}}) == {}


# A signal with its object


def paid_order() -> Order:
    customer = get_user_model().objects.create_user("kim", email="kim@example.com")
    order = Order.objects.create(order_number="A1", customer=customer)
    for stock in (5, 8):
        product = Product.objects.create(name=f"P{stock}", slug=f"p{stock}", price=2, stock=stock)
        order.items.create(product=product, quantity=2, unit_price=2)
    return order


def test_a_rule_with_a_model_reads_the_object_relations_and_sums() -> None:
    total = {"reduce": [{"var": "instance.items"}, {"+": [{"var": "current.quantity"}, {"var": "accumulator"}]}, 0]}
    text = "{{ instance.customer.username }}: {% for item in instance.items %}{{ item.quantity }} {% endfor %}"
    order = paid_order()
    create_rule(
        "shop.order",
        ["shop.order_paid"],
        condition={"==": [total, 4]},
        actions=[("send_email", {"to": ["{{ instance.customer.email }}"], "subject": "Paid", "body": text})],
    )
    order_paid.send(sender=Order, instance=order)
    event = Event.objects.get()
    assert (event.model, event.object_pk, event.operation) == ("shop.order", str(order.pk), "")
    assert run_due() == 1
    assert mail.outbox[0].to == ["kim@example.com"]
    assert mail.outbox[0].body.strip() == "kim: 2 2"


def test_an_order_that_is_paid_takes_its_items_from_stock() -> None:
    order = paid_order()
    values = [{"field": "stock", "value": -1, "how": "increment"}]
    create_rule(
        "shop.order", ["shop.order_paid"], actions=[("update_objects", {"target": "items.product", "values": values})]
    )
    order_paid.send(sender=Order, instance=order)
    run_due()
    assert Execution.objects.get().state == "succeeded", Execution.objects.get().error
    assert sorted(Product.objects.values_list("stock", flat=True)) == [4, 7]


def test_rules_are_chained_through_a_signal_with_its_object() -> None:
    create_rule(
        Doctor,
        changes=[{"field": "is_on_vacation", "to": True}],
        actions=[("send_signal", {"signal": "clinic.doctor_went_on_vacation", "with_object": True})],
    )
    body = "{{ instance.first_name }} is away"
    create_rule(
        Doctor,
        ["clinic.doctor_went_on_vacation"],
        actions=[
            ("send_email", {"to": ["a@example.com"], "subject": "Away", "body": body}),
            ("update_objects", {"values": [{"field": "first_name", "value": "Lady {{ instance.first_name }}"}]}),
        ],
    )
    doctor = Doctor.objects.create(first_name="Ada", last_name="B", email="a@example.com", slug="a")
    doctor.is_on_vacation = True
    doctor.save()
    run_due()
    assert [one.body.strip() for one in mail.outbox] == ["Ada is away"]
    assert Doctor.objects.get().first_name == "Lady Ada"
    assert [event.depth for event in Event.objects.order_by("depth")][:2] == [0, 1]


def test_only_objects_of_the_model_are_heard_descendants_among_them() -> None:
    create_rule(Animal, ["zoo.fed"], actions=LOG)
    create_rule(Dog, ["zoo.fed"], actions=LOG)
    animal, dog = Animal.objects.create(name="a"), Dog.objects.create(name="d")
    Event.objects.all().delete()
    for sent in (animal, dog, Keeper.objects.create(name="k"), None, "text", Animal):
        bell.send(sender=object, instance=sent, food="hay")
    bell.send(sender=object)
    found = [(event.model, event.executions.count()) for event in Event.objects.order_by("occurred_at")]
    assert found == [("zoo.animal", 1), ("zoo.dog", 2)]


@pytest.fixture
def dinner() -> Iterator[Signal]:
    """Another app's signal, whose object is called otherwise."""
    dinner = Signal()
    signals.register_signal(
        "zoo.dinner", dinner, arguments={"guest": "The animal", "food": "What it got"}, instance="guest"
    )
    yield dinner
    cache.reset()
    del signals._named["zoo.dinner"]


def test_an_object_of_another_name_is_heard_by_its_registration(dinner: Signal) -> None:
    message = "{{ instance.name }} had {{ signal.food }}"
    create_rule(
        Animal,
        ["zoo.dinner"],
        condition={"!=": [{"var": "instance.name"}, "x"]},
        actions=[("log_message", {"message": message})],
    )
    dinner.send(sender=object, guest=Animal.objects.create(name="Rex"), food="hay")
    dinner.send(sender=object, instance=Animal.objects.create(name="Not he"), food="hay")
    [event] = Event.objects.filter(signal="zoo.dinner")
    assert event.context["instance"]["name"] == "Rex"
    run_due()
    assert Execution.objects.get().summary.endswith("Rex had hay")


def test_an_object_of_another_name_may_be_named_in_the_settings(settings: Any) -> None:
    path = f"{__name__}.loose"
    described = {"signal": path, "arguments": {"pet": "The animal"}, "instance": "pet"}
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SIGNALS": {"zoo.petted": described}}
    create_rule(Animal, ["zoo.petted"], actions=LOG)
    loose.send(sender=object, pet=Animal.objects.create(name="Rex"))
    assert [event.model for event in Event.objects.filter(signal="zoo.petted")] == ["zoo.animal"]
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SIGNALS": {"zoo.petted": {**described, "instance": 5}}}
    assert "instance" in " ".join(conf.problems())


def test_a_rule_that_cannot_hear_is_told_so(dinner: Signal, settings: Any) -> None:
    def rule(name: str) -> RuleSpec:
        return RuleSpec(
            slug="r", model="zoo.animal", signals=(name,), actions=(ActionSpec("log_message", {"message": "x"}),)
        )

    assert rule_problems(rule("zoo.dinner")) == []
    named = {"signal": f"{__name__}.loose", "arguments": {"pet": "The animal"}}
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SIGNALS": {"a.known": named, "a.unknown": f"{__name__}.loose"}}
    [problem] = rule_problems(rule("a.known"))
    assert "If one of its arguments is the object, name it as the instance" in problem.message
    assert rule_problems(rule("a.unknown")) == []
    [said] = hearing(rule("a.unknown"))
    assert said.startswith('a.unknown: It is heard where its argument "instance" is an object of this model.')
    assert hearing(rule("zoo.dinner")) == []


def test_a_rule_without_a_model_has_an_event_of_its_own() -> None:
    with_model = create_rule(Animal, ["zoo.fed"], actions=LOG)
    without = create_rule(signals=["zoo.fed"], actions=LOG)
    bell.send(sender=object, instance=Animal.objects.create(name="a"), food="hay")
    models_of = {execution.rule_slug: execution.event.model for execution in Execution.objects.all()}
    assert models_of == {with_model.slug: "zoo.animal", without.slug: ""}


def test_an_unsaved_or_deleted_object_is_told_without_a_key() -> None:
    values = [{"field": "name", "value": "x"}]
    text = "{{ instance.name }} {{ instance.keeper.name }} {{ signal.instance.text }}"
    create_rule(
        Animal, ["zoo.fed"], actions=[("log_message", {"message": text}), ("update_objects", {"values": values})]
    )
    deleted = Animal.objects.create(name="gone")
    deleted.delete()
    bell.send(sender=Animal, instance=Animal(name="new"), food=None)
    bell.send(sender=Animal, instance=deleted, food=None)
    assert [(event.object_pk, event.context["event"]["pk"]) for event in Event.objects.all()] == [("", None)] * 2
    run_due()
    states = Execution.objects.order_by("kind", "event__occurred_at").values_list("kind", "state")
    assert list(states) == [("log_message", "succeeded")] * 2 + [("update_objects", "discarded")] * 2


def test_an_expression_and_a_deferred_field_are_read_back() -> None:
    create_rule(Animal, ["zoo.fed"], actions=[("log_message", {"message": "{{ instance.legs }} {{ instance.notes }}"})])
    pk = Animal.objects.create(name="a", legs=3, notes="n").pk
    deferred = Animal.objects.defer("notes").get(pk=pk)
    deferred.legs = models.F("legs") + 1
    bell.send(sender=Animal, instance=deferred, food=None)
    instance = Event.objects.get().context["instance"]
    assert (instance["legs"], instance["notes"]) == (3, "n")


def test_the_author_needs_to_see_the_object() -> None:
    author = get_user_model().objects.create_user("author", is_staff=True)
    create_rule(Animal, ["zoo.fed"], author=author, actions=[("log_message", {"message": "{{ instance.name }}"})])
    animal = Animal.objects.create(name="a")
    bell.send(sender=Animal, instance=animal, food=None)
    run_due()
    assert Execution.objects.get().error.endswith("lacks the permission zoo.view_animal.")
    author.user_permissions.add(Permission.objects.get(codename="view_animal"))
    bell.send(sender=Animal, instance=animal, food=None)
    run_due()
    assert sorted(Execution.objects.values_list("state", flat=True)) == ["refused", "succeeded"]


def test_an_entry_about_a_signals_object_has_its_fields() -> None:
    create_rule(Animal, ["zoo.fed"], actions=[("write_audit_entry", {"fields": ["name"], "note": "{{ signal.food }}"})])
    bell.send(sender=Animal, instance=Animal.objects.create(name="Rex"), food="hay")
    run_due()
    entry = AuditEntry.objects.get()
    assert (entry.operation, entry.model, entry.fields, entry.note) == ("FED", "zoo.animal", {"name": "Rex"}, "hay")


# What is captured of arguments


class Broken(Keeper):
    class Meta:
        proxy = True
        app_label = "zoo"

    def __str__(self) -> str:
        raise ZeroDivisionError


class Failing(Keeper):
    class Meta:
        proxy = True
        app_label = "zoo"

    def __str__(self) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT nothing FROM nowhere")
        return ""


READING = [("log_message", {"message": "{{ signal.thing }}"})]


def told(thing: Any) -> Any:
    create_rule(signals=["zoo.anything"], actions=READING)
    loose.send(sender=object, thing=thing)
    return the_signal()["thing"]


def test_an_object_is_told_by_model_key_and_text() -> None:
    user = get_user_model().objects.create_user("ada")
    found = told(user)
    assert found == {"model": "accounts.user", "pk": user.pk, "username": "ada", "text": "ada"}


@pytest.mark.parametrize("model", [Broken, Failing])
def test_an_object_that_cannot_be_printed_loses_no_event(model: Any) -> None:
    create_rule(signals=["zoo.anything"], actions=READING)
    keeper = model.objects.create(name="k")
    with transaction.atomic():
        loose.send(sender=object, thing=keeper)
        Keeper.objects.create(name="after")
    assert Keeper.objects.count() == 2
    assert the_signal()["thing"]["pk"] == keeper.pk


def _circular() -> Any:
    ring: list[Any] = []
    ring += [ring] * 1000
    return ring


def _billion() -> Any:
    level: Any = "laugh"
    for _ in range(12):
        level = [level] * 100
    return level


@pytest.mark.parametrize("make", [_circular, _billion, lambda: {"a": "x" * 50_000_000}, lambda: ["x" * 100_000] * 5000])
def test_endless_arguments_are_cut_and_do_not_hold_up_the_sender(make: Any) -> None:
    create_rule(signals=["zoo.anything"], actions=LOG)
    loose.send(sender=object, thing=make())
    assert Event.objects.count() == 1


@pytest.mark.parametrize(
    ("thing", "kept"),
    [
        (ContentFile(b"canary", name="a.txt"), "a.txt"),
        (Keeper.objects, {"type": "Manager", "text": ""}),
        ({"deep": [Keeper.objects.all(), {"api_key": "canary"}]}, {"deep": [{"type": "QuerySet", "text": ""}, {}]}),
        (float("nan"), None),
        (ValueError("token='canary' and https://u:canary@h/"), "[hidden]"),
    ],
)
def test_files_rows_and_what_prints_secrets_are_told_safely(thing: Any, kept: Any) -> None:
    found = told(thing)
    assert "canary" not in str(list(Event.objects.values()))
    if kept == "[hidden]":
        assert found == {"type": "ValueError", "text": "token=[hidden] and https://u:[hidden]@h/"}
    else:
        assert found == kept


def test_functions_and_classes_are_told_by_their_type() -> None:
    assert told(lambda: None)["type"] == "function"


# Sent by async code


def test_send_inside_an_event_loop_is_heard_and_asend_as_well() -> None:
    create_rule(Animal, ["zoo.fed"], actions=[("log_message", {"message": "{{ instance.keeper.name }}"})])
    animal = Animal.objects.create(name="a", keeper=Keeper.objects.create(name="k"))

    async def send() -> None:
        bell.send(sender=Animal, instance=animal, food="hay")
        await bell.asend(sender=Animal, instance=animal, food="oats")
        await sync_to_async(connections.close_all)()

    asyncio.run(send())
    events = Event.objects.order_by("occurred_at")
    assert [event.context["signal"]["food"] for event in events] == ["hay", "oats"]
    assert {event.context["instance"]["keeper"]["name"] for event in events} == {"k"}


# Names and paths


def test_a_signal_is_registered_by_its_path_and_found_when_it_is_needed() -> None:
    register_signal("zoo.by_path", f"{__name__}.loose", arguments={"thing": "Anything"})
    register_signal("zoo.by_path", f"{__name__}.loose", arguments={"thing": "Anything"})
    with pytest.raises(DuplicateRegistration):
        register_signal("zoo.by_path", bell)
    try:
        create_rule(signals=["zoo.by_path"], actions=LOG)
        create_rule(signals=["zoo.anything"], actions=LOG)
        loose.send(sender=object, thing=1)
        assert sorted(Event.objects.values_list("signal", flat=True)) == ["zoo.anything", "zoo.by_path"]
    finally:
        del signals._named["zoo.by_path"]


def test_a_site_names_signals_of_other_apps_in_its_settings(settings: Any) -> None:
    settings.RULES_ENGINE = {
        "SIGNALS": {
            "third.plain": "project.clinic.signals.appointment_cancelled",
            "third.said": {"signal": f"{__name__}.loose", "label": "Anything", "arguments": {"thing": "It"}},
        }
    }
    said = [one for one in checks.run_checks() if one.id.startswith("rules_engine.") and one.level >= checks.WARNING]
    assert said == []
    assert problems(signals=("third.said",), condition={"!": {"var": "signal.thng"}})["/condition/!"]
    rule = create_rule(signals=["third.plain"], condition={"==": [{"var": "signal.reason"}, "ill"]}, actions=LOG)
    appointment_cancelled.send(sender=object, reason="ill")
    assert Event.objects.get().signal == "third.plain"
    settings.RULES_ENGINE = {}
    refresh()
    appointment_cancelled.send(sender=object, reason="ill")
    assert Event.objects.count() == 1
    assert "no signal" in problems(signals=tuple(rule.signals))["/signals/0"]


@pytest.mark.parametrize(
    ("value", "identity", "fragment"),
    [
        ({"a.b": "project.clinic.signals.appointment_canceled"}, "E008", 'Did you mean "appointment_cancelled"?'),
        ({"a.b": "project.nowhere.signal"}, "E008", "cannot be imported"),
        ({"a.b": "nowhere"}, "E008", "cannot be imported"),
        ({"a.b": ""}, "E008", "cannot be imported"),
        ({"a.b": "celery.signals.task_failure"}, "E008", "no django.dispatch.Signal"),
        ({"post_save": "project.clinic.signals.appointment_cancelled"}, "E008", "already stands"),
        ({"zoo.fed": "project.clinic.signals.appointment_cancelled"}, "E008", "already stands"),
        ({"a.b": 1}, "E001", "dotted paths"),
        ([], "E001", "dotted paths"),
        ({"a.b": {"path": "x"}}, "E001", "dotted paths"),
        ({"a.b": {"signal": "x.y", "arguments": ["a"]}}, "E001", "dotted paths"),
    ],
)
def test_a_signal_that_is_not_there_is_an_error_of_check(
    settings: Any, value: Any, identity: str, fragment: str
) -> None:
    settings.RULES_ENGINE = {"SIGNALS": value}
    [error] = [one for one in checks.run_checks() if one.id in ("rules_engine.E001", "rules_engine.E008")]
    assert error.id == f"rules_engine.{identity}"
    assert fragment in error.msg
    if identity == "E008" and "a.b" in value:
        assert fragment in problems(signals=("a.b",))["/signals/0"]


# Where signals are heard


def test_what_django_sends_at_the_start_and_in_tests_is_heard() -> None:
    for signal in ("class_prepared", "setting_changed", "template_rendered", "connection_created"):
        create_rule(signals=[signal], actions=LOG)
    signals.find_signal("class_prepared").signal.send(sender=Animal)
    setting_changed.send(sender=object, setting="LANGUAGE_CODE", value="de", enter=True)
    Client().get("/admin/login/")
    connection.close()
    connection.ensure_connection()
    told = {event.signal: event.context["signal"] for event in Event.objects.all()}
    assert told["class_prepared"] == {"model": "zoo.animal"}
    assert told["setting_changed"] == {"setting": "LANGUAGE_CODE", "value": "de", "enter": True}
    assert told["template_rendered"]["template"]
    assert set(told["template_rendered"]["context"]) == {"type", "text"}
    assert told["connection_created"] == {"connection": {"alias": "default", "vendor": connection.vendor}}
    assert template_rendered is signals.find_signal("template_rendered").signal


def test_the_admin_shows_arguments_and_says_which_signals_are_not_heard(client: Client) -> None:
    client.force_login(get_user_model().objects.create_superuser("root"))
    page = client.get("/admin/rules_engine/rule/add/").content.decode()
    assert "<code>signal.food</code>: What" in page
    assert "before any rule is read" in page
    rule = create_rule(signals=["setting_changed"], actions=LOG)
    page = client.get(f"/admin/rules_engine/rule/{rule.pk}/change/").content.decode()
    assert "hears this rule" in page
    assert "setting_changed: Only Django&#x27;s test tools send it" in page
    other = create_rule("zoo.animal", ["zoo.fed"], actions=LOG)
    page = client.get(f"/admin/rules_engine/rule/{other.pk}/change/").content.decode()
    assert "hears this rule" not in page
    assert "An animal was fed" in page


def test_rulepack_check_remarks_on_them_and_passes(tmp_path: Any) -> None:
    pack = tmp_path / "pack.json"
    pack.write_text(
        '[{"model": "rules_engine.rule", "fields": {"slug": "r", "name": "R", "signals": ["class_prepared"]}}]'
    )
    out = io.StringIO()
    call_command("rulepack", "check", str(pack), stdout=out)
    assert "remark: r /signals: class_prepared: Django sends it while it starts" in out.getvalue()
    assert "no problems" in out.getvalue()


@pytest.fixture
def client() -> Client:
    return Client()


def test_an_object_costs_no_query_where_no_rule_matches() -> None:
    create_rule(Animal, ["zoo.fed"], condition={"==": [{"var": "instance.name"}, "z"]}, actions=LOG)
    animal = Animal.objects.create(name="a")
    with CaptureQueriesContext(connection) as captured:
        bell.send(sender=Animal, instance=animal, food=None)
    assert [one["sql"] for one in captured.captured_queries] == []
    assert doctor_went_on_vacation.receivers == []
