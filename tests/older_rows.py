"""Rows as an older release writes them: by the models of its last migration, which know the columns of that time.

As a script it takes a database from an older release, by the last migration of each app, to this one and back:
``python -m tests.older_rows 0001_initial 0001_initial``.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

from django.apps.registry import Apps
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

APPS = ("rules_engine", "webhooks")
_numbers = count(3)
#: What a column that wants a value is given, by its kind.
VALUES: Mapping[type[models.Field[Any, Any]], Any] = {
    models.UUIDField: uuid.uuid4,
    models.DateTimeField: timezone.now,
    models.JSONField: lambda: {"a": [1]},
    models.IntegerField: lambda: next(_numbers),
}


def older_models(migration: str, app: str = "rules_engine") -> Apps:
    """The models as they were after that migration of an app, and of the others before any later one needs it."""
    state = MigrationLoader(None, ignore_no_migrations=True).project_state((app, migration))
    return state.apps


def migrations_of(app: str) -> list[str]:
    """The names of an app's migrations, in their order."""
    return sorted(name for label, name in MigrationLoader(None).disk_migrations if label == app)


def tables(apps: Apps) -> Iterator[type[models.Model]]:
    """Our models in there that have tables."""
    for app in APPS:
        if app in apps.app_configs:
            yield from (model for model in apps.get_app_config(app).get_models() if not model._meta.proxy)


def write(model: type[models.Model], made: Mapping[str, Any]) -> Any:
    """Store a row with a value in each column that has no default; ``made`` are rows that it may refer to, by model."""
    row = model(**{field.attname: _value(field, made) for field in model._meta.concrete_fields if _wants_value(field)})
    row.save(force_insert=True)
    return row


def write_all(apps: Apps) -> dict[str, Any]:
    """Store a row in each table, and write it once more, as whoever updates all its columns. Returns the rows."""
    made: dict[str, Any] = {}
    # Whatever is referred to comes first.
    for model in sorted(tables(apps), key=lambda model: sum(1 for _ in _references(model))):
        made[model._meta.label] = row = write(model, made)
        row.refresh_from_db()
        row.save(force_update=True)
    return made


def _references(model: type[models.Model]) -> Iterator[models.Field[Any, Any]]:
    return (field for field in model._meta.concrete_fields if field.is_relation)


def _wants_value(field: models.Field[Any, Any]) -> bool:
    return not (field.null or field.has_default() or field.has_db_default() or isinstance(field, models.AutoField))


def _value(field: models.Field[Any, Any], made: Mapping[str, Any]) -> Any:
    if field.is_relation:
        related: Any = field.remote_field
        return made[related.model._meta.label].pk
    for kind, value in VALUES.items():
        if isinstance(field, kind):
            return value()
    return uuid.uuid4().hex[: field.max_length or 8]


def _there_and_back(*migrations: str) -> None:
    """Fill each table at that release, go on to this one, write there as the old release, and go back."""
    import django

    django.setup()
    executor = MigrationExecutor(connection)
    old = list(zip(APPS, migrations, strict=True))
    newest = [node for node in executor.loader.graph.leaf_nodes() if node[0] in APPS]
    executor.migrate(old)
    apps = executor.loader.project_state(old).apps
    rows = list(write_all(apps).values())
    _newer_code_says_that_it_is()
    MigrationExecutor(connection).migrate(newest)
    before = [(row, _values(row)) for row in rows]
    rows += write_all(apps).values()
    from django.apps import apps as present

    for row in rows:
        present.get_model(row._meta.label)._base_manager.get(pk=row.pk)
    MigrationExecutor(connection).migrate(old)
    for row, values in before:
        assert _values(type(row)._base_manager.get(pk=row.pk)) == values, row
    assert all(type(row)._base_manager.filter(pk=row.pk).exists() for row in rows)


def _newer_code_says_that_it_is() -> None:
    from django.core.management import CommandError, call_command

    from rules_engine.live import watcher

    watcher.look()
    with suppress(CommandError):
        call_command("rules_worker")
        raise AssertionError("A worker began on the tables of an older release.")


def _values(row: Any) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


if __name__ == "__main__":
    _there_and_back(*sys.argv[1:])
