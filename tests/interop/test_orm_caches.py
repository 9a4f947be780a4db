"""django-cacheops: what decides is read past it, so that changes of other processes are seen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from cacheops.conf import prepare_profiles
from django.db import connection
from django.test import override_settings

from rules_engine.models import Execution
from rules_engine.testing import create_rule, run_due
from tests.integration.noting import note
from tests.interop.models import Contact

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.redis]


@pytest.fixture
def caching() -> Iterator[None]:
    """It keeps what is read of every table, by keys of this test alone: its way to forget all empties a Redis."""
    prepare_profiles.memory.clear()
    prefix = f"interop:{uuid4()}:"
    with override_settings(CACHEOPS_ENABLED=True, CACHEOPS_PREFIX=lambda query: prefix):
        yield


def elsewhere(statement: str, *parameters: Any) -> None:
    """What another process writes, past this one's caches."""
    login = connection.get_connection_params()
    wanted = {key: login[key] for key in ("dbname", "user", "password", "host", "port") if login.get(key)}
    with psycopg.connect(**wanted, autocommit=True) as other:
        other.execute(statement, parameters)


@pytest.mark.usefixtures("caching")
def test_a_cache_is_there_that_would_answer_old_things() -> None:
    contact = Contact.objects.create(name="Ada")
    assert Contact.objects.get(pk=contact.pk).name == "Ada"
    elsewhere("UPDATE interop_contact SET name = 'Bob' WHERE id = %s", contact.pk)
    assert Contact.objects.get(pk=contact.pk).name == "Ada"


@pytest.mark.usefixtures("caching")
def test_what_was_before_is_read_from_the_table(noted: list[str]) -> None:
    create_rule(
        model=Contact,
        operations=["update"],
        actions=[note("{{ old.name }} {{ instance.name }}")],
    )
    contact = Contact.objects.create(name="Ada")
    Contact.objects.get(pk=contact.pk)
    elsewhere("UPDATE interop_contact SET name = 'Bob' WHERE id = %s", contact.pk)
    contact.name = "Cleo"
    contact.save()
    run_due()
    assert noted == ["Bob Cleo"]


@pytest.mark.usefixtures("caching")
def test_what_is_due_is_done_each_time(noted: list[str]) -> None:
    create_rule(model=Contact, actions=[note("{{ instance.name }}")])
    for name in ("Ada", "Bob", "Cleo"):
        Contact.objects.create(name=name)
        run_due()
    assert noted == ["Ada", "Bob", "Cleo"]
    assert set(Execution.objects.values_list("state", flat=True)) == {"succeeded"}
