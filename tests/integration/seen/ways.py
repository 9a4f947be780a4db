"""Every way of writing an animal that ``test.seen.writes`` lists, done for real, and what it should be told as."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection, models

from tests.zoo.models import Animal, Keeper, Tag

#: What is told of a row: the operation, the legs before, and after.
Told = tuple[str, Any, Any]
plain = models.QuerySet(Animal)


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)


def save(animal: Animal) -> list[Told]:
    animal.legs = 3
    animal.save()
    Animal.objects.create(name="Tom", legs=5)
    return [("update", 4, 3), ("create", None, 5)]


def delete(animal: Animal) -> list[Told]:
    other = Animal.objects.create(name="Tom", legs=7)
    animal.delete()
    plain.filter(pk=other.pk).delete()
    return [("create", None, 7), ("delete", 4, 4), ("delete", 7, 7)]


def relation(animal: Animal) -> list[Told]:
    animal.tags.add(Tag.objects.get())
    return [("add", None, None)]


def update(animal: Animal) -> list[Told]:
    plain.update(legs=3)
    return [("update", 4, 3)]


def bulk_create(animal: Animal) -> list[Told]:
    plain.bulk_create([Animal(name="a", legs=1), Animal(name="b", legs=2)])
    return [("create", None, 1), ("create", None, 2)]


def bulk_conflicts(animal: Animal) -> list[Told]:
    unique = None if connection.vendor == "mysql" else ["id"]
    rows = [Animal(id=animal.pk, name="Rex", legs=3), Animal(id=animal.pk + 50, name="new", legs=6)]
    plain.bulk_create(rows, update_conflicts=True, update_fields=["legs"], unique_fields=unique)
    return [("update", 4, 3), ("create", None, 6)]


def bulk_update(animal: Animal) -> list[Told]:
    animal.legs = 3
    plain.bulk_update([animal], ["legs"])
    return [("update", 4, 3)]


def set_null(animal: Animal) -> list[Told]:
    Keeper.objects.get().delete()
    return [("update", None, None)]


def cascade(animal: Animal) -> list[Told]:
    with cascading_in_database():
        sql("DELETE FROM zoo_keeper")
    return [("delete", 4, 4)]


def lost_relation(animal: Animal) -> list[Told]:
    Tag.objects.get().delete()
    return [("remove", None, None)]


def raw(animal: Animal) -> list[Told]:
    sql("UPDATE zoo_animal SET legs = %s WHERE id = %s", 3, animal.pk)
    sql("DELETE FROM zoo_animal WHERE id = %s", animal.pk)
    return [("update", 4, 3), ("delete", 3, 3)]


def loaded_file(animal: Animal) -> list[Told]:
    columns, row = "tag_id, animal_id", f"{Tag.objects.get().pk}\t{animal.pk}\n"
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor, cursor.copy(f"COPY zoo_animal_tags ({columns}) FROM STDIN") as copy:
            copy.write(row)
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
            file.write(row)
            file.flush()
            program(f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE zoo_animal_tags ({columns})")
    return [("add", None, None)]


def by_program(animal: Animal) -> list[Told]:
    program(f"UPDATE zoo_animal SET legs = 3 WHERE id = {animal.pk}")
    return [("update", 4, 3)]


WAYS: dict[str, Callable[[Animal], list[Told]]] = {
    "save": save,
    "delete": delete,
    "relation": relation,
    "update": update,
    "bulk_create": bulk_create,
    "bulk_conflicts": bulk_conflicts,
    "bulk_update": bulk_update,
    "set_null": set_null,
    "cascade": cascade,
    "lost_relation": lost_relation,
    "sql": raw,
    "file": loaded_file,
    "program": by_program,
}

#: A driver and no Django.
PROGRAM = """
import json, sys
kind, options, statement, keeps = json.loads(sys.argv[1])
if kind == "sqlite":
    import sqlite3 as driver
elif kind == "postgresql":
    import psycopg as driver
else:
    import MySQLdb as driver
connection = driver.connect(**options)
connection.cursor().execute(statement)
connection.commit() if keeps else connection.rollback()
"""


def program(statement: str, *, keeps: bool = True) -> None:
    """Run a statement in a process that knows nothing of Django; ``keeps`` whether it commits."""
    told = connection.settings_dict
    options: dict[str, Any] = {"host": told["HOST"], "user": told["USER"], "password": told["PASSWORD"]}
    if connection.vendor == "sqlite":
        options = {"database": str(told["NAME"])}
    elif connection.vendor == "postgresql":
        options |= {"dbname": told["NAME"], "port": told["PORT"] or 5432}
    else:
        options |= {"database": told["NAME"], "port": int(told["PORT"] or 3306), "local_infile": 1}
    call = [sys.executable, "-c", PROGRAM, json.dumps([connection.vendor, options, statement, keeps])]
    done = subprocess.run(call, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@contextmanager
def cascading_in_database() -> Iterator[None]:
    """Have the database delete animals with their keeper by itself, as ``DB_CASCADE`` of Django 6.1 has it."""
    ours = "ADD CONSTRAINT of_the_matrix FOREIGN KEY (keeper_id) REFERENCES zoo_keeper (id) ON DELETE CASCADE"
    if connection.vendor == "sqlite":
        yield from _cascading_in_sqlite()
    elif connection.vendor == "postgresql":
        sql(f"ALTER TABLE zoo_animal {ours}")
        yield
        sql("ALTER TABLE zoo_animal DROP CONSTRAINT of_the_matrix")
    else:
        with connection.cursor() as cursor:
            there = connection.introspection.get_constraints(cursor, "zoo_animal")
        [name] = [name for name, told in there.items() if told["foreign_key"] and told["columns"] == ["keeper_id"]]
        sql(f"ALTER TABLE zoo_animal DROP FOREIGN KEY {name}, {ours}")
        yield
        back = f"ADD CONSTRAINT {name} FOREIGN KEY (keeper_id) REFERENCES zoo_keeper (id)"
        sql("ALTER TABLE zoo_animal DROP FOREIGN KEY of_the_matrix")
        sql(f"ALTER TABLE zoo_animal {back}")


def _cascading_in_sqlite() -> Iterator[None]:
    before = 'REFERENCES "zoo_keeper" ("id") DEFERRABLE'
    after = 'REFERENCES "zoo_keeper" ("id") ON DELETE CASCADE DEFERRABLE'
    change = "UPDATE sqlite_master SET sql = replace(sql, %s, %s) WHERE type = 'table' AND name = 'zoo_animal'"
    for old, new in ((before, after), (after, before)):
        sql("PRAGMA writable_schema = ON")
        sql(change, old, new)
        with connection.cursor() as cursor:
            [version] = cursor.execute("PRAGMA schema_version").fetchone()
        sql(f"PRAGMA schema_version = {version + 1}")
        sql("PRAGMA writable_schema = OFF")
        if new == after:
            yield


def made() -> Animal:
    """Store an animal of a keeper with a tag that is not its own yet."""
    return Animal.objects.create(name="Rex", legs=4, keeper=Keeper.objects.create(name="Ada"))
