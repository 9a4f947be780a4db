"""What a rule did, would do or could not do, told to an administrator whose browser asks for German."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse
from django.utils import translation
from django.utils.html import strip_tags

from project.clinic.models import Department, Doctor
from project.shop.models import Order
from rules_engine.actions.files import stored_files
from rules_engine.actions.rows import conversion
from rules_engine.errors import ChangeUndone, Refused
from rules_engine.models import Event, Execution, Rule
from rules_engine.testing import create_rule
from tests.factories import make_endpoint
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

LOG = ("log_message", {"message": "x"})
NO_CHANGES = {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0"}


def words(response: Any) -> str:
    assert response.status_code == 200
    return re.sub(r"\s+", " ", unescape(strip_tags(response.content.decode().replace("<", " <"))))


def tried(client: Client, rule: Rule, order: Order) -> str:
    data = {"pk": order.pk, "signal": rule.signals[0], "operation": "update", **NO_CHANGES}
    return words(client.post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), data))


@pytest.mark.parametrize(
    ("condition", "sentences"),
    [
        (
            {"<": [1, {"/": [{"var": "instance.total"}, 0]}]},
            [
                "Der Operator „/“ konnte mit den Werten, die er bekam, nichts anfangen (bei /</1).",
                'etwa {"??": [{"var": "instance.total"}, 0]}. Auch eine Division durch null zählt dazu.',
                "Das ließ sich mit den vorliegenden Werten nicht berechnen.",
            ],
        ),
        (
            {"<": [{"var": "instance.order_number"}, 5]},
            ["nichts anfangen (der äußerste).", "Er vergleicht zwei Zahlen, zwei Texte oder zwei Zeitangaben"],
        ),
        ({"==": [{"var": "instance.items"}, 5]}, ["Er kann eine Liste oder ein Objekt nicht mit einem einfachen"]),
        (
            {"<": [{"datetime": {"var": "instance.order_number"}}, {"now": []}]},
            ["Er erwartet Datum und Uhrzeit wie 2026-01-31T12:00:00Z"],
        ),
    ],
)
def test_a_condition_that_fails(german: Client, condition: Any, sentences: list[str]) -> None:
    order = Order.objects.create(order_number="A", total=5)
    rule = create_rule(Order, condition=condition, actions=[LOG], enabled=False)
    page = tried(german, rule, order)
    for sentence in sentences:
        assert sentence in page
    assert "could not" not in page


def test_a_condition_that_takes_too_long(german: Client, settings: Any) -> None:
    settings.RULES_ENGINE = {**getattr(settings, "RULES_ENGINE", {}), "CONDITION_BUDGET": 2}
    rule = create_rule(Order, condition={"and": [{"var": "instance.pk"}] * 9}, actions=[LOG], enabled=False)
    page = tried(german, rule, Order.objects.create(order_number="A"))
    assert "Die Bedingung brauchte bei diesem Ereignis mehr als 2 Rechenschritte und wurde abgebrochen" in page


def test_why_a_rule_did_not_act(german: Client) -> None:
    create_rule(Order, slug="acting", actions=[LOG])
    create_rule(Order, slug="updates", operations=["update"], actions=[LOG])
    create_rule(Order, slug="paid", condition={"==": [{"var": "instance.status"}, "paid"]}, actions=[LOG])
    create_rule(Order, slug="changes", changes=[{"field": "status", "from": "paid"}], actions=[LOG])
    order = Order.objects.create(order_number="A")
    asked = {"model": "shop.order", "pk": str(order.pk)}
    event = reverse("admin:rules_engine_event_change", args=[Event.objects.get().pk])
    for address, data, sentences in (
        (
            reverse("admin:rules_engine_rule_why"),
            asked,
            (
                "Der Vorgang war: angelegt. Sie gilt für: geändert.",
                "Nicht erfüllt war, dass Status Paid ist. Zu dieser Änderung nicht aufgezeichnet: Status.",
                "Status hat sich von – auf Draft geändert; es muss sich von Paid ändern.",
            ),
        ),
        (
            event,
            {},
            (
                "Der Vorgang war: angelegt.",
                "Die Bedingung ist falsch.",
                "status hat sich nicht wie verlangt geändert.",
            ),
        ),
    ):
        page = words(german.get(address, data))
        for sentence in sentences:
            assert sentence in page
        for sentence in ("This was", "The condition is false", "did not change as asked"):
            assert sentence not in page


def test_an_execution_has_a_german_title(german: Client) -> None:
    create_rule(Order, slug="trail", actions=[LOG])
    Order.objects.create(order_number="A")
    page = words(german.get(reverse("admin:rules_engine_execution_change", args=[Execution.objects.get().pk])))
    assert "log_message von trail" in page
    assert " of trail" not in page


def test_an_action_that_would_do_nothing(german: Client) -> None:
    make_endpoint("erp", url="https://erp.example.com/", enabled=False)
    none = {"target": "items", "values": [{"field": "quantity", "value": "1"}]}
    actions = [("webhook", {"endpoint": "erp"}), ("update_objects", none)]
    each = {"for_each": {"??": [{"var": "instance.total"}, []]}}
    rule = create_rule(Order, actions=[*actions, (*LOG, each)], enabled=False)
    page = tried(german, rule, Order.objects.create(order_number="A", total=5))
    for sentence in ("Der Endpunkt „erp“ ist ausgeschaltet.", "Nichts zu ändern", "Es kam keine Liste heraus."):
        assert sentence in page
    Endpoint.objects.all().delete()
    page = tried(german, rule, Order.objects.get())
    assert "Den Endpunkt „erp“ gibt es nicht mehr. Legen Sie einen mit diesem Kürzel an" in page


def test_a_change_that_is_undone_with_its_action() -> None:
    Department.objects.create(name="Lovelace")
    at_once = {"timing": "in_transaction", "on_failure": "stop"}
    taken = {"model": "clinic.department", "values": [{"field": "name", "value": "{{ instance.last_name }}"}]}
    create_rule(Doctor, slug="strict", actions=[("create_object", taken, at_once)])
    said = "„create_object“ der Regel „strict“ ist gescheitert, .* Die Änderung selbst war schon festgeschrieben"
    with translation.override("de"), pytest.raises(ChangeUndone, match=said):
        Doctor.objects.create(first_name="Ada", last_name="Lovelace", email="ada@example.com")


def test_a_stored_name_or_value_that_cannot_be_used() -> None:
    with translation.override("de"):
        with pytest.raises(Refused, match="führt aus seinem Speicher hinaus"):
            stored_files.permit("../ada.pdf")
        with pytest.raises(Refused, match=r"ist kein einfacher Pfad wie 'cv/ada\.pdf'"):
            stored_files.permit("cv/./ada.pdf")
        assert conversion._unusable().messages == ["Der Wert passt nicht zum Typ des Feldes."]


def test_one_of_them_is_not_told_as_several(german: Client) -> None:
    rule = create_rule(Order, slug="shadow", actions=[LOG], shadow=True)
    Order.objects.create(order_number="A")
    page = words(german.get(reverse("admin:rules_engine_rule_shadow", args=[rule.pk])))
    assert "Sie traf bei 1 aufgezeichneten Ereignis zu, ohne zu handeln." in page
    page = words(german.get(reverse("admin:rules_engine_rule_backtest", args=[rule.pk])))
    assert "Sie hätte bei 1 von 1 Ereignis gehandelt." in page


@pytest.mark.parametrize(("count", "said"), [(1, "und 1 weitere Regel"), (3, "und 3 weitere Regeln")])
def test_rules_that_are_not_named_are_counted(count: int, said: str) -> None:
    with translation.override("de"):
        page = render_to_string("admin/rules_engine/rule/others.html", {"others": {"named": [], "more": count}})
    assert f"<li>{said}</li>" in page
