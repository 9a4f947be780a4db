"""How a trigger of SQLite, which knows no session, learns who writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction

from project.shop.models import Order
from rules_engine import acting_as
from rules_engine.databases.triggers import sqlite
from rules_engine.databases.triggers.protocol import Saying
from rules_engine.databases.triggers.rows import WRITTEN
from rules_engine.databases.triggers.tables import TableCapture
from rules_engine.live.triggers.states import state_of
from rules_engine.models import CapturedChange, Event
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_order

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="SQLite's own."),
]
Install = Callable[..., None]


@pytest.fixture
def ada() -> Any:
    return get_user_model().objects.create_user("ada")


@pytest.fixture
def order(install: Install) -> Order:
    create_rule(model=Order, changes=[{"field": "status"}], actions=[("log_message", {"message": "x"})])
    order = make_order()
    install(Order)
    return order


@pytest.fixture(autouse=True)
def _no_temporary_trigger(transactional_db: None) -> Iterator[None]:
    yield
    connection.connection.execute(f"DROP TRIGGER IF EXISTS temp.{sqlite.ASKING}")


def set_status(status: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE shop_order SET status = '{status}'")


def writers() -> list[str]:
    """The names of who wrote what is captured; "" of nobody."""
    told = [json.loads(row.origin or "{}").get("actor") or {} for row in CapturedChange.objects.order_by("id")]
    return [str(actor.get("username", "")) for actor in told]


def has_temporary_trigger() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sqlite_temp_master WHERE name = %s", [sqlite.ASKING])
        return bool(cursor.fetchone()[0])


def test_triggers_ask_the_process_and_no_second_one_is_made(order: Order, ada: Any) -> None:
    with acting_as(ada):
        set_status("paid")
    assert writers() == ["ada"]
    assert not has_temporary_trigger()


def test_triggers_of_an_earlier_release_go_on_until_they_are_made_anew(
    install: Install, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=[("log_message", {"message": "x"})])
    make_order()
    with monkeypatch.context() as earlier:
        earlier.setattr(sqlite.SQLiteTriggers, "origin", "''")
        install(Order)
    refresh()
    with acting_as(ada):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            set_status("pending")
            raise ZeroDivisionError
        set_status("paid")
    assert writers() == ["ada"]
    assert state_of(Order).state == "made_otherwise"
    with pytest.raises(CommandError, match=r"rules_triggers install shop\.order"):
        call_command("rules_triggers", "check", stdout=StringIO())
    call_command("rules_triggers", "install", "shop.order", "--grace", "0", stdout=StringIO())
    refresh()
    connection.connection.execute(f"DROP TRIGGER temp.{sqlite.ASKING}")
    with acting_as(ada):
        set_status("shipped")
    assert writers() == ["ada", "ada"]
    assert not has_temporary_trigger()


def test_a_process_of_an_earlier_release_is_named_by_triggers_of_this_one(order: Order) -> None:
    connection.execute_wrappers.clear()
    raw = connection.connection
    raw.create_function(sqlite.FUNCTION, 0, lambda: '{"actor": {"username": "tom"}}')
    columns = ", ".join(WRITTEN)
    values = ", ".join(f"{sqlite.FUNCTION}()" if name == "origin" else f"NEW.{name}" for name in WRITTEN)
    raw.execute(
        f"CREATE TEMP TRIGGER {sqlite.ASKING} BEFORE INSERT ON main.rules_engine_capturedchange WHEN NEW.origin = '' "
        f"BEGIN INSERT INTO rules_engine_capturedchange ({columns}) VALUES ({values}); SELECT RAISE(IGNORE); END"
    )
    set_status("paid")
    connection.__dict__.pop(sqlite.ANSWERING, None)  # its function is another one now
    assert writers() == ["tom"]


class Site:
    """A connection that has answered nothing yet, to a database with a table whose writes are captured."""

    def __init__(self) -> None:
        self.raw = self.connection = sqlite3.connect(":memory:", isolation_level=None)
        columns = ", ".join(f"{name} text NOT NULL" for name in WRITTEN)
        self.raw.execute(f"CREATE TABLE rules_engine_capturedchange ({columns})")
        self.raw.execute("CREATE TABLE shop_thing (id integer PRIMARY KEY)")
        capture = TableCapture("shop.thing", "shop_thing", ("id",), inserts=True)
        for statement in sqlite.SQLiteTriggers().definition(capture, CapturedChange, "default").statements:
            self.raw.execute(statement)

    def add(self, sql: str, *_: Any) -> None:
        self.raw.execute(sql)

    def add_as(self, who: str) -> None:
        sqlite.SQLiteTriggers().saying(who, "site", self.add, ["INSERT INTO shop_thing DEFAULT VALUES"], Saying())

    def writers(self) -> list[str]:
        return [who for [who] in self.raw.execute("SELECT origin FROM rules_engine_capturedchange ORDER BY rowid")]


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    # Older releases of SQLite have no schema make JSON unless it is trusted.
    monkeypatch.setattr(sqlite.SQLiteTriggers, "json", lambda self, row, columns: "'{}'")
    site = Site()
    monkeypatch.setattr(sqlite, "connections", {"site": site})
    yield site
    site.raw.close()


def test_who_writes_is_named_where_the_schema_is_not_trusted(site: Site) -> None:
    site.raw.execute("PRAGMA trusted_schema = OFF")
    site.add_as("ada")
    site.add("INSERT INTO shop_thing DEFAULT VALUES")
    assert site.writers() == ["ada", "{}"]


def test_a_statement_that_was_compiled_before_names_who_writes(site: Site) -> None:
    site.add("INSERT INTO shop_thing DEFAULT VALUES")
    site.add_as("ada")
    site.add_as("tom")
    site.add("INSERT INTO shop_thing DEFAULT VALUES")
    assert site.writers() == ["", "ada", "tom", ""]


def test_a_statement_that_fails_leaves_no_name_behind(order: Order, ada: Any) -> None:
    with transaction.atomic():
        with acting_as(ada), pytest.raises(IntegrityError), transaction.atomic():
            set_status("paid")
            Order.objects.create(pk=order.pk)
        connection.execute_wrappers.clear()
        set_status("shipped")
    assert writers() == [""]


def test_a_text_that_cannot_be_read_keeps_no_other_row_back(order: Order) -> None:
    other = make_order()
    CapturedChange.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE shop_order SET status = CAST(x'ff' AS TEXT) WHERE id = %s", [order.pk])
    Order.objects.filter(pk=other.pk).update(status="paid")
    run_due()
    assert [event.object_pk for event in Event.objects.all()] == [str(other.pk)]
    assert list(CapturedChange.objects.values_list("object_pk", "failures")) == [(str(order.pk), 1)]


def test_a_table_that_a_model_names_in_another_case_is_found(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Order._meta, "db_table", "Shop_ORDER")
    call_command("rules_triggers", "install", "shop.order", "--grace", "0", stdout=StringIO())
    assert state_of(Order).state == "installed"
    Order.objects.update(status="paid")
    assert CapturedChange.objects.count() == 1
