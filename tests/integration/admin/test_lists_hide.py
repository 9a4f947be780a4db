"""What a list's columns hide is not found out by narrowing, searching or sorting it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.db import models
from django.test import Client, RequestFactory
from django.urls import reverse

from project.clinic.models import Patient
from rules_engine.models import AuditEntry, Event, Execution, HeldMatch, Rule, RuleError
from rules_engine.testing import create_rule, run_due
from tests.integration.admin.conftest import change_url, client_of, make_user
from tests.integration.noting import note
from webhooks.models import Endpoint

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "CANARY"
#: What columns hide from who may see the rows and not the data; of an endpoint, from who may not change it.
HIDDEN: dict[type[models.Model], tuple[str, ...]] = {
    AuditEntry: ("operation", "object_text", "note", "changes", "fields"),
    Event: ("context", "decimals", "evaluations"),
    Execution: ("summary", "error", "config", "given"),
    HeldMatch: ("throttle_key", "coalesce_key", "once_key", "actions", "terms"),
    Endpoint: ("url", "secret", "headers", "previous_secret", "client_certificate"),
}
VIEWS = tuple(f"{model._meta.app_label}.view_{model._meta.model_name}" for model in HIDDEN)
COMPARISONS = ("", "__exact", "__startswith", "__contains", "__icontains", "__regex", "__gt", "__isnull", "__in")
PARTS = ("__at", "__name", "__instance__name")


def list_url(model: type[models.Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.fixture
def viewer() -> Client:
    """May see all rows, and the data of none."""
    return client_of(make_user(*VIEWS, "rules_engine.view_rule"))


@pytest.fixture
def rows() -> None:
    text = "{{ instance.name }}"
    entry = {"operation": text, "note": text, "name": text}
    create_rule(Patient, slug="writes", actions=[("write_audit_entry", entry)])
    create_rule(Patient, slug="holds", actions=[("log_message", {"message": text})], throttle_by=text,
                throttle_count=9, throttle_seconds=60)  # fmt: skip
    Patient.objects.create(name=SECRET)
    run_due()
    Endpoint.objects.create(slug="e", name="e", url=f"https://example.com/{SECRET}")


def shown(model: type[models.Model], asked: dict[str, str], client: Client) -> int | None:
    """Return how many rows the list shows; None where it does not answer that."""
    response = client.get(list_url(model), asked)
    changelist = getattr(response, "context", None) and response.context.get("cl")
    return len(changelist.result_list) if changelist else None


def lookups() -> Iterator[tuple[type[models.Model], str]]:
    for model, fields in HIDDEN.items():
        for name in fields:
            for ending in (*COMPARISONS, *PARTS, *(f"{part}__startswith" for part in PARTS)):
                yield model, f"{name}{ending}"


@pytest.mark.usefixtures("rows")
def test_no_address_narrows_a_list_by_what_it_hides(viewer: Client) -> None:
    whole = {model: shown(model, {}, viewer) for model in HIDDEN}
    assert all(whole.values())
    for model in HIDDEN:
        for name in HIDDEN[model]:
            counts = {shown(model, {f"{name}__startswith": value}, viewer) for value in (SECRET, "other")}
            assert len(counts) == 1, (model, name)
    request: Any = RequestFactory().get("/")
    for model, lookup in lookups():
        # By this name the list has a filter of its own, which leaves out what is hidden.
        if (model, lookup) != (AuditEntry, "operation"):
            assert not admin.site.get_model_admin(model).lookup_allowed(lookup, SECRET, request), (model, lookup)


@pytest.mark.usefixtures("rows")
@pytest.mark.parametrize("model", HIDDEN)
def test_no_search_finds_a_row_by_what_its_list_hides(viewer: Client, model: type[models.Model]) -> None:
    assert shown(model, {"q": SECRET}, viewer) == 0


@pytest.mark.usefixtures("rows")
def test_an_operation_is_no_choice_of_the_filter_where_it_is_hidden(viewer: Client) -> None:
    page = viewer.get(list_url(AuditEntry), {"_facets": "1"}).content.decode()
    assert SECRET not in page
    assert shown(AuditEntry, {"operation": SECRET}, viewer) == 0


@pytest.mark.parametrize("model", HIDDEN)
def test_no_list_is_sorted_by_a_column_that_it_hides(model: type[models.Model]) -> None:
    page = admin.site.get_model_admin(model)
    request: Any = RequestFactory().get("/")
    request.user = make_user(*VIEWS)
    for name in page.get_list_display(request):
        display = getattr(page, name, None) or getattr(model, name)
        column = str(getattr(display, "admin_order_field", None) or name).lstrip("-").partition("__")[0]
        assert column not in HIDDEN[model], name


@pytest.mark.parametrize("may_change", [True, False])
def test_endpoints_are_sorted_by_address_by_who_may_see_it(may_change: bool) -> None:
    for name, token in (("a", "zebra"), ("b", "apple")):
        Endpoint.objects.create(slug=name, name=name, url=f"https://example.com/{token}")
    extra = ["webhooks.change_endpoint"] if may_change else []
    client = client_of(make_user("webhooks.view_endpoint", *extra))
    orders = {
        tuple(row.slug for row in client.get(list_url(Endpoint), {"o": order}).context["cl"].result_list)
        for order in ("4", "-4")  # the column of hosts
    }
    assert len(orders) == (2 if may_change else 1)


# Errors quote data, too


@pytest.mark.parametrize("may_view", [True, False])
def test_errors_of_rules_are_shown_to_who_may_view_the_data(may_view: bool) -> None:
    rule = create_rule(Patient, actions=[("log_message", {"message": "x"})])
    Patient.objects.create(name="x")
    Execution.objects.update(state="discarded", error=f"{SECRET} was refused.")
    event = Event.objects.get()
    client = client_of(
        make_user("rules_engine.view_rule", "rules_engine.view_event", *(["clinic.view_patient"] if may_view else []))
    )
    assert (SECRET in client.get(list_url(Rule)).content.decode()) is may_view
    assert (SECRET in client.get(change_url(rule)).content.decode()) is may_view
    Execution.objects.all().delete()
    # As a site's own code may say it, in being read.
    RuleError.objects.create(rule_slug=rule.slug, rule_version=1, event_id=event.pk, message=f"{SECRET} is odd.")
    told = {"rule": rule.slug, "version": 1, "outcome": "error", "gate": "condition", "detail": f"{SECRET} is odd."}
    Event.objects.update(evaluations=[told])
    assert (SECRET in client.get(list_url(Rule)).content.decode()) is may_view
    assert (SECRET in client.get(change_url(rule)).content.decode()) is may_view
    address = reverse("admin:rules_engine_event_change", args=[event.pk])
    assert (SECRET in client.get(address).content.decode()) is may_view


@pytest.mark.parametrize("may_view", [True, False])
@pytest.mark.usefixtures("noted")
def test_a_chain_tells_errors_of_what_may_be_viewed(may_view: bool) -> None:
    create_rule(Patient, actions=[note("x")])
    Patient.objects.create(name="a")
    first = Event.objects.get()
    Patient.objects.create(name="b")
    told = [{"rule": "r", "version": 1, "outcome": "error", "detail": f"{SECRET} is odd."}]
    Event.objects.exclude(pk=first.pk).update(root_id=first.pk, depth=1, evaluations=told)
    client = client_of(make_user("rules_engine.view_event", *(["clinic.view_patient"] if may_view else [])))
    page = client.get(reverse("admin:rules_engine_event_change", args=[first.pk])).content.decode()
    assert (SECRET in page) is may_view
