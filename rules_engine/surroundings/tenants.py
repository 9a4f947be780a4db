"""The surroundings of a site with django-tenants: its schema.

RULES_ENGINE = {
    "SURROUNDINGS": {
        "present": "rules_engine.surroundings.tenants.present",
        "enter": "rules_engine.surroundings.tenants.enter",
        "every": "rules_engine.surroundings.tenants.every",
        "home": "public",  # rules for all tenants, in the shared schema
    },
}
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connections, models
from django_tenants.utils import (
    get_multi_type_database_field_name,
    get_public_schema_name,
    get_tenant_database_alias,
    get_tenant_model,
    get_tenant_types,
    has_multi_type_tenants,
    schema_context,
    schema_exists,
    tenant_context,
)


def present() -> str:
    """Return the name of the present schema."""
    connection: Any = connections[get_tenant_database_alias()]
    return str(connection.schema_name)


@contextmanager
def enter(schema: str) -> Iterator[None]:
    """Be in a tenant's schema in the block. Raises ``LookupError`` where there is no such tenant, or no such schema:
    PostgreSQL passes by a schema that is not there, and would find the rows of another."""
    public = get_public_schema_name()
    if schema == public:
        with schema_context(public):
            yield
        return
    with schema_context(public):
        tenant = get_tenant_model().objects.filter(schema_name=schema).first()
        if tenant is None:
            raise LookupError(f'There is no tenant of the schema "{schema}" any more.')
        if not schema_exists(schema):
            raise LookupError(f'There is no schema "{schema}" any more.')
    with tenant_context(tenant):
        yield


def every(model: type[models.Model] | None) -> list[str]:
    """Return the schemas that have a table of that model: those of all tenants, the shared one, or both. What is about
    no model is of the shared one."""
    public = get_public_schema_name()
    if model is None:
        return [public]
    tenants = get_tenant_model().objects.exclude(schema_name=public)
    if has_multi_type_tenants():
        types = [name for name, said in get_tenant_types().items() if _has_table(model, said["APPS"])]
        is_shared, is_tenants = public in types, types != [public]
        tenants = tenants.filter(**{f"{get_multi_type_database_field_name()}__in": types})
    else:
        is_shared, is_tenants = (
            _has_table(model, getattr(settings, name, ())) for name in ("SHARED_APPS", "TENANT_APPS")
        )
    schemas = tenants.order_by("schema_name").values_list("schema_name", flat=True) if is_tenants else ()
    return [*([public] if is_shared else ()), *schemas]


def _has_table(model: type[models.Model], installed: Container[str]) -> bool:
    """Say whether the app of a model is among these, each named by its package or by its configuration."""
    config = apps.get_app_config(model._meta.app_label)
    return config.name in installed or f"{type(config).__module__}.{type(config).__qualname__}" in installed
