"""Two tenants in schemas of their own. Collected where the settings are those of tests.tenants alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.db import connection
from django.test import TransactionTestCase

IS_HERE = os.environ.get("DJANGO_SETTINGS_MODULE") == "tests.tenants.settings"
collect_ignore_glob = [] if IS_HERE else ["*.py"]
NAMES = ("acme", "beta")

if IS_HERE:
    from tests.integration.conftest import noted as noted
    from tests.integration.conftest import server as server


@pytest.fixture(scope="session", autouse=True)
def _quickly_emptied() -> Iterator[None]:
    """Not as elsewhere: a table of a tenant is not found in the shared schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda case: None)
        yield


@pytest.fixture(scope="session")
def schemas(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The tenants acme and beta, each with a table of orders."""
    from django_tenants.utils import schema_context

    from tests.tenants.models import Client, Domain

    with django_db_blocker.unblock():
        create_permissions(apps.get_app_config("orders"), verbosity=0)
        for name in ("public", *NAMES):
            client = Client.objects.create(schema_name=name, name=name)
            Domain.objects.create(domain=f"{name}.test", tenant=client, is_primary=True)
        for name in NAMES:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE SCHEMA {name}")
            with schema_context(name), connection.schema_editor() as editor:
                editor.create_model(apps.get_model("orders.order"))
        yield


@pytest.fixture
def tenants(schemas: None, transactional_db: None) -> Iterator[None]:
    """Those, empty at the end of each test as at its beginning."""
    yield
    connection.set_schema_to_public()  # type: ignore[attr-defined]
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE rules_engine_rule, rules_engine_event, rules_engine_execution, rules_engine_heldmatch, "
            "rules_engine_ruleversion, rules_engine_schedule, rules_engine_firing, rules_engine_armed, "
            "rules_engine_run, rules_engine_ruleerror, webhooks_endpoint, auth_user CASCADE"
        )
        for name in NAMES:
            cursor.execute(f"TRUNCATE {name}.orders_order RESTART IDENTITY")


@pytest.fixture
def users_of_acme(tenants: None) -> Iterator[None]:
    """The tenant acme has users of its own, as with ``django.contrib.auth`` in TENANT_APPS."""
    tables = ("auth_user", "auth_user_user_permissions", "auth_user_groups")
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"CREATE TABLE acme.{table} (LIKE public.{table} INCLUDING ALL)")
    yield
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"DROP TABLE acme.{table} CASCADE")
