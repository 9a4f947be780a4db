"""Rules in the shared schema: what they do is done in the schema of the change."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client as Browser
from django.urls import reverse
from django_tenants.utils import schema_context

from rules_engine.models import Event, Execution, Rule
from rules_engine.testing import create_rule, run_due
from rules_engine.work.runs.starting import start_run
from tests.http_server import MisbehavingServer
from tests.tenants.models import Client
from tests.tenants.orders.models import Order
from webhooks.models import Endpoint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tenants")]

SEEN = ("update_objects", {"values": [{"field": "note", "value": "seen {{ instance.name }}"}]})


def saved_in(*schemas: str) -> None:
    for schema in schemas:
        with schema_context(schema), transaction.atomic():
            Order.objects.create(name=f"of {schema}")


def orders_of(schema: str) -> list[tuple[int, str, str]]:
    with schema_context(schema):
        return list(Order.objects.values_list("pk", "name", "note"))


def test_a_worker_changes_the_row_of_the_schema_that_was_saved_in() -> None:
    create_rule(Order, operations=["create"], actions=[SEEN])
    saved_in("acme", "beta")
    assert connection.schema_name == "public"  # type: ignore[attr-defined]
    assert run_due() == 2
    assert orders_of("acme") == [(1, "of acme", "seen of acme")]
    assert orders_of("beta") == [(1, "of beta", "seen of beta")]
    assert connection.schema_name == "public"  # type: ignore[attr-defined]


def test_each_delivery_is_of_its_schema(server: MisbehavingServer) -> None:
    Endpoint.objects.create(slug="crm", name="CRM", url=server.url("/crm"))
    payload = '{"name": "{{ instance.name }}", "key": {{ instance.pk }}}'
    create_rule(Order, actions=[("webhook", {"endpoint": "crm", "payload": payload})])
    saved_in("acme", "beta")
    run_due()
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
    told = [json.loads(request.body) for request in server.requests]
    assert sorted(each["name"] for each in told) == ["of acme", "of beta"]


def test_the_author_is_the_user_of_the_shared_schema() -> None:
    author = User.objects.create_user("ada")
    author.user_permissions.set(Permission.objects.filter(content_type__app_label="orders"))
    create_rule(Order, operations=["create"], actions=[SEEN], author=author)
    with schema_context("acme"), connection.cursor() as cursor:
        # Somebody else of the same key, who may do nothing.
        cursor.execute("CREATE TABLE acme.auth_user (LIKE public.auth_user INCLUDING ALL)")
        cursor.execute("INSERT INTO acme.auth_user SELECT * FROM public.auth_user")
        cursor.execute("UPDATE acme.auth_user SET is_active = false, username = 'eve'")
    try:
        saved_in("acme")
        run_due()
        assert orders_of("acme") == [(1, "of acme", "seen of acme")]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE acme.auth_user")


def test_a_tenant_that_was_dropped_is_told_and_nothing_is_done_elsewhere() -> None:
    create_rule(Order, operations=["create"], actions=[SEEN])
    saved_in("acme", "beta")
    Client.objects.filter(schema_name="acme").update(schema_name="gone")
    try:
        run_due()
    finally:
        Client.objects.filter(schema_name="gone").update(schema_name="acme")
    failed = Execution.objects.get(event__surroundings='"acme"')
    assert failed.state == "retryable"
    assert 'There is no tenant of the schema "acme" any more.' in failed.error
    assert orders_of("acme") == [(1, "of acme", "")]
    assert orders_of("beta") == [(1, "of beta", "seen of beta")]


def test_a_schema_that_is_gone_is_not_passed_by() -> None:
    create_rule(Order, operations=["create"], actions=[SEEN])
    saved_in("acme")
    with connection.cursor() as cursor:
        cursor.execute("ALTER SCHEMA acme RENAME TO elsewhere")
    try:
        run_due()
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER SCHEMA elsewhere RENAME TO acme")
    assert 'There is no schema "acme" any more.' in Execution.objects.get().error
    assert orders_of("acme") == [(1, "of acme", "")]


def test_the_same_key_in_two_schemas_is_not_the_same_object() -> None:
    create_rule(Order, once=True, operations=["create"], actions=[SEEN])
    saved_in("acme", "beta")
    run_due()
    assert [orders_of("acme")[0][2], orders_of("beta")[0][2]] == ["seen of acme", "seen of beta"]


def test_a_rule_that_acts_in_the_transaction_acts_in_the_schema() -> None:
    create_rule(Order, operations=["create"], actions=[(*SEEN, {"timing": "in_transaction"})])
    saved_in("beta")
    assert orders_of("beta") == [(1, "of beta", "seen of beta")]
    assert Event.objects.get().surroundings == '"beta"'


def test_check_lets_the_site_through(capsys: Any) -> None:
    call_command("check")
    assert "E017" not in capsys.readouterr().err


LATER = {"delay": 3_600, "asks_again": True}
UNTOUCHED = {"==": [{"var": "instance.note"}, ""]}


def test_what_acts_later_asks_the_row_of_its_schema_again() -> None:
    create_rule(Order, operations=["create"], condition=UNTOUCHED, actions=[(*SEEN, LATER)])
    saved_in("acme", "beta")
    with schema_context("acme"):
        Order.objects.update(note="taken")
    Execution.objects.update(next_attempt_at=Now())
    run_due()
    assert orders_of("acme") == [(1, "of acme", "taken")]
    assert orders_of("beta") == [(1, "of beta", "seen of beta")]
    states = dict(Execution.objects.values_list("event__surroundings", "state"))
    assert states == {'"acme"': "cancelled", '"beta"': "succeeded"}


def test_a_run_is_told_where_it_was_asked_for() -> None:
    create_rule(Order, slug="all", operations=["update"], actions=[SEEN])
    saved_in("acme", "beta")
    with schema_context("beta"):
        start_run("all")
    run_due()
    assert [orders_of("acme")[0][2], orders_of("beta")[0][2]] == ["", "seen of beta"]


FORM = {
    "name": "Ours",
    "slug": "ours",
    "model": "orders.order",
    "signals": "post_save",
    "operations": "create",
    "condition": "",
    "position": "0",
    "sample_percent": "100",
    "changes": "[]",
    "actions-TOTAL_FORMS": "0",
    "actions-INITIAL_FORMS": "0",
}


def test_who_has_a_key_of_home_writes_no_rule_for_all(users_of_acme: None) -> None:
    User.objects.create_superuser("admin", password="x", pk=1)
    with schema_context("acme"):
        of_acme = User.objects.create_superuser("admin", password="x", pk=1)
    client = Browser(SERVER_NAME="acme.test")
    with schema_context("acme"):
        client.force_login(of_acme)
    answer = client.post(reverse("admin:rules_engine_rule_add"), FORM)
    assert answer.status_code == 200
    assert "answer to users of “public”" in answer.content.decode()
    assert not Rule.objects.exists()


def test_a_user_whom_all_tenants_share_writes_rules_from_each(tenants: None) -> None:
    client = Browser(SERVER_NAME="acme.test")
    client.force_login(User.objects.create_superuser("ada", password="x"))
    assert client.post(reverse("admin:rules_engine_rule_add"), FORM).status_code == 302
    assert Rule.objects.get().surroundings == ""
