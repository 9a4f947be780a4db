"""What the condition builder is told of models: never more than the person who asks may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from rules_engine.models import Rule
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import ADD, WRITERS, change_url, post_data

pytestmark = pytest.mark.django_db(transaction=True)


def ask(client: Client, model: str) -> Any:
    return client.get(reverse("admin:rules_engine_rule_fields"), {"model": model})


def fields(client: Client, model: str) -> dict[str, dict[str, Any]]:
    response = ask(client, model)
    assert response.status_code == 200
    return {field["name"]: field for field in response.json()["fields"]}


def test_fields_come_with_their_names_types_choices_and_relations(admin_client: Client) -> None:
    found = fields(admin_client, "shop.order")
    assert found["total"] == {"name": "total", "label": "Total", "type": "number", "field": "total"}
    assert ["paid", "Paid"] in found["status"]["choices"]
    assert found["status_changed_at"]["type"] == "datetime"
    assert found["customer_id"]["field"] == "customer"
    assert (found["customer"]["type"], found["customer"]["model"]) == ("object", "accounts.user")
    assert (found["items"]["type"], found["items"]["label"]) == ("rows", "Order items")
    assert found["pk"]["quiet"]
    assert fields(admin_client, "shop.product")["tags"]["changes"] == "tags"
    assert ask(admin_client, "shop.order").json()["title"] == "Order"


def test_every_type_of_field_has_one_that_the_builder_knows(admin_client: Client) -> None:
    found = fields(admin_client, "zoo.animal")
    types = {name: found[name]["type"] for name in ("name", "weight", "legs", "born", "fed_at", "data")}
    assert types == {
        "name": "text", "weight": "number", "legs": "number", "born": "date", "fed_at": "datetime", "data": "any",
    }  # fmt: skip
    assert fields(admin_client, "zoo.meal")["is_warm"]["type"] == "boolean"
    assert fields(admin_client, "zoo.feeding")["grams"]["type"] == "number"


def test_secrets_and_powers_are_never_told(admin_client: Client) -> None:
    assert "api_token" not in fields(admin_client, "zoo.keeper")
    assert "blob" not in fields(admin_client, "zoo.animal")
    assert not {"password", "is_superuser", "is_staff", "groups", "user_permissions"} & set(
        fields(admin_client, "accounts.user")
    )


@pytest.mark.parametrize("model", ["auth.group", "sessions.session", "rules_engine.rule", "no.such", "", "x"])
def test_models_that_rules_cannot_read_are_not_there(admin_client: Client, model: str) -> None:
    assert ask(admin_client, model).status_code == 404


def test_a_model_and_what_it_leads_to_take_the_permission_to_view(staff: Callable[..., Client]) -> None:
    client = staff(*WRITERS, "shop.view_order")
    found = fields(client, "shop.order")
    assert "customer_id" in found
    assert not {"customer", "items"} & set(found)
    assert ask(client, "accounts.user").status_code == 403


def test_only_who_edits_rules_may_ask(staff: Callable[..., Client], client: Client) -> None:
    assert ask(client, "shop.order").status_code == 302
    assert ask(staff("rules_engine.view_rule", "shop.view_order"), "shop.order").status_code == 403


def test_the_answer_is_kept_by_nobody(admin_client: Client) -> None:
    assert "no-store" in ask(admin_client, "shop.order")["Cache-Control"]


def test_a_mistake_is_told_with_its_place(admin_client: Client) -> None:
    rule = create_rule(slug="r", model="shop.order", actions=[("log_message", {"message": "x"})])
    data = post_data(
        condition='{"and": [{"var": "created"}, {"==": [{"var": "instance.totl"}, 1]}]}',
        changes='[{"field": "total"}, {"field": "statsu"}]',
    )
    response = admin_client.post(reverse(ADD), data)
    form = response.context["adminform"].form
    assert "totl" in " ".join(form.errors["condition"])
    assert [one.pointer for one in form.fields["condition"].widget.problems] == ["/and/1/==/0"]
    assert [one.pointer for one in form.fields["changes"].widget.problems] == ["/1/field"]
    assert "/and/1/==/0" in response.content.decode()
    assert "/and/1/==/0" not in admin_client.get(change_url(rule)).content.decode()
    assert Rule.objects.count() == 1
