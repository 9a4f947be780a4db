"""The check names the column of a date that no index begins with, also in other tables, and the SQL that makes one."""

from __future__ import annotations

import pytest
from django.db import connection

from project.shop.models import Order
from rules_engine.checks import check_rules_on_time
from rules_engine.models import Rule
from rules_engine.testing import create_rule
from rules_engine.work.schedules.indexes import missing_indexes
from tests.integration.schedules.clocks import on
from tests.zoo.models import Animal, Dog, Ticket

pytestmark = pytest.mark.django_db(transaction=True)


def named(label: str, path: str) -> list[str]:
    return [str(index) for index in missing_indexes(label, on(path), "default")]


def test_a_date_without_an_index_is_named_with_the_sql_that_makes_one() -> None:
    create_rule(Animal, signals=(), schedule=on())
    (said,) = check_rules_on_time(None)
    assert said.id == "rules_engine.W041"
    assert "zoo_animal.fed_at has no index" in said.msg
    assert "db_index=True on zoo.Animal.fed_at" in str(said.hint)
    sql = str(said.hint).partition(" or: ")[2]
    assert ("CONCURRENTLY" in sql) == (connection.vendor == "postgresql")
    with connection.cursor() as cursor:
        cursor.execute(sql.rstrip(";"))
    try:
        assert check_rules_on_time(None) == []
    finally:
        with connection.cursor() as cursor:
            where = " ON zoo_animal" if connection.vendor == "mysql" else ""
            cursor.execute(f"DROP INDEX zoo_animal_fed_at_due{where}")


def test_one_column_is_named_once_whatever_rules_there_are() -> None:
    for _ in range(3):
        create_rule(Animal, signals=(), schedule=on())
    assert len(check_rules_on_time(None)) == 1


@pytest.mark.parametrize(
    ("label", "path", "expected"),
    [
        ("zoo.ticket", "animal.fed_at", ["zoo_animal.fed_at"]),
        ("zoo.dog", "born", ["zoo_animal.born"]),
        ("zoo.dog", "fed_at", ["zoo_animal.fed_at"]),
        ("zoo.animal", "dog.fed_at", ["zoo_animal.fed_at"]),
    ],
)
def test_it_is_named_in_the_table_that_has_it(label: str, path: str, expected: list[str]) -> None:
    assert named(label, path) == expected


def test_rules_on_signals_ask_nothing_of_tables() -> None:
    create_rule(Order)
    create_rule("", signals=(), schedule={"kind": "every", "each": "day"})
    Rule.objects.bulk_create(
        [Rule(slug="broken", name="R", model="zoo.animal", signals=[], schedule=on("gone")), Rule(slug="x", name="X")]
    )
    assert check_rules_on_time(None) == []
    assert {Animal, Dog, Ticket}
