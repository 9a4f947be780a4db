"""The surroundings of a site with django-tenants: its schema.

RULES_ENGINE = {
    "SURROUNDINGS": {
        "present": "rules_engine.surroundings.tenants.present",
        "enter": "rules_engine.surroundings.tenants.enter",
        "home": "public",  # rules for all tenants, in the shared schema
    },
}
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections
from django_tenants.utils import (
    get_public_schema_name,
    get_tenant_database_alias,
    get_tenant_model,
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
