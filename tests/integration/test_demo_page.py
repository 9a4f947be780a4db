"""The demo's page, what it watches, and the receiver that it plays: each effect of a rule arrives where people look."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DatabaseError
from django.test import Client
from django.urls import reverse

from project.clinic.models import Appointment
from project.clinic.signals import appointment_cancelled
from project.demo import lookout
from project.demo.arrivals import arrivals
from project.demo.lookout import FIXED_KEYS, REFILL_SECONDS, Lookout
from project.demo.ports import HOST, free_ports
from project.demo.servers.receiver import LARGEST, serving
from project.shop.models import Order
from project.shop.signals import order_paid
from rules_engine.testing import create_rule, run_due
from tests.factories import make_appointment, make_doctor, make_endpoint, make_order
from webhooks.signing.signatures import sign

pytestmark = pytest.mark.django_db
PAGE, NEWS = "/", "/arrivals.json"


@pytest.fixture(autouse=True)
def _nothing_has_arrived() -> Iterator[None]:
    arrivals.latest.clear()
    yield
    lookout.on_duty = None


def arrived(kind: str) -> list[tuple[str, str]]:
    return [(arrival.title, arrival.text) for arrival in arrivals.after(0) if arrival.kind == kind]


# What is looked after


def test_keys_that_a_rule_deletes_are_told_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    doctor, order = make_doctor(), make_order()
    watch = Lookout()
    watch.look()
    every = {*FIXED_KEYS, f"doctor_{doctor.pk}", f"order_{order.pk}"}
    assert watch.states() == dict.fromkeys(sorted(every), True)
    assert not arrived("cache")
    cache.delete_many(["order_list", f"doctor_{doctor.pk}"])
    watch.look()
    assert arrived("cache") == [
        (f"order_list, doctor_{doctor.pk}", "Deleted from the cache; the demo caches again in 5 seconds.")
    ]
    assert {key for key, there in watch.states().items() if not there} == {"order_list", f"doctor_{doctor.pk}"}
    watch.look()
    assert len(arrived("cache")) == 1
    now = lookout.time.monotonic()
    monkeypatch.setattr(lookout.time, "monotonic", lambda: now + REFILL_SECONDS)
    watch.look()
    assert all(watch.states().values())
    assert cache.get("order_list") is not None


def test_keys_of_what_is_gone_are_looked_after_no_longer() -> None:
    order = make_order()
    watch = Lookout()
    watch.look()
    key = f"order_{order.pk}"
    order.delete()
    watch.look()
    assert key not in watch.states()
    assert not arrived("cache")


def test_what_the_site_cached_itself_is_left_as_it_is() -> None:
    cache.set("order_list", "the site's own")
    Lookout().look()
    assert cache.get("order_list") == "the site's own"


def test_new_entries_of_the_audit_trail_are_told_once_with_what_changed() -> None:
    create_rule(
        Order,
        operations=["update"],
        changes=[{"field": "status"}],
        actions=[("write_audit_entry", {"fields": ["status"]})],
    )
    order = make_order()
    watch = Lookout()
    order.status = "paid"
    order.save()
    run_due()
    watch.look()
    watch.look()
    [(_, text)] = arrived("audit")
    assert text.splitlines() == ["By the system.", 'status: "draft" → "paid"']


def test_a_database_that_cannot_be_read_is_told_and_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Lookout()

    def look() -> None:
        watch.stopped.set()
        raise DatabaseError("disk I/O error")

    monkeypatch.setattr(watch, "look", look)
    monkeypatch.setattr(lookout, "EVERY_SECONDS", 0)
    monkeypatch.setattr(lookout.connections, "close_all", lambda: None)
    watch.run()
    assert arrived("log") == [("The demo could not read its database.", "disk I/O error")]


# The page


def test_without_the_demo_the_page_leads_to_the_admin(client: Client) -> None:
    assert client.get(PAGE)["Location"] == reverse("admin:index")


def test_the_page_leads_to_what_there_is_to_try(client: Client) -> None:
    lookout.on_duty = Lookout()
    page = client.get(PAGE).content.decode()
    assert reverse("admin:clinic_doctor_add") in page
    assert reverse("admin:rules_engine_rule_changelist") in page
    doctor, order = make_doctor(), make_order()
    page = client.get(PAGE).content.decode()
    assert reverse("admin:clinic_doctor_change", args=[doctor.pk]) in page
    assert reverse("admin:shop_order_change", args=[order.pk]) in page


@pytest.mark.parametrize("after", ["", "x", "-1", "²", "9" * 5_000, "0"])
def test_news_of_no_number_are_all_that_is_kept(client: Client, after: str) -> None:
    arrivals.add("mail", "Welcome", "To ann@example.org")
    told = client.get(NEWS, {"after": after}).json()
    assert [arrival["title"] for arrival in told["arrivals"]] == ["Welcome"]
    assert (told["last"], told["keys"], told["waiting"]) == (arrivals.count, {}, 0)


def test_news_are_what_came_since_with_the_keys_and_what_waits(client: Client) -> None:
    create_rule(Order, actions=[("log_message", {"message": "x"})])
    make_order()
    lookout.on_duty = Lookout()
    lookout.on_duty.look()
    arrivals.add("mail", "Old")
    before = arrivals.count
    arrivals.add("mail", "New", good=False)
    answer = client.get(NEWS, {"after": str(before)})
    told = answer.json()
    assert [(arrival["title"], arrival["good"]) for arrival in told["arrivals"]] == [("New", False)]
    assert told["keys"]["doctor_list"] is True
    assert told["waiting"] == 1
    assert "no-store" in answer["Cache-Control"]


@pytest.mark.parametrize("address", [PAGE, NEWS])
def test_the_page_takes_nothing(client: Client, address: str) -> None:
    assert client.post(address).status_code == 405


# The site's own buttons, which send signals of the site


def heard(signal: Any) -> list[Any]:
    told: list[Any] = []

    def receiver(instance: Any, **sent: Any) -> None:
        told.append((instance.pk, instance.status, sent.get("reason")))

    signal.connect(receiver, weak=False, dispatch_uid=__name__)
    return told


def press(client: Client, model: str, action: str, *rows: Any) -> str:
    address = reverse(f"admin:{model}_changelist")
    data = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(address, data, follow=True).content.decode()


def test_orders_that_are_marked_paid_send_the_shops_signal(admin_client: Client) -> None:
    orders, told = [make_order(), make_order()], heard(order_paid)
    try:
        page = press(admin_client, "shop_order", "mark_paid", *orders)
    finally:
        order_paid.disconnect(dispatch_uid=__name__)
    assert "Orders done: 2." in page
    assert sorted(told) == [(order.pk, "paid", None) for order in orders]
    assert set(Order.objects.values_list("status", flat=True)) == {"paid"}


def test_orders_that_are_delivered_keep_their_status_to_a_rule(admin_client: Client) -> None:
    order = make_order(status="shipped")
    assert "Orders done: 1." in press(admin_client, "shop_order", "mark_delivered", order)
    order.refresh_from_db()
    assert order.status == "shipped"


def test_an_appointment_is_cancelled_once_with_its_reason(admin_client: Client) -> None:
    over, open_ = make_appointment(status="completed"), make_appointment()
    told = heard(appointment_cancelled)
    try:
        press(admin_client, "clinic_appointment", "cancel", over, open_)
        press(admin_client, "clinic_appointment", "cancel", over, open_)
    finally:
        appointment_cancelled.disconnect(dispatch_uid=__name__)
    assert told == [(open_.pk, "cancelled", "The clinic had to cancel it.")]
    assert Appointment.objects.get(pk=over.pk).status == "completed"


# The receiver that the demo plays


@pytest.mark.django_db(transaction=True)
def test_a_webhook_is_verified_and_shown_whatever_is_sent() -> None:
    endpoint = make_endpoint("erp")
    [port] = free_ports(1)
    body = json.dumps({"type": "order.paid", "data": {"event": {"pk": "7"}}}).encode()
    at = int(time.time())
    signed = {"webhook-id": "msg_1", "webhook-timestamp": str(at)}
    signed["webhook-signature"] = sign(endpoint.signing_secrets(), "msg_1", at, body)
    with serving(port):
        assert post(port, "/hook/erp", body, signed) == 204
        assert post(port, "/hook/erp", body + b" ", signed) == 401
        assert post(port, "/hook/gone", body, signed) == 401
        assert post(port, "/elsewhere", body, signed) == 404
        assert post(port, "/hook", b"", {"Content-Length": str(LARGEST + 1)}) == 413
        assert post(port, "/hook", b"", {"Content-Length": "9" * 5_000}) == 413
        assert post(port, "/hook", b"", {"Content-Length": "-1"}) == 400
        assert post(port, "/hook", b"", {"Content-Length": "many"}) == 400
    told = arrived("webhook")
    assert told[0] == ("order.paid 7", "To the endpoint erp. The signature is verified.")
    assert [text.startswith("Refused: ") for _, text in told] == [False, True, True]


def post(port: int, address: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    connection.putrequest("POST", address)
    for name, value in {"Content-Length": str(len(body)), **headers}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    status = connection.getresponse().status
    connection.close()
    return status
