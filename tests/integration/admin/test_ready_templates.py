"""Each ready template: made through its page, switched on, fired, and what comes of it."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core import mail
from django.core.cache import cache
from django.core.files.base import ContentFile
from django.db.models.deletion import ProtectedError
from django.test import Client
from django.urls import reverse
from django.utils import timezone, translation

from project.accounts.models import User
from project.clinic.models import Doctor, Patient
from project.shop.models import Order, OrderItem, Product, Tag
from rules_engine.errors import Rejected
from rules_engine.models import AuditEntry, Execution, Rule, Schedule
from rules_engine.packs import rule_templates
from rules_engine.packs.ready import offers
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_appointment, make_doctor, make_endpoint, make_order, make_product
from tests.http_server import MisbehavingServer
from tests.integration.admin.conftest import change_url
from tests.integration.noting import note

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "admin:rules_engine_rule_changelist"
TO = "office@example.com"


def form_url(key: str) -> str:
    return reverse("admin:rules_engine_rule_from_template", args=[key])


def form_of(client: Client, key: str, model: str = "") -> Any:
    return client.get(form_url(key), {"model": model}).context_data["form"]  # type: ignore[attr-defined]


def made(client: Client, key: str, model: str = "", **asked: Any) -> Rule:
    """The rule of a template, with its form's own defaults but for what is asked, switched on."""
    fields = form_of(client, key, model).fields
    filled = {name: field.initial for name, field in fields.items() if field.initial not in (None, "", False)}
    response = client.post(form_url(key), {**filled, **({"model": model} if model else {}), **asked})
    assert response.status_code == 302, response.context_data["form"].errors  # type: ignore[attr-defined]
    rule = Rule.objects.get()
    assert response["Location"] == change_url(rule)
    assert not rule.enabled
    assert client.get(reverse("admin:rules_engine_rule_test", args=[rule.pk])).status_code == 200
    client.post(reverse(LIST), {"action": "enable", "_selected_action": [rule.pk]})
    rule.refresh_from_db()
    assert rule.enabled
    refresh()
    return rule


def change(obj: Any, **fields: Any) -> None:
    for name, value in fields.items():
        setattr(obj, name, value)
    obj.save()
    run_due()


def subjects() -> list[tuple[str, str]]:
    return [(message.to[0], message.subject) for message in mail.outbox]


def test_a_mail_goes_out_when_a_status_is_reached(admin_client: Client) -> None:
    order = make_order()
    made(admin_client, "status-mail", "shop.order", becomes="status=paid", to=TO)
    change(order, total=5)
    change(order, status="paid")
    assert subjects() == [(TO, f"Order {order.pk}: status Draft → Paid")]
    assert mail.outbox[0].alternatives[0][1] == "text/html"


def test_a_status_may_be_a_yes_or_no(admin_client: Client) -> None:
    doctor = make_doctor()
    rule = made(admin_client, "status-mail", "clinic.doctor", becomes="is_on_vacation=true", to=TO)
    assert rule.changes == [{"field": "is_on_vacation", "to": True}]
    change(doctor, is_on_vacation=True)
    assert subjects() == [(TO, f"Doctor {doctor.pk}: on vacation no → yes")]


def test_a_date_is_reminded_of_some_days_before(admin_client: Client) -> None:
    rule = made(admin_client, "date", "clinic.appointment", date="instance.date", days="2", to=TO)
    wanted = {"kind": "date", "path": "instance.date", "count": 2, "unit": "days", "direction": "before", "at": "08:00"}
    assert (rule.schedule, rule.signals) == (wanted, [])
    visit = make_appointment(date=dt.date(2031, 5, 8))
    Schedule.objects.update(since=dt.datetime(2031, 5, 5, tzinfo=dt.UTC))
    for hour, mails in ((7, []), (8, [(TO, f"Reminder: Appointment {visit.pk} is due")])):
        Schedule.objects.update(next_look_at=dt.datetime(2031, 5, 5, tzinfo=dt.UTC))
        run_due(now=dt.datetime(2031, 5, 6, hour, tzinfo=dt.UTC))
        assert subjects() == mails


def test_dates_of_what_an_object_belongs_to_are_offered(admin_client: Client) -> None:
    offered = form_of(admin_client, "date", "shop.orderitem").fields["date"].choices
    assert ("instance.order.status_changed_at", "Order › Status changed at") in offered


@pytest.mark.parametrize("wrong", [{"days": "-1"}, {"days": "x"}, {"date": "instance.x"}, {"to": ""}])
def test_what_is_wrong_with_a_date_is_said_at_its_field(admin_client: Client, wrong: dict[str, str]) -> None:
    asked = {"model": "clinic.appointment", "date": "instance.date", "days": "2"}
    response: Any = admin_client.post(form_url("date"), {**asked, "to": TO, **wrong})
    assert list(response.context_data["form"].errors) == list(wrong)
    assert not Rule.objects.exists()


def test_what_stays_so_is_reminded_of_once(admin_client: Client) -> None:
    rule = made(admin_client, "stays", "shop.order", becomes="status=pending", days="3", to=TO)
    assert rule.schedule == {"kind": "stays", "count": 3, "unit": "days"}
    stays, paid = make_order(status="pending"), make_order(status="pending")
    run_due()
    change(paid, status="paid")
    for _again in range(2):
        run_due(now=timezone.now() + dt.timedelta(days=4))
    assert subjects() == [(TO, f"Reminder: Order {stays.pk} is due")]


def test_each_weekday_one_mail_lists_what_is_in_a_state(admin_client: Client) -> None:
    made(admin_client, "digest", "shop.order", becomes="status=paid", at="08:00", to=TO)
    orders = [make_order(order_number=f"N{number}", status=status) for number, status in enumerate(("paid", "draft"))]
    monday = dt.datetime(2031, 5, 5, 8, tzinfo=dt.UTC)
    Schedule.objects.update(since=monday - dt.timedelta(hours=1), next_look_at=monday)
    run_due(now=monday)
    assert subjects() == [(TO, "Orders: 1")]
    assert mail.outbox[0].body.strip() == f"{orders[0].pk}: N0"


def test_a_mail_tells_of_something_new(admin_client: Client) -> None:
    made(admin_client, "notify", "shop.order", to=TO)
    order = make_order()
    change(order, total=5)
    assert subjects() == [(TO, f"Order {order.pk} was created")]


def test_a_mail_tells_what_was_deleted(admin_client: Client) -> None:
    product = make_product()
    made(admin_client, "deleted-mail", "shop.product", to=TO)
    product.delete()
    run_due()
    assert subjects() == [(TO, "Product Lamp was deleted")]


def test_whoever_is_new_is_welcomed_once(admin_client: Client) -> None:
    made(admin_client, "welcome", "clinic.patient", address="instance.email", subject="Hi {{ instance.name }}")
    patient = Patient.objects.create(name="Tom", email="tom@example.org")
    Patient.objects.create(name="Nobody")
    change(patient, name="Tomas")
    assert subjects() == [("tom@example.org", "Hi Tom")]


def test_whom_an_object_belongs_to_is_told_of_a_change(admin_client: Client) -> None:
    order = make_order(customer=User.objects.create_user("ada", email="ada@example.org"))
    nobodys = make_order()
    made(admin_client, "owner", "shop.order", address="instance.customer.email", field="status")
    change(order, total=5)
    change(nobodys, status="paid")
    change(order, status="paid")
    assert subjects() == [("ada@example.org", f"Order {order.pk}: status Draft → Paid")]


def test_a_reminder_waits_some_days(admin_client: Client) -> None:
    order = make_order()
    made(admin_client, "remind", "shop.order", becomes="status=pending", days=3, to=TO)
    change(order, status="pending")
    assert subjects() == []
    execution = Execution.objects.get()
    waits = execution.next_attempt_at - execution.created_at
    assert dt.timedelta(days=3) <= waits < dt.timedelta(days=3, minutes=1)
    Execution.objects.update(next_attempt_at=execution.created_at)
    run_due()
    assert subjects() == [(TO, f"Reminder: Order {order.pk}: status Draft → Pending")]


def test_a_number_that_gets_low_is_told_once(admin_client: Client) -> None:
    product = make_product(stock=20)
    made(admin_client, "low", "shop.product", field="stock", limit=10, to=TO)
    for stock in (15, 9, 8, 12, 3):
        change(product, stock=stock)
    assert [subject for _to, subject in subjects()] == [
        "Product Lamp: stock 15 → 9",
        "Product Lamp: stock 12 → 3",
    ]


def test_failed_logins_are_told_but_not_each(admin_client: Client) -> None:
    made(admin_client, "logins", to=TO, hours=1)
    for name in ("mallory", "mallory", "eve"):
        authenticate(username=name, password="wrong")
    run_due()
    assert subjects() == [(TO, "A login failed: mallory")]


def test_what_is_given_up_is_mailed_about_but_not_each(admin_client: Client, noted: list[str]) -> None:
    made(admin_client, "trouble", to=TO, about="given_up")
    create_rule("clinic.doctor", slug="mute", actions=[note("x", fails="x")])
    for name in ("Ada", "Bob"):
        make_doctor(first_name=name)
    run_due()
    assert subjects() == [(TO, "Given up: note of mute")]


@pytest.mark.parametrize("about", ["endpoint", "workers", "failing", "chain"])
def test_other_trouble_makes_a_rule_too(admin_client: Client, about: str) -> None:
    assert made(admin_client, "trouble", to=TO, about=about).enabled


@pytest.mark.parametrize(
    ("key", "asked"),
    [
        ("chat-status", {"becomes": "status=paid"}),
        ("chat", {"happens": ["update"]}),
        ("chat", {"happens": ["update"], "message": "{{ what_happened }}"}),
    ],
)
def test_a_chat_is_told(admin_client: Client, server: MisbehavingServer, key: str, asked: dict[str, Any]) -> None:
    make_endpoint("team", name="Our chat", url=server.url("/hook"), payload_form="slack")
    make_endpoint("crm", name="CRM")
    order = make_order()
    assert form_of(admin_client, key, "shop.order").fields["endpoint"].choices == [("team", "Our chat (team)")]
    made(admin_client, key, "shop.order", **asked)
    change(order, status="paid")
    [request] = server.requests
    assert json.loads(request.body) == {"text": f"Order {order.pk}: status Draft → Paid"}


def test_another_system_is_told(admin_client: Client, server: MisbehavingServer) -> None:
    make_endpoint("crm", url=server.url("/hook"))
    made(admin_client, "webhook", "shop.order", endpoint="crm", happens=["create"])
    order = make_order()
    run_due()
    [request] = server.requests
    assert json.loads(request.body)["data"]["instance"]["pk"] == order.pk


def test_a_model_is_audited(admin_client: Client) -> None:
    made(admin_client, "audit", "shop.order", watched=["status"], object_name="{{ instance.order_number }}")
    order = make_order(order_number="A-1")
    change(order, status="paid")
    order.delete()
    run_due()
    entries = AuditEntry.objects.order_by("at").values_list("operation", "object_text")
    assert list(entries) == [("CREATE", "A-1"), ("UPDATE", "A-1"), ("DELETE", "A-1")]


def test_a_status_is_tracked(admin_client: Client) -> None:
    order = make_order()
    made(admin_client, "status", "shop.order", field="status", time_field="status_changed_at")
    change(order, status="paid")
    assert AuditEntry.objects.get().note == "draft → paid"
    order.refresh_from_db()
    assert order.status_changed_at is not None


def test_the_log_is_written(admin_client: Client, caplog: pytest.LogCaptureFixture) -> None:
    made(admin_client, "log", "shop.order", happens=["create"])
    with caplog.at_level(logging.INFO, "rules_engine.messages"):
        order = make_order()
        run_due()
    assert f"Order {order.pk} was created" in caplog.messages


def test_the_time_of_a_status_is_noted(admin_client: Client) -> None:
    order = make_order()
    made(admin_client, "stamp", "shop.order", becomes="status=shipped", time_field="status_changed_at")
    change(order, status="paid")
    assert order.status_changed_at is None
    change(order, status="shipped")
    order.refresh_from_db()
    assert order.status_changed_at is not None


def test_a_field_is_copied_where_it_is_empty(admin_client: Client) -> None:
    ada = User.objects.create_user("ada", email="ada@example.org")
    made(admin_client, "copy", "clinic.doctor", source="instance.user.email", field="email", only_if_empty="on")
    assert make_doctor(user=ada, email="").email == "ada@example.org"
    assert make_doctor(email="own@example.org").email == "own@example.org"


def test_a_sum_is_kept_with_what_belongs_to_an_object(admin_client: Client) -> None:
    order, other = make_order(), make_order()
    lamp = make_product()
    made(admin_client, "total", "shop.orderitem", of="quantity", kept="order.total")

    def totals() -> list[Decimal]:
        run_due()
        assert not Execution.objects.exclude(state="succeeded").exists()
        return list(Order.objects.order_by("pk").values_list("total", flat=True))

    item = OrderItem.objects.create(order=order, product=lamp, quantity=2, unit_price=1)
    OrderItem.objects.create(order=order, product=lamp, quantity=3, unit_price=1)
    assert totals() == [5, 0]
    item.order = other
    item.save()
    assert totals() == [3, 2]
    item.delete()
    assert totals() == [3, 0]


def test_a_count_is_kept_with_what_belongs_to_an_object(admin_client: Client) -> None:
    order = make_order()
    made(admin_client, "total", "shop.orderitem", of="count", kept="order.total")
    OrderItem.objects.create(order=order, product=make_product(), unit_price=1)
    run_due()
    order.refresh_from_db()
    assert order.total == 1


def test_what_belongs_to_an_object_follows_its_status(admin_client: Client) -> None:
    appointment = make_appointment()
    other = make_appointment()
    made(
        admin_client,
        "dependents",
        "clinic.doctor",
        becomes="is_on_vacation=true",
        follow="appointments.status=cancelled",
    )
    change(appointment.doctor, is_on_vacation=True)
    appointment.refresh_from_db()
    other.refresh_from_db()
    assert (appointment.status, other.status) == ("cancelled", "scheduled")


def test_what_is_in_a_state_cannot_be_deleted(admin_client: Client) -> None:
    paid, draft = make_order(status="paid"), make_order()
    made(admin_client, "refuse-delete", "shop.order", state_now="status=paid")
    with pytest.raises((Rejected, ProtectedError), match="This order cannot be deleted as it is now"):
        paid.delete()
    draft.delete()
    assert list(Order.objects.all()) == [paid]


def test_what_is_final_cannot_be_changed(admin_client: Client) -> None:
    order = make_order()
    made(admin_client, "freeze", "shop.order", state_now="status=delivered", message="Delivered is delivered.")
    order.status = "delivered"
    order.save()
    order.status = "draft"
    with pytest.raises(Rejected, match="Delivered is delivered"):
        order.save()
    order.refresh_from_db()
    assert order.status == "delivered"


def test_files_are_cleaned_up(admin_client: Client) -> None:
    made(admin_client, "files", "shop.product")
    product = make_product(image=ContentFile(b"x", name="x.png"))
    name, storage = str(product.image.name), product.image.storage
    product.delete()
    run_due()
    assert not storage.exists(name)


def test_the_cache_is_invalidated_by_keys_that_the_model_suggests(admin_client: Client) -> None:
    tag = Tag.objects.create(name="a")
    made(admin_client, "cache", "shop.tag")
    cache.set_many({f"tag_{tag.pk}": 1, "tag_list": 1, "other": 1})
    change(tag, name="b")
    assert cache.get_many([f"tag_{tag.pk}", "tag_list", "other"]) == {"other": 1}


def test_each_template_asks_at_most_five_things() -> None:
    root = User.objects.create_superuser("boss", "boss@example.com", "x")
    models = {
        "files": "shop.product",
        "total": "shop.orderitem",
        "dependents": "clinic.doctor",
        "welcome": "clinic.patient",
    }
    for template in rule_templates.READY_TEMPLATES:
        form = template.form_for(root, label=models.get(template.key, "shop.order"))
        assert form.draft() is not None, template.key
        assert len(form.fields) <= 5, template.key


def test_a_form_asks_for_the_model_first_and_then_for_what_it_has(admin_client: Client) -> None:
    assert list(form_of(admin_client, "status-mail").fields) == ["model"]
    fields = form_of(admin_client, "status-mail", "shop.order").fields
    states = dict(fields["becomes"].choices)["Status"]
    assert ("status=paid", "Paid") in states
    assert fields["to"].initial == "root@example.com"
    assert list(form_of(admin_client, "status-mail", "shop.nothing").fields) == ["model"]


def test_a_form_says_the_rule_as_a_sentence(admin_client: Client) -> None:
    page = unescape(admin_client.get(form_url("status-mail"), {"model": "shop.order"}).content.decode())
    assert "send an email to root@example.com" in page
    asked = {"model": "shop.order", "becomes": "status=paid", "to": ""}
    said = admin_client.post(f"{form_url('status-mail')}?said", asked).json()["parts"]
    assert "its status becomes Paid" in "".join(part["text"] for part in said)
    assert any(part["kind"] == "gap" for part in said)
    assert not Rule.objects.exists()


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("slack", {"chat", "chat-status"}),
        ("STOCK", {"low"}),
        ("cancel appointments", {"dependents"}),
        ("nothing like this", set()),
        ("", {one.key for one in rule_templates.READY_TEMPLATES}),
    ],
)
def test_the_gallery_is_searched(admin_client: Client, search: str, found: set[str]) -> None:
    page = admin_client.get(reverse("admin:rules_engine_rule_templates"), {"q": search}).content.decode()
    shown = {one.key for one in rule_templates.READY_TEMPLATES if f'href="{form_url(one.key)}"' in page}
    assert shown == found
    assert ("No template has these words" in page) is True
    assert ('class="rules-template-none" role="status" hidden' in page) is bool(found)


def test_the_gallery_is_searched_in_the_language_in_use(admin_client: Client) -> None:
    with translation.override("de"):
        assert [one.key for one in rule_templates.offered("lagerbestand")] == ["low"]


def test_a_form_offers_what_its_user_may_view_alone(staff: Callable[..., Client]) -> None:
    client = staff("rules_engine.add_rule", "clinic.view_appointment", "clinic.view_patient")
    assert "clinic.doctor" not in str(form_of(client, "owner").fields["model"].choices)
    assert form_of(client, "owner", "clinic.appointment").fields["address"].choices == [
        ("instance.patient.email", "Patient › Email")
    ]


def test_no_secret_and_no_hidden_value_is_offered() -> None:
    root = User.objects.create_superuser("boss", "boss@example.com", "x")
    assert "password" not in dict(offers.fields(User))
    assert not any("password" in value for _group, listed in offers.values(Order, root) for value, _label in listed)


def test_what_belongs_to_another_object_is_named_with_it() -> None:
    root = User.objects.create_superuser("boss", "boss@example.com", "x")
    assert ("order.total", "Order › Total") in dict(offers.parents(OrderItem, root))["Order"]
    copied = dict(offers.values(Order, root))
    assert ("instance.customer.email", "Customer › Email address") in copied["Customer"]
    assert ("instance.status", "Status") in copied["The object itself"]


def test_a_product_offers_its_numbers_and_a_doctor_its_states() -> None:
    assert dict(offers.fields(Product, offers.is_number)) == {"price": "Price", "stock": "Stock"}
    assert offers.states(Doctor) == [
        ("On vacation", [("is_on_vacation=true", "On vacation: yes"), ("is_on_vacation=false", "On vacation: no")])
    ]
