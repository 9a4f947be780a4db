"""Rules on time of the shared schema: each tenant's objects are looked for in its own schema."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django_tenants.utils import schema_context

from rules_engine.models import Armed, Event, Firing, RuleError, Schedule
from rules_engine.surroundings import tenants
from rules_engine.testing import create_rule, run_due
from rules_engine.work.schedules import arming
from rules_engine.work.schedules.looking import look_due
from tests.integration.schedules.clocks import BEGIN, DAY, HOUR, act, on, set_back
from tests.tenants.models import Client
from tests.tenants.orders.models import Order
from tests.tenants.test_shared_rules import SEEN, orders_of
from tests.threads import run_together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("tenants")]
DAILY = {"kind": "every", "each": "day", "at": "08:00", "zone": "UTC"}


@pytest.fixture(autouse=True)
def _listed(settings: Any) -> None:
    said = {**settings.RULES_ENGINE["SURROUNDINGS"], "every": "rules_engine.surroundings.tenants.every"}
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": said}


def ordered_in(*schemas: str) -> None:
    for schema in schemas:
        with schema_context(schema):
            Order.objects.create(name=f"of {schema}", pay_at=BEGIN)


def timed(schedule: Any, **fields: Any) -> None:
    set_back(
        create_rule(Order, **{"slug": "timed", "signals": (), "schedule": schedule, "actions": [SEEN]} | fields), BEGIN
    )


def notes() -> list[str]:
    return [orders_of(schema)[0][2] for schema in ("acme", "beta")]


def listed_anew() -> None:
    """As if a minute had passed since the tenants were read."""
    arming._listed_until = 0.0
    arming.keep_armed()


def test_dates_of_each_tenant_are_told_once_where_they_are() -> None:
    timed(on("pay_at"))
    ordered_in("acme", "beta")
    act(BEGIN + HOUR)
    act(BEGIN + DAY)
    assert notes() == ["seen of acme", "seen of beta"]
    assert sorted(Event.objects.values_list("surroundings", "object_pk")) == [('"acme"', "1"), ('"beta"', "1")]
    assert sorted(Firing.objects.values_list("surroundings", "object_key")) == [('"acme"', "1"), ('"beta"', "1")]
    assert connection.schema_name == "public"  # type: ignore[attr-defined]


def test_what_comes_every_so_often_goes_through_each_tenant() -> None:
    timed({**DAILY, "of": "each"})
    ordered_in("acme", "beta")
    act(BEGIN + DAY)
    run_due()
    assert notes() == ["seen of acme", "seen of beta"]


def test_what_is_so_already_is_waited_for_in_each_tenant() -> None:
    ordered_in("acme", "beta")
    days = {"kind": "stays", "count": 3, "unit": "days"}
    create_rule(Order, slug="stays", schedule=days, condition={"==": [{"var": "instance.note"}, ""]}, actions=[SEEN])
    run_due()
    assert sorted(Armed.objects.values_list("surroundings", "object_pk")) == [('"acme"', 1), ('"beta"', 1)]


def test_objects_that_all_tenants_share_are_told_once() -> None:
    create = ("create_object", {"model": "orders.order", "values": [{"field": "name", "value": "{{ instance.name }}"}]})
    set_back(create_rule(Client, signals=(), schedule={**DAILY, "of": "each"}, actions=[create]), BEGIN)
    assert list(Schedule.objects.values_list("surroundings", flat=True)) == [""]
    act(BEGIN + DAY)
    assert Firing.objects.count() == 1


def test_each_model_s_objects_are_in_the_schemas_that_have_its_table() -> None:
    assert tenants.every(Order) == ["acme", "beta"]
    assert tenants.every(Client) == tenants.every(None) == ["public"]
    # In SHARED_APPS and in TENANT_APPS.
    assert tenants.every(User) == ["public", "acme", "beta"]


def test_a_schema_that_is_not_migrated_stops_no_other() -> None:
    timed(on("pay_at"))
    ordered_in("beta")
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE acme.orders_order RENAME TO elsewhere")
    try:
        act(BEGIN + HOUR)
        act(BEGIN + HOUR)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE acme.elsewhere RENAME TO orders_order")
    assert orders_of("beta")[0][2] == "seen of beta"
    error = RuleError.objects.get()
    assert error.rule_slug == "timed"
    assert error.message.startswith("In acme: ProgrammingError: ")
    ordered_in("acme")
    act(BEGIN + 2 * HOUR)
    assert orders_of("acme")[0][2] == "seen of acme"
    assert not Schedule.objects.exclude(error="").exists()


def test_a_tenant_that_is_gone_and_one_that_is_new() -> None:
    timed(on("pay_at"))
    ordered_in("beta")
    listed_anew()
    Client.objects.filter(schema_name="acme").update(schema_name="gone")
    try:
        act(BEGIN + HOUR)
        assert "There is no tenant of the schema" in RuleError.objects.get().message
        listed_anew()
        assert sorted(Schedule.objects.values_list("surroundings", flat=True)) == ['"beta"', '"gone"']
        act(BEGIN + HOUR)
        assert 'There is no schema "gone" any more.' in RuleError.objects.first().message  # type: ignore[union-attr]
    finally:
        Client.objects.filter(schema_name="gone").update(schema_name="acme")
    assert orders_of("beta")[0][2] == "seen of beta"
    listed_anew()
    assert sorted(Schedule.objects.values_list("surroundings", flat=True)) == ['"acme"', '"beta"']


def test_workers_that_look_at_once_tell_each_once() -> None:
    timed(on("pay_at"))
    for _ in range(20):
        ordered_in("acme", "beta")
    run_together(3, lambda _number: look_due(now=BEGIN + 2 * HOUR))
    told = list(Event.objects.values_list("surroundings", "object_pk"))
    assert len(told) == len(set(told)) == Firing.objects.count() == 40
