"""What is particular to one database: files, cascades, partitions, schemas, rights, locks, dumps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, models, transaction
from django.test.utils import isolate_apps

from project.shop.models import Order, OrderItem
from rules_engine.databases.triggers import postgresql, triggers_of
from rules_engine.databases.triggers.tables import TableCapture
from rules_engine.live.triggers import installing
from rules_engine.live.triggers.needs import whole_table
from rules_engine.live.triggers.states import state_of
from rules_engine.models import CapturedChange, Event, InstalledTrigger
from rules_engine.testing import create_rule, refresh, run_due
from tests.factories import make_order, make_product

pytestmark = pytest.mark.django_db(transaction=True)
Install = Callable[..., None]
LOG = [("log_message", {"message": "{{ instance.status }}"})]
of_postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL's own.")
of_mariadb = pytest.mark.skipif(connection.vendor != "mysql", reason="MariaDB's own.")


def sql(statement: str, *values: Any) -> Sequence[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        rows: Sequence[Any] = cursor.fetchall() if cursor.description else ()
    return rows


def captured() -> list[tuple[str, str]]:
    return list(CapturedChange.objects.order_by("id").values_list("operation", "object_pk"))


@contextmanager
def table(name: str, *makes: str, drops: str) -> Iterator[TableCapture]:
    """A table of which every write is captured, with a column "what"; gone at the end."""
    for statement in makes:
        sql(statement)
    capture = TableCapture("shop.thing", name, ("id",), ("id", "what"), ("what",), ("id", "what"), True, True, ((),))
    try:
        installing.install(capture, grace=0)
        yield capture
    finally:
        InstalledTrigger.objects.filter(model="shop.thing").delete()
        sql(drops)


@pytest.fixture
def order(install: Install) -> Order:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    create_rule(model=Order, signals=["post_delete"], actions=LOG)
    order = make_order()
    install(Order)
    return order


@of_postgresql
def test_rows_that_are_copied_from_a_file_are_told(order: Order) -> None:
    columns = "order_number, status, subtotal, shipping_cost, discount, total"
    with connection.cursor() as cursor, cursor.copy(f"COPY shop_order ({columns}) FROM STDIN") as copy:
        for number in range(3):
            copy.write_row((f"c{number}", "paid", 1, 0, 0, 1))
    run_due()
    assert [event.context["instance"]["status"] for event in Event.objects.all()] == ["paid"] * 3


@of_postgresql
def test_a_truncated_table_is_told_as_each_row_deleted(order: Order) -> None:
    make_order(status="paid")
    run_due()
    Event.objects.all().delete()
    sql("TRUNCATE shop_order CASCADE")
    run_due()
    assert sorted(event.context["old"]["status"] for event in Event.objects.all()) == ["draft", "paid"]
    assert {event.operation for event in Event.objects.all()} == {"delete"}


@pytest.mark.skipif(connection.vendor == "mysql", reason="Its foreign keys fire no triggers.")
def test_what_the_database_deletes_along_is_told(install: Install) -> None:
    create_rule(model=OrderItem, signals=["post_delete"], actions=[("log_message", {"message": "{{ old.quantity }}"})])
    install(OrderItem)
    parent = "CREATE TABLE zoo_parent (id integer PRIMARY KEY)"
    child = "CREATE TABLE zoo_kid (id integer PRIMARY KEY, what integer REFERENCES zoo_parent(id) ON DELETE CASCADE)"
    with table("zoo_kid", parent, child, drops="DROP TABLE zoo_kid"):
        try:
            sql("INSERT INTO zoo_parent VALUES (1)")
            sql("INSERT INTO zoo_kid VALUES (7, 1), (8, 1)")
            sql("DELETE FROM zoo_parent")
            assert sorted(captured()[2:]) == [("delete", "7"), ("delete", "8")]
        finally:
            sql("DROP TABLE IF EXISTS zoo_kid")
            sql("DROP TABLE zoo_parent")
            sql("CREATE TABLE zoo_kid (id integer)")


@of_postgresql
def test_partitions_are_captured_by_their_table(install: Install) -> None:
    makes = (
        "CREATE TABLE zoo_parts (id integer, what integer) PARTITION BY RANGE (what)",
        "CREATE TABLE zoo_parts_1 PARTITION OF zoo_parts FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE zoo_parts_2 PARTITION OF zoo_parts FOR VALUES FROM (10) TO (20)",
    )
    with table("zoo_parts", *makes, drops="DROP TABLE zoo_parts"):
        sql("INSERT INTO zoo_parts VALUES (1, 1), (2, 11), (3, 2)")
        sql("UPDATE zoo_parts SET what = what + 9 WHERE what < 10")
        sql("DELETE FROM zoo_parts WHERE id = 2")
        said = [(row.operation, row.object_pk, row.old, row.new) for row in CapturedChange.objects.order_by("id")]
    assert sorted(said[:3]) == [
        ("create", str(pk), "", f'{{"id" : {pk}, "what" : {what}}}') for pk, what in ((1, 1), (2, 11), (3, 2))
    ]
    assert sorted(said[3:5]) == [
        ("update", str(pk), f'{{"what" : {what}}}', f'{{"id" : {pk}, "what" : {what + 9}}}')
        for pk, what in ((1, 1), (3, 2))
    ]
    assert said[5][:2] == ("delete", "2")


@of_postgresql
def test_a_table_of_another_schema_is_captured_and_names_need_quoting(install: Install) -> None:
    makes = ('CREATE SCHEMA "other s"', 'CREATE TABLE "other s"."Odd %s Name" (id integer PRIMARY KEY, what text)')
    with table('other s"."Odd %s Name', *makes, drops='DROP SCHEMA "other s" CASCADE') as capture:
        sql("INSERT INTO \"other s\".\"Odd %s Name\" VALUES (1, 'a''b')")
        sql("SET search_path = pg_catalog")
        try:
            sql('UPDATE "other s"."Odd %s Name" SET what = NULL')
        finally:
            sql("RESET search_path")
        assert captured() == [("create", "1"), ("update", "1")]
        assert installing.install(capture, grace=0) is False


def a_thing() -> Any:
    """A model for a table that a test makes by itself."""

    class Thing(models.Model):
        what = models.TextField()

        class Meta:
            app_label = "shop"
            db_table = "shop_thing"

    return Thing


@of_postgresql
@isolate_apps("project.shop")
@pytest.mark.parametrize("kind", ["hstore[]", "hstore[][]", "rules_hstores"])
def test_an_array_of_a_type_that_is_another_as_json_is_read_back(kind: str) -> None:
    thing, triggers = a_thing(), triggers_of("default")
    assert triggers is not None
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    sql("CREATE DOMAIN rules_hstores AS hstore[]")
    value = """{"size=>large, odd=>\\"it's, a {}\\"","none=>NULL",NULL}"""
    try:
        make = f"CREATE TABLE shop_thing (id int PRIMARY KEY, what {kind})"
        with table("shop_thing", make, drops="DROP TABLE shop_thing"):
            sql("INSERT INTO shop_thing VALUES (1, %s), (2, NULL), (3, '{}')", value)
            rows = [row.new for row in CapturedChange.objects.order_by("id")]
            found = list(triggers.values(thing, thing._meta.fields, rows, "default"))
            [stored] = sql("SELECT what::text FROM shop_thing WHERE id = 1")
    finally:
        sql("DROP DOMAIN rules_hstores")
    assert [row[1] for row in found] == [stored[0], None, "{}"]


@of_postgresql
@isolate_apps("project.shop")
def test_a_type_that_is_another_as_json_is_read_back() -> None:
    thing = a_thing()
    sql("CREATE EXTENSION IF NOT EXISTS hstore")
    make = "CREATE TABLE shop_thing (id int PRIMARY KEY, what hstore)"
    triggers = triggers_of("default")
    assert triggers is not None
    with table("shop_thing", make, drops="DROP TABLE shop_thing"):
        sql("INSERT INTO shop_thing VALUES (1, 'size=>large, odd=>\"it''s, a \\\"=>\\\"\", none=>NULL'), (2, NULL)")
        sql("UPDATE shop_thing SET what = what || 'size=>small' WHERE id = 1")
        rows = [row.new for row in CapturedChange.objects.order_by("id")]
        found = list(triggers.values(thing, thing._meta.fields, rows, "default"))
        sizes = sql("SELECT (%s::hstore)->'size', (%s::hstore)->'odd'", found[0][1], found[0][1])
    assert [tuple(sizes[0]), found[1][1]] == [("large", 'it\'s, a "=>"'), None]
    assert '"size"=>"small"' in found[2][1]


@of_postgresql
def test_whoever_writes_needs_no_right_to_what_is_captured(order: Order) -> None:
    sql("CREATE ROLE rules_clerk")
    try:
        sql("GRANT SELECT, UPDATE ON shop_order TO rules_clerk")
        sql("SET ROLE rules_clerk")
        try:
            sql("UPDATE shop_order SET status = 'paid'")
        finally:
            sql("RESET ROLE")
        assert captured() == [("update", str(order.pk))]
    finally:
        sql("DROP OWNED BY rules_clerk")
        sql("DROP ROLE rules_clerk")


@of_postgresql
def test_nobody_else_can_bind_the_function_to_a_table_of_theirs(order: Order) -> None:
    name = InstalledTrigger.objects.get(model="shop.order").names[0].rpartition("_")[0]
    sql("CREATE ROLE rules_clerk")
    try:
        sql("GRANT SELECT, UPDATE ON shop_order TO rules_clerk")
        sql("SET ROLE rules_clerk")
        try:
            sql("CREATE TEMP TABLE forged (id int, status text)")
            with pytest.raises(ProgrammingError, match="permission denied for function"):
                sql(
                    "CREATE TRIGGER forging AFTER INSERT ON forged REFERENCING NEW TABLE AS n "
                    f'FOR EACH STATEMENT EXECUTE FUNCTION public."{name}"()'
                )
            sql("UPDATE shop_order SET status = 'paid'")
        finally:
            sql("RESET ROLE")
        assert captured() == [("update", str(order.pk))]
    finally:
        sql("DROP OWNED BY rules_clerk")
        sql("DROP ROLE rules_clerk")


@of_postgresql
def test_a_function_that_an_earlier_release_left_to_everybody_is_mended(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    with monkeypatch.context() as earlier:
        earlier.setattr(postgresql, "NOT_FOR_OTHERS", "GRANT ALL ON FUNCTION {}() TO PUBLIC")
        install(Order)

    def is_for_all() -> bool:
        name = InstalledTrigger.objects.get().names[0].rpartition("_")[0]
        [[is_granted]] = sql("SELECT has_function_privilege('public', %s, 'EXECUTE')", f'public."{name}"()')
        return bool(is_granted)

    assert is_for_all()
    assert state_of(Order).state == "made_otherwise"
    with pytest.raises(CommandError, match=r"rules_triggers install shop\.order"):
        call_command("rules_triggers", "check", stdout=StringIO())
    call_command("rules_triggers", "install", "shop.order", stdout=StringIO())
    assert not is_for_all()
    assert state_of(Order).state == "installed"


@of_postgresql
def test_nobody_can_put_a_function_of_theirs_in_the_way(order: Order) -> None:
    sql("CREATE FUNCTION pg_temp.statement_timestamp() RETURNS timestamptz LANGUAGE sql AS 'SELECT 1/0; SELECT now()'")
    sql("SET search_path = pg_temp, public")
    try:
        sql("UPDATE public.shop_order SET status = 'paid'")
    finally:
        sql("RESET search_path")
    assert captured() == [("update", str(order.pk))]


@of_postgresql
@pytest.mark.skipif("not shutil.which('pg_dump')", reason="pg_dump is not here.")
def test_they_are_in_a_dump_and_come_back_with_it(order: Order) -> None:
    settings = connection.settings_dict
    environment = {**os.environ, "PGUSER": settings["USER"], "PGPASSWORD": settings["PASSWORD"] or ""}
    environment |= {"PGHOST": settings["HOST"], "PGPORT": str(settings["PORT"] or 5432)}
    source, copy = settings["NAME"], f"{settings['NAME']}_copy"

    def run(*command: str, **options: Any) -> bytes:
        done = subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120, **options)
        return bytes(done.stdout)

    assert shutil.which("pg_dump")
    dump = run("pg_dump", "-t", "shop_order", "-t", "rules_engine_capturedchange", "--schema-only", source)
    functions = run("pg_dump", "--schema-only", source).decode()
    function = functions[functions.index("CREATE FUNCTION public.rules_engine_") :].split("\n\n\n")[0]
    run("createdb", copy)
    try:
        run("psql", "-q", "-d", copy, "-c", function)
        run("psql", "-q", "-d", copy, input=dump)
        columns = "(order_number, status, subtotal, shipping_cost, discount, total) VALUES ('x', 'paid', 0, 0, 0, 0)"
        run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", copy, "-c", f"INSERT INTO shop_order {columns}")
        told = run("psql", "-qtA", "-d", copy, "-c", "SELECT operation, origin FROM rules_engine_capturedchange")
        assert told.decode().strip() == f'create|{{"database_user" : "{settings["USER"]}"}}'
    finally:
        run("dropdb", copy)


@of_postgresql
def test_a_locked_table_is_not_waited_for(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installing, "LOCK_SECONDS", 0.05)
    create_rule(model=Order, changes=[{"field": "total"}], actions=LOG)
    before = InstalledTrigger.objects.get()
    other = connection.copy()
    try:
        with transaction.atomic(), other.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE shop_order IN ACCESS SHARE MODE; UPDATE shop_order SET total = 0")
            with pytest.raises(CommandError, match="nothing is changed"), transaction.atomic():
                call_command("rules_triggers", "install", "shop.order")
    finally:
        other.close()
    assert InstalledTrigger.objects.get().names == before.names


def test_a_view_is_refused(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    create_rule(model=Order, changes=[{"field": "status"}], actions=LOG)
    sql("CREATE VIEW zoo_view AS SELECT * FROM shop_order")
    try:
        monkeypatch.setattr(Order._meta, "db_table", "zoo_view")
        with pytest.raises(CommandError, match=r"shop\.order cannot have triggers: it is a view"):
            call_command("rules_triggers", "install", "shop.order")
    finally:
        sql("DROP VIEW zoo_view")


@of_mariadb
def test_what_differs_by_case_alone_is_a_change(order: Order) -> None:
    Order.objects.update(status="DRAFT")
    assert captured() == [("update", str(order.pk))]


@of_mariadb
def test_a_table_without_transactions_is_refused(install: Install) -> None:
    sql("CREATE TABLE zoo_isam (id integer PRIMARY KEY, what integer) ENGINE=MyISAM")
    try:
        with pytest.raises(CommandError, match="has no transactions"):
            raise CommandError(installing._trouble("zoo_isam", "default"))
    finally:
        sql("DROP TABLE zoo_isam")


@pytest.mark.skipif(connection.vendor == "postgresql", reason="It has no REPLACE.")
def test_a_row_that_is_replaced_is_told(order: Order) -> None:
    columns = "id, order_number, status, subtotal, shipping_cost, discount, total"
    sql(f"REPLACE INTO shop_order ({columns}) VALUES ({order.pk}, 'r', 'paid', 0, 0, 0, 0)")
    whole = [("delete", str(order.pk)), ("create", str(order.pk))]
    assert captured() == (whole if connection.vendor == "mysql" else whole[1:])


@pytest.mark.skipif(connection.vendor == "postgresql", reason="A key is never null there.")
def test_a_row_without_a_key_is_written_and_captured(install: Install) -> None:
    make = "CREATE TABLE zoo_keyless (id varchar(10) NULL UNIQUE, what integer)"
    with table("zoo_keyless", make, drops="DROP TABLE zoo_keyless"):
        sql("INSERT INTO zoo_keyless VALUES (NULL, 1)")
        assert captured() == [("create", "")]


@of_mariadb
def test_a_key_that_is_longer_than_is_kept_fails_no_write(install: Install) -> None:
    make = "CREATE TABLE zoo_long (id varchar(400) PRIMARY KEY, what integer)"
    with table("zoo_long", make, drops="DROP TABLE zoo_long"):
        sql("INSERT INTO zoo_long VALUES (%s, 1)", "k" * 300)
        assert captured() == [("create", "k" * 255)]


@of_mariadb
def test_whoever_installs_with_fewer_characters_fails_no_write(install: Install) -> None:
    make = "CREATE TABLE zoo_texts (id integer PRIMARY KEY, what varchar(20)) CHARACTER SET utf8mb4"
    sql("SET NAMES utf8mb3")
    try:
        with table("zoo_texts", make, drops="DROP TABLE zoo_texts"):
            sql("SET NAMES utf8mb4")
            sql("INSERT INTO zoo_texts VALUES (1, '\N{GRINNING FACE}')")
            assert "\N{GRINNING FACE}" in CapturedChange.objects.get().new
    finally:
        sql("SET NAMES utf8mb4")


@of_mariadb
@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        ("bit(8)", ("b'10000001'", "b'11'"), ("129", "3")),
        ("point", ("ST_GeomFromText('POINT(0 0)')", "NULL"), ("0101" + "0" * 38, None)),
    ],
)
def test_a_type_that_is_no_text_fails_no_write(
    install: Install, kind: str, values: Sequence[str], told: Sequence[str | None]
) -> None:
    make = f"CREATE TABLE zoo_kinds (id integer PRIMARY KEY, what {kind})"
    with table("zoo_kinds", make, drops="DROP TABLE zoo_kinds") as capture:
        installing.install(replace(capture, updates=(("what",),)), grace=0)
        sql(f"INSERT INTO zoo_kinds VALUES (1, {values[0]})")
        sql(f"UPDATE zoo_kinds SET what = {values[0]}, id = 2")
        sql(f"UPDATE zoo_kinds SET what = {values[1]}")
        rows = CapturedChange.objects.order_by("id")
        assert [json.loads(row.new)["what"] for row in rows] == list(told)


def test_very_many_columns_are_captured(install: Install) -> None:
    names = [f"c{number}" for number in range(150)]
    columns = ", ".join(f"{name} integer" for name in names)
    sql(f"CREATE TABLE zoo_wide (id integer PRIMARY KEY, {columns})")
    capture = TableCapture("zoo.wide", "zoo_wide", ("id",), ("id", *names), (), (), True)
    try:
        installing.install(capture, grace=0)
        sql("INSERT INTO zoo_wide (id, c0, c149) VALUES (1, 5, 6)")
        row = CapturedChange.objects.get()
        assert row.new.count("c1") >= 60
        assert "c149" in row.new
    finally:
        InstalledTrigger.objects.filter(model="zoo.wide").delete()
        sql("DROP TABLE zoo_wide")


def test_names_are_short_whatever_the_model_is_called() -> None:
    class Long(models.Model):
        what = models.CharField(max_length=5)

        class Meta:
            app_label = "zoo"
            managed = False
            db_table = "t" * 60

    capture = whole_table(Long)
    name = TableCapture("z" * 200, capture.table, capture.keys).name("text")
    assert len(name) + 2 <= 63


def test_a_write_is_undone_with_what_was_captured_of_it(order: Order) -> None:
    refresh()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        make_product()
        Order.objects.update(status="paid")
        assert CapturedChange.objects.count() == 1
        raise ZeroDivisionError
    assert captured() == []
