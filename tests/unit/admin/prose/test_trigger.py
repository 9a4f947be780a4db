"""What sets a rule off, in English and German, told with what is still missing."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.prose.marks import words_of
from rules_engine.admin.prose.trigger import happens
from rules_engine.types import RuleSpec

STATUS = {"field": "status", "from": "draft", "to": "paid"}


@pytest.mark.parametrize(
    ("fields", "english", "german"),
    [
        (
            {"model": "shop.order", "signals": ("post_save",)},
            "an order is created or updated",
            "ein Objekt „Order“ angelegt oder geändert wird",
        ),
        (
            {"model": "accounts.user", "signals": ("post_save",), "operations": ("create",)},
            "a user is created",
            "ein Objekt „Benutzer“ angelegt wird",
        ),
        (
            {"model": "shop.order", "signals": ("post_save", "post_delete"), "operations": ("update", "delete")},
            "an order is updated or deleted",
            "ein Objekt „Order“ geändert oder gelöscht wird",
        ),
        (
            {"model": "zoo.animal", "signals": ("pre_delete", "post_save")},
            "an animal is about to be deleted, or one is created or updated",
            "ein Objekt „Animal“ gleich gelöscht wird oder eines angelegt oder geändert wird",
        ),
        (
            {"model": "clinic.doctor", "signals": ("m2m_changed",), "changes": ({"field": "departments"},)},
            "departments of a doctor are added or removed",
            "bei einem Objekt „Doctor“ Departments hinzugefügt oder entfernt werden",
        ),
        (
            {"model": "shop.product", "signals": ("m2m_changed",), "operations": ("add",)},
            "related objects of a product are added",
            "bei einem Objekt „Product“ verknüpfte Objekte hinzugefügt werden",
        ),
        (
            {"model": "gone.model", "signals": ("m2m_changed",), "operations": ("clear",)},
            "related objects of a gone.model are removed all at once",
            "bei einem Objekt „gone.model“ verknüpfte Objekte alle auf einmal entfernt werden",
        ),
        ({"signals": ("user_logged_in",)}, "a user logs in", "sich ein Benutzer anmeldet"),
        (
            {"model": "clinic.appointment", "signals": ("clinic.appointment_cancelled",)},
            "the signal “An appointment was cancelled” is sent for an appointment",
            "das Signal „An appointment was cancelled“ für ein Objekt „Appointment“ gesendet wird",
        ),
        (
            {"signals": ("nobody.knows",)},
            "the signal “nobody.knows” is sent",
            "das Signal „nobody.knows“ gesendet wird",
        ),
        (
            {"signals": ("user_logged_in", "user_login_failed")},
            "a user logs in, or a login fails",
            "sich ein Benutzer anmeldet oder eine Anmeldung fehlschlägt",
        ),
        ({}, "… happens", "… geschieht"),
        ({"model": "shop.order"}, "an order is …", "ein Objekt „Order“ … wird"),
        (
            {"model": "shop.order", "signals": ("post_save",), "operations": ("delete",)},
            "an order is …",
            "ein Objekt „Order“ … wird",
        ),
        ({"signals": ("post_save",), "operations": ("create",)}, "… is created", "… angelegt wird"),
    ],
)
def test_what_sets_a_rule_off_is_a_clause(fields: dict[str, Any], english: str, german: str) -> None:
    rule = RuleSpec("rule", **fields)
    assert str(words_of(happens(rule))) == english
    with translation.override("de"):
        assert str(words_of(happens(rule))) == german


@pytest.mark.parametrize(
    ("change", "english", "german"),
    [
        ({"field": "status"}, "its status changes", "sich Status ändert"),
        ({"field": "status", "to": "paid"}, "its status becomes Paid", "Status auf Paid wechselt"),
        ({"field": "status", "from": "draft"}, "its status is no longer Draft", "Status nicht mehr Draft ist"),
        (STATUS, "its status changes from Draft to Paid", "Status von Draft auf Paid wechselt"),
        ({"field": "customer", "to": None}, "its customer is emptied", "Customer geleert wird"),
        (
            {"field": "customer", "from": None},
            "its customer, empty until then, is filled in",
            "Customer, bis dahin leer, ausgefüllt wird",
        ),
        ({"field": "total", "to": "100.50"}, "its total becomes 100.50", "Total auf 100.50 wechselt"),
        ({"field": ""}, "its … changes", "sich … ändert"),
        ({"to": "paid"}, "its … becomes “paid”", "… auf „paid“ wechselt"),
        ({"field": "gone"}, "its instance.gone changes", "sich instance.gone ändert"),
    ],
)
def test_a_change_condition_is_a_clause(change: dict[str, Any], english: str, german: str) -> None:
    rule = RuleSpec("rule", model="shop.order", signals=("post_save",), operations=("update",), changes=(change,))
    assert str(words_of(happens(rule))) == f"an order is updated and {english}"
    with translation.override("de"):
        assert str(words_of(happens(rule))) == f"ein Objekt „Order“ geändert wird und {german}"


def test_a_box_goes_by_its_name_in_quotation_marks() -> None:
    change = {"field": "is_on_vacation", "from": False, "to": True}
    rule = RuleSpec("rule", model="clinic.doctor", signals=("post_save",), operations=("update",), changes=(change,))
    assert str(words_of(happens(rule))).endswith("and its “on vacation” changes from no to yes")
    with translation.override("de"):
        assert str(words_of(happens(rule))).endswith("und „On vacation“ von nein auf ja wechselt")
