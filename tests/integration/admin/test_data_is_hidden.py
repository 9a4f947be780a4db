"""Data of objects is shown to those who may view them: by permission, and by what the model's own admin page shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from project.clinic.models import Patient
from project.shop.models import Order, OrderItem, Product
from rules_engine.models import Attempt, AuditEntry, Event, Execution, HeldMatch
from rules_engine.testing import create_rule, run_due
from tests.integration.admin.conftest import client_of, make_user
from tests.zoo.models import Animal, Club

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "CANARY"
RECORDS = ("event", "execution", "auditentry", "heldmatch")
VIEWERS = tuple(f"rules_engine.view_{name}" for name in RECORDS)
TESTER = (
    *("shop.view_order", "shop.change_order", "rules_engine.view_rule", "rules_engine.test_rule"),
    *VIEWERS,
)


def page_of(client: Client, row: Any) -> str:
    return read(client, f"admin:rules_engine_{row._meta.model_name}_change", row.pk)


def list_of(client: Client, name: str, **asked: Any) -> str:
    return read(client, f"admin:rules_engine_{name}_changelist", **asked)


def read(client: Client, name: str, *args: Any, **asked: Any) -> str:
    response = client.get(reverse(name, args=args), asked)
    assert response.status_code == 200
    return response.content.decode()


# By permission


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("log_message", {"message": "Diagnosis of {{ instance.name }}"}),
        ("delete_cache_keys", {"keys": ["patient:{{ instance.name }}"]}),
        ("send_email", {"to": ["{{ instance.email }}"], "subject": "x", "body": "y"}),
        ("write_audit_entry", {"operation": "{{ instance.name }}"}),
    ],
)
@pytest.mark.parametrize("may_view", [True, False])
def test_an_outcome_that_quotes_data_is_for_whoever_may_view_the_model(
    kind: str, config: dict[str, Any], may_view: bool
) -> None:
    create_rule(Patient, actions=[(kind, config)])
    Patient.objects.create(name=SECRET, email=f"{SECRET}@example.com")
    run_due()
    client = client_of(make_user("rules_engine.view_execution", *(["clinic.view_patient"] if may_view else [])))
    assert (SECRET in page_of(client, Execution.objects.get())) is may_view
    assert (Execution.objects.get().summary[:20] in list_of(client, "execution")) is may_view


def test_an_error_that_quotes_data_is_for_whoever_may_view_the_model() -> None:
    create_rule(Patient, actions=[("log_message", {"message": "x"})])
    Patient.objects.create(name=SECRET)
    run_due()
    execution = Execution.objects.get()
    # As an action of a site's own may say it.
    Execution.objects.update(error=f"{SECRET} was refused.")
    Attempt.objects.update(error=f"{SECRET} was refused.")
    assert SECRET in page_of(client_of(make_user("clinic.view_patient", *VIEWERS, name="doctor")), execution)
    client = client_of(make_user("rules_engine.view_execution"))
    assert SECRET not in page_of(client, execution)
    assert SECRET not in list_of(client, "execution")


@pytest.mark.parametrize("may_view", [True, False])
def test_what_was_done_may_be_a_text_made_of_data(may_view: bool) -> None:
    create_rule(Patient, actions=[("write_audit_entry", {"operation": "{{ instance.name }}"})])
    Patient.objects.create(name=SECRET)
    run_due()
    client = client_of(make_user("rules_engine.view_auditentry", *(["clinic.view_patient"] if may_view else [])))
    assert (SECRET in page_of(client, AuditEntry.objects.get())) is may_view
    assert (SECRET in list_of(client, "auditentry")) is may_view
    # Nor is it found out by narrowing the list.
    found = list_of(client, "auditentry", operation=SECRET)
    assert ("1 audit entry" in found) is may_view


# By what the model's own admin page shows


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site whose staff see their own orders alone."""
    page = admin.site.get_model_admin(Order)
    whole = page.get_queryset
    monkeypatch.setattr(page, "get_queryset", lambda request: whole(request).filter(customer=request.user))


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site that says of each order who may view it."""

    def may(request: Any, obj: Any = None) -> bool:
        return obj is None or obj.customer_id == request.user.pk

    monkeypatch.setattr(admin.site.get_model_admin(Order), "has_view_permission", may)


@pytest.mark.parametrize("how", ["limited", "one_by_one"])
@pytest.mark.parametrize("is_own", [True, False])
def test_pages_of_records_show_the_objects_that_the_models_page_shows(
    request: pytest.FixtureRequest, how: str, is_own: bool
) -> None:
    user = make_user(*TESTER)
    trail = ("write_audit_entry", {"note": "{{ instance.order_number }}"})
    create_rule(Order, slug="trail", actions=[trail])
    create_rule(Order, slug="later", actions=[trail], coalesce_seconds=60, coalesce_by="{{ instance.order_number }}")
    Order.objects.create(order_number=SECRET, customer=user if is_own else None)
    run_due()
    request.getfixturevalue(how)
    client = client_of(user)
    rows = (Event, AuditEntry, Execution, HeldMatch)
    for row in [model.objects.get() for model in rows]:
        page = page_of(client, row)
        assert (SECRET in page) is is_own, row
        assert ("You may not view this object, and so not this data either." in page) is not is_own


def rule_that_changes_orders(author: Any) -> Any:
    values = [{"field": "order_number", "value": "{{ row.order_number }}x"}]
    actions = [("update_objects", {"target": "instance", "values": values})]
    return create_rule(Order, actions=actions, author=author, enabled=False)


Tested = Callable[..., str]


@pytest.fixture
def tested() -> Tested:
    def post(user: Any, rule: Any, **fields: Any) -> str:
        body = {"signal": rule.signals[0], "operation": "update"}
        body |= {"changes-TOTAL_FORMS": "0", "changes-INITIAL_FORMS": "0", **fields}
        response = client_of(user).post(reverse("admin:rules_engine_rule_test", args=[rule.pk]), body)
        assert response.status_code == 200
        return response.content.decode()

    return post


@pytest.mark.parametrize("how", ["limited", "one_by_one"])
@pytest.mark.parametrize("is_own", [True, False])
@pytest.mark.parametrize("is_pasted", [True, False])
def test_the_test_page_takes_objects_that_the_models_page_shows(
    request: pytest.FixtureRequest, tested: Tested, how: str, is_own: bool, is_pasted: bool
) -> None:
    user = make_user(*TESTER)
    rule = rule_that_changes_orders(user)
    order = Order.objects.create(order_number=SECRET, customer=user if is_own else None)
    request.getfixturevalue(how)
    pasted = {"context": json.dumps({"instance": {"pk": order.pk}})}
    page = tested(user, rule, **(pasted if is_pasted else {"pk": str(order.pk)}))
    assert (SECRET in page) is is_own
    assert ("that you may" in page) is not is_own


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize(
    "context",
    [{"instance": {"order_id": 0}}, {"instance": {"order": {"pk": 0}}}, {"instance": {"pk": 1e30, "order_id": 0}}],
    ids=str,
)
def test_every_object_that_a_pasted_context_names_is_looked_up(tested: Tested, context: dict[str, Any]) -> None:
    user = make_user(*TESTER, "shop.view_orderitem")
    order = Order.objects.create(order_number=SECRET)
    rule = create_rule(model="shop.orderitem", actions=[("log_message", {"message": "x"})], author=user, enabled=False)
    text = json.dumps(context).replace(": 0}", f": {order.pk}}}")
    assert "It names an object that you may not see (order)." in tested(user, rule, context=text)


@pytest.mark.usefixtures("limited")
def test_a_pasted_context_may_name_objects_that_are_not_there(tested: Tested) -> None:
    user = make_user(*TESTER)
    page = tested(user, rule_that_changes_orders(user), context=json.dumps({"instance": {"pk": 987654}}))
    assert "The rule would act." in page


def test_the_test_page_offers_relations_whose_objects_may_be_viewed(tested: Tested) -> None:
    user = make_user("zoo.view_animal", "zoo.view_tag", "rules_engine.view_rule", "rules_engine.test_rule")
    message = "{% for one in m2m.objects %}{{ one.name }}{% endfor %}"
    actions = [("log_message", {"message": message})]
    changes = [{"field": "tags"}]
    rule = create_rule(Animal, signals=["m2m_changed"], changes=changes, actions=actions, author=user, enabled=False)
    animal, club = Animal.objects.create(name="Rex"), Club.objects.create(name=SECRET)
    page = tested(user, rule, operation="add", pk=str(animal.pk), relation="clubs", others=str(club.pk))
    assert SECRET not in page
    assert "clubs is not one of the available choices" in page


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("field", ["id", "order"])
@pytest.mark.parametrize("end", ["old", "new"])
@pytest.mark.parametrize("is_own", [True, False])
def test_a_change_is_made_up_with_keys_of_objects_that_are_shown(
    tested: Tested, field: str, end: str, is_own: bool
) -> None:
    user = make_user(*TESTER, "shop.view_orderitem", "shop.change_orderitem")
    own = Order.objects.create(order_number="own", customer=user)
    other = Order.objects.create(order_number=SECRET, customer=user if is_own else None)
    if field == "id":
        rule, pk = rule_that_changes_orders(user), own.pk
    else:
        item = OrderItem.objects.create(order=own, product=Product.objects.create(name="p", price=1), unit_price=1)
        message = {"message": "{{ instance.order.order_number }}"}
        rule = create_rule(OrderItem, actions=[("log_message", message)], author=user, enabled=False)
        pk = item.pk
    row = {"changes-TOTAL_FORMS": "1", "changes-0-field": field, f"changes-0-{end}": str(other.pk)}
    page = tested(user, rule, pk=str(pk), **row)
    assert ("It names an object that you may not see (order)." in page) is not is_own
    assert is_own or SECRET not in page


@pytest.mark.parametrize("how", ["limited", "one_by_one"])
@pytest.mark.parametrize("is_own", [True, False])
def test_why_is_answered_of_objects_that_the_models_page_shows(
    request: pytest.FixtureRequest, how: str, is_own: bool
) -> None:
    user = make_user(*TESTER)
    create_rule(Order, slug="tells", actions=[("log_message", {"message": "x"})])
    order = Order.objects.create(order_number="A", customer=user if is_own else None)
    request.getfixturevalue(how)
    event = reverse("admin:rules_engine_event_change", args=[Event.objects.get().pk])
    page = read(client_of(user), "admin:rules_engine_rule_why", model="shop.order", pk=order.pk)
    assert (event in page) is is_own
    assert ("You may not view this object" in page) is not is_own


@pytest.mark.parametrize("how", ["limited", "one_by_one"])
@pytest.mark.parametrize("is_own", [True, False])
def test_lists_of_records_quote_the_objects_that_the_models_page_shows(
    request: pytest.FixtureRequest, how: str, is_own: bool
) -> None:
    user = make_user(*TESTER)
    entry = {"operation": "{{ instance.order_number }}"}
    message = {"message": "{{ instance.order_number }}"}
    create_rule(Order, actions=[("write_audit_entry", entry), ("log_message", message)])
    order = Order.objects.create(order_number=SECRET, customer=user if is_own else None)
    run_due()
    request.getfixturevalue(how)
    client = client_of(user)
    for name in ("execution", "auditentry"):
        rows = list_of(client, name).split('id="result_list"')[1].split("</table>")[0]
        assert (SECRET in rows) is is_own, name
        assert (f"shop.order {order.pk}" if name == "auditentry" else f"Order {order.pk}") in rows
