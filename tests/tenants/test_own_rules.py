"""Rules of each tenant's own: rows of the shared schema that hold in one tenant, in the name of that tenant's users."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django_tenants.utils import schema_context

from rules_engine.models import Execution, Rule
from rules_engine.testing import create_rule, run_due
from tests.tenants.orders.models import Order
from tests.tenants.test_shared_rules import orders_of, saved_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tenants")]


@pytest.fixture(autouse=True)
def _own_rules(settings: Any) -> None:
    said = {**settings.RULES_ENGINE["SURROUNDINGS"], "own_rules": True}
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": said}


def noting(schema: str, **options: Any) -> Rule:
    note = ("update_objects", {"values": [{"field": "note", "value": f"by {schema}"}]})
    with schema_context(schema):
        return create_rule(Order, slug=f"of-{schema}", operations=["create"], actions=[note], **options)


def test_a_tenant_s_rule_holds_in_the_tenant_alone() -> None:
    noting("acme")
    saved_in("acme", "beta")
    run_due()
    assert orders_of("acme") == [(1, "of acme", "by acme")]
    assert orders_of("beta") == [(1, "of beta", "")]
    assert Execution.objects.count() == 1


def test_each_tenant_has_its_own_and_those_of_all() -> None:
    for schema in ("acme", "beta", "public"):
        noting(schema)
    saved_in("acme", "beta")
    run_due()
    told = sorted(Execution.objects.values_list("event__surroundings", "rule_slug"))
    assert told == [
        ('"acme"', "of-acme"),
        ('"acme"', "of-public"),
        ('"beta"', "of-beta"),
        ('"beta"', "of-public"),
    ]


@pytest.mark.parametrize("timing", ["after_commit", "in_transaction"])
@pytest.mark.parametrize("may", [True, False])
def test_its_author_is_the_tenant_s_user(users_of_acme: None, timing: str, may: bool) -> None:
    User.objects.create(pk=1, username="shared", is_superuser=not may)
    with schema_context("acme"):
        author = User.objects.create(pk=1, username="ada", is_superuser=may)
    note = ("update_objects", {"values": [{"field": "note", "value": "done"}]}, {"timing": timing})
    with schema_context("acme"):
        create_rule(Order, operations=["create"], actions=[note], author=author)
    saved_in("acme")
    run_due()
    assert orders_of("acme") == [(1, "of acme", "done" if may else "")]
    executed = Execution.objects.get()
    assert executed.state == ("succeeded" if may else "refused")
    assert may or "The rule's author, ada, lacks the permission" in executed.error


def test_a_shared_user_with_the_same_key_has_no_say(users_of_acme: None) -> None:
    User.objects.create(pk=1, username="shared", is_active=True, is_superuser=True)
    noting("acme", author_id=1)
    saved_in("acme")
    run_due()
    assert "The rule's author no longer exists" in Execution.objects.get().error


def test_the_admin_of_a_tenant_makes_a_rule_of_the_tenant() -> None:
    noting("beta")
    user = User.objects.create_superuser("ada", password="x")
    client = Client(SERVER_NAME="acme.test")
    client.force_login(user)
    answer = client.get(reverse("admin:rules_engine_rule_changelist"))
    assert answer.status_code == 200
    assert "of-beta" not in answer.content.decode()
    form = {"name": "Ours", "slug": "ours", "model": "orders.order", "signals": "post_save", "operations": "create"}
    form |= {"condition": "", "position": "0", "sample_percent": "100", "changes": "[]"}
    form |= {"actions-TOTAL_FORMS": "0", "actions-INITIAL_FORMS": "0"}
    answer = client.post(reverse("admin:rules_engine_rule_add"), form)
    assert answer.status_code == 302, answer.context["errors"]
    assert Rule.objects.get(slug="ours").surroundings == '"acme"'


def test_a_tenant_that_was_dropped_leaves_others_alone() -> None:
    noting("acme")
    noting("beta")
    Rule.objects.filter(slug="of-acme").update(surroundings='"gone"')
    saved_in("acme", "beta")
    run_due()
    assert [orders_of("acme")[0][2], orders_of("beta")[0][2]] == ["", "by beta"]
