"""Two tenants in schemas of their own. Collected where the settings are those of tests.tenants alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth.management import create_permissions
from django.db import connection

IS_HERE = os.environ.get("DJANGO_SETTINGS_MODULE") == "tests.tenants.settings"
collect_ignore_glob = [] if IS_HERE else ["*.py"]
NAMES = ("acme", "beta")

if IS_HERE:
    from tests.integration.conftest import noted as noted
    from tests.integration.conftest import server as server


@pytest.fixture(scope="module")
def schemas(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """The tenants acme and beta, each with a table of orders."""
    from django_tenants.utils import schema_context

    from tests.tenants.models import Client, Domain

    with django_db_blocker.unblock():
        _make_tables("public", settings.SHARED_APPS)
        for name in ("public", *NAMES):
            client = Client.objects.create(schema_name=name, name=name)
            Domain.objects.create(domain=f"{name}.test", tenant=client, is_primary=True)
        for name in NAMES:
            with connection.cursor() as cursor:
                cursor.execute(f"CREATE SCHEMA {name}")
            with schema_context(name):
                _make_tables(name, settings.TENANT_APPS if settings.OWN else ["tests.tenants.orders"])
        yield


def _make_tables(schema: str, names: Sequence[str]) -> None:
    """Make the tables of these apps in the present schema, without their migrations, and the rows of permissions."""
    configs = [config for config in apps.get_app_configs() if config.name in names]
    with connection.schema_editor() as editor:
        for model in (model for config in configs for model in config.get_models()):
            if model._meta.managed and not model._meta.proxy:
                editor.create_model(model)
    if schema == "public" or settings.OWN:
        for config in apps.get_app_configs():
            create_permissions(config, verbosity=0)


@pytest.fixture
def tenants(schemas: None, django_db_blocker: Any) -> Iterator[None]:
    """Those, empty at the end of each test as at its beginning."""
    with django_db_blocker.unblock():
        yield
        connection.set_schema_to_public()  # type: ignore[attr-defined]
        with connection.cursor() as cursor:
            cursor.execute(
                "TRUNCATE rules_engine_rule, rules_engine_event, rules_engine_execution, rules_engine_heldmatch, "
                "rules_engine_ruleversion, webhooks_endpoint, auth_user CASCADE"
            )
            for name in NAMES:
                cursor.execute(f"TRUNCATE {name}.orders_order RESTART IDENTITY")
