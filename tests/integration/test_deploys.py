"""Deploys: an older release writes on this one's tables, and data goes from one release to the other and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.apps import apps
from django.db import models
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations import AddField, CreateModel

from tests import older_rows
from tests.fresh import fresh_database, run

#: What people write, by forms and packs: none of it is written by a save, or by a worker.
BY_HAND = {
    "Rule",
    "RuleAction",
    "RuleTest",
    "RuleVersion",
    "Pause",
    "Recording",
    "InstalledTrigger",
    "RuleSetVersion",
    "Endpoint",
}
#: What a process of this release says that meets the tables of an older one.
BEFORE = "their tables are those of an older release: no rule acts in this process and no veto is asked"


def left_out(field: models.Field[object, object]) -> bool:
    """Whether a row may be written that does not name this column."""
    return field.null or field.has_db_default() or field.primary_key


def made_by(migration: Migration) -> set[str]:
    """The names of the models that came with this migration."""
    return {operation.name_lower for operation in migration.operations if isinstance(operation, CreateModel)}


def test_a_column_that_came_later_needs_no_value() -> None:
    loader = MigrationLoader(None)
    added = {
        (label, operation.model_name_lower, operation.name)
        for (label, _), migration in loader.disk_migrations.items()
        if label in older_rows.APPS
        for operation in migration.operations
        if isinstance(operation, AddField) and operation.model_name_lower not in made_by(migration)
    }
    assert len(added) > 20
    present = {
        (label, model._meta.model_name, field.name): field
        for label in older_rows.APPS
        for model in apps.get_app_config(label).get_models()
        for field in model._meta.concrete_fields
    }
    assert [name for name in sorted(added & present.keys()) if not left_out(present[name])] == []


def test_what_a_save_or_a_worker_may_leave_out_has_a_default() -> None:
    found = [
        f"{model._meta.label}.{field.name}"
        for label in older_rows.APPS
        for model in apps.get_app_config(label).get_models()
        if model.__name__ not in BY_HAND
        for field in model._meta.concrete_fields
        if not left_out(field) and (field.has_default() or field.blank)
    ]
    assert found == []


@pytest.mark.django_db
@pytest.mark.parametrize("release", ["0001_initial", "0016_runs", "the last but one"])
def test_an_older_release_writes_on_these_tables(release: str) -> None:
    if release not in (names := older_rows.migrations_of("rules_engine")):
        release = names[-2]
    rows = older_rows.write_all(older_rows.older_models(release))
    for label, row in rows.items():
        # By the key that it had then: this release's may be another column.
        apps.get_model(label)._base_manager.get(**{row._meta.pk.name: row.pk})
    assert {"rules_engine.Event", "rules_engine.Execution", "rules_engine.Attempt"} <= rows.keys()


@pytest.mark.django_db(transaction=True)
def test_data_goes_to_this_release_and_back(process_environment: dict[str, str], tmp_path: Path) -> None:
    with fresh_database(tmp_path) as url:
        there = {**process_environment, "DATABASE_URL": url}
        done = run(there, "-m", "tests.older_rows", "0016_runs", "0002_sender")
    assert any("ERROR" in line and BEFORE in line for line in done.stderr.splitlines())
