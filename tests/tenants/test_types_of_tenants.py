"""Tenants of several types, each with apps of its own: those alone have objects for rules that have their tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from rules_engine.models import Execution
from rules_engine.surroundings import tenants
from rules_engine.testing import create_rule, run_due
from tests.tenants.models import Client
from tests.tenants.orders.models import Order
from tests.tenants.test_shared_rules import SEEN, orders_of, saved_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tenants")]


@pytest.fixture(autouse=True)
def _typed(tenants: None, settings: Any) -> Iterator[None]:
    """Of the types shop, which acme is, and blog, which beta is and which has no orders."""
    settings.HAS_MULTI_TYPE_TENANTS, settings.MULTI_TYPE_DATABASE_FIELD = True, "kind"
    settings.TENANT_TYPES = {
        "public": {"APPS": settings.SHARED_APPS, "URLCONF": settings.ROOT_URLCONF},
        "shop": {"APPS": settings.TENANT_APPS, "URLCONF": settings.ROOT_URLCONF},
        "blog": {"APPS": ["django.contrib.contenttypes"], "URLCONF": settings.ROOT_URLCONF},
    }
    Client.objects.filter(schema_name="public").update(kind="public")
    Client.objects.filter(schema_name="beta").update(kind="blog")
    yield
    Client.objects.update(kind="shop")


def test_a_worker_acts_in_the_tenant_of_the_change_whatever_its_type() -> None:
    create_rule(Order, operations=["create"], actions=[SEEN])
    saved_in("acme", "beta")
    run_due()
    assert [note for schema in ("acme", "beta") for _, _, note in orders_of(schema)] == ["seen of acme", "seen of beta"]
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}


def test_objects_are_looked_for_in_the_tenants_whose_type_has_them() -> None:
    assert tenants.every(Order) == ["acme"]
    assert tenants.every(Client) == ["public"]


def test_check_wants_the_engine_in_no_type_of_tenants(settings: Any, capsys: Any) -> None:
    call_command("check")
    assert "E017" not in capsys.readouterr().err
    settings.TENANT_TYPES = {**settings.TENANT_TYPES, "blog": {"APPS": ["rules_engine"], "URLCONF": "x"}}
    with pytest.raises(SystemCheckError, match="E017"):
        call_command("check", databases=["default"])
