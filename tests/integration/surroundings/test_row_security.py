"""Row-level security: a policy looks at what a request has SET, and so it does when the worker acts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, transaction

from rules_engine.models import Execution
from rules_engine.testing import create_rule, run_due
from tests.zoo.models import Animal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres("only it has row-level security")]

POLICY = """
    CREATE ROLE rules_of_shops; GRANT rules_of_shops TO CURRENT_USER;
    GRANT ALL ON ALL TABLES IN SCHEMA public TO rules_of_shops;
    GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO rules_of_shops;
    ALTER TABLE zoo_animal ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_shop ON zoo_animal USING (notes = current_setting('app.shop', true));
    SET ROLE rules_of_shops;
"""
NO_POLICY = """
    RESET ROLE; RESET app.shop; DROP POLICY of_shop ON zoo_animal; ALTER TABLE zoo_animal DISABLE ROW LEVEL SECURITY;
    DROP OWNED BY rules_of_shops; DROP ROLE rules_of_shops;
"""


def _ask(sql: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, values or None)
        return cursor.fetchone()[0] if cursor.description else None


def present() -> str | None:
    """Tell what was SET."""
    return _ask("SELECT NULLIF(current_setting('app.shop', true), '')")


@contextmanager
def enter(shop: str) -> Iterator[None]:
    """SET it, and what it was at the end."""
    before = present() or ""
    _ask("SELECT set_config('app.shop', %s, false)", shop)
    try:
        yield
    finally:
        _ask("SELECT set_config('app.shop', %s, false)", before)


@pytest.fixture
def policy(settings: Any) -> Iterator[None]:
    """Rows of animals that are for their shop alone, and a role that the policy holds for."""
    setting = {"present": f"{__name__}.present", "enter": f"{__name__}.enter"}
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": setting}
    _ask(POLICY)
    yield
    _ask(NO_POLICY)


@contextmanager
def request_of(shop: str) -> Iterator[None]:
    """What a middleware does: SET LOCAL in the request's transaction."""
    with transaction.atomic():
        _ask("SELECT set_config('app.shop', %s, true)", shop)
        yield


def test_a_worker_changes_the_rows_that_the_policy_shows_the_request(policy: None) -> None:
    values = [{"field": "legs", "value": "3"}]
    create_rule(Animal, operations=["create"], actions=[("update_objects", {"values": values})])
    with request_of("north"):
        Animal.objects.create(name="Rex", notes="north")
    with request_of("south"):
        Animal.objects.create(name="Tom", notes="south")
    assert Animal.objects.count() == 0
    run_due()
    assert [(each.state, each.error) for each in Execution.objects.all()] == [("succeeded", "")] * 2
    for shop in ("north", "south"):
        with request_of(shop):
            assert list(Animal.objects.values_list("notes", "legs")) == [(shop, 3)]
    assert present() is None


def test_without_the_setting_the_worker_finds_nothing(policy: None, settings: Any) -> None:
    settings.RULES_ENGINE = {key: value for key, value in settings.RULES_ENGINE.items() if key != "SURROUNDINGS"}
    values = [{"field": "legs", "value": "3"}]
    create_rule(Animal, operations=["create"], actions=[("update_objects", {"values": values})])
    with request_of("north"):
        Animal.objects.create(name="Rex", notes="north")
    run_due()
    with request_of("north"):
        assert Animal.objects.get().legs == 4


def test_an_action_that_fails_in_the_database_leaves_no_shop_behind(policy: None) -> None:
    values = [{"field": "legs", "value": "{{ instance.name }}"}]
    create_rule(Animal, operations=["create"], actions=[("update_objects", {"values": values})])
    with request_of("north"):
        Animal.objects.create(name="Rex", notes="north")
    run_due()
    assert Execution.objects.get().state in ("discarded", "retryable")
    assert present() is None
