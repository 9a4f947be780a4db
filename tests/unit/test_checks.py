"""What ``manage.py check`` says of settings, each check by itself and without a database."""

from __future__ import annotations

import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from celery import current_app
from django.db import models

from rules_engine import checks
from rules_engine.databases import generic, mysql, postgresql, sqlite
from rules_engine.types import RuleSpec
from tests.zoo.models import Meal


def said(messages: Any) -> list[tuple[str, str]]:
    return [(message.id, message.msg) for message in messages]


@pytest.mark.parametrize(
    ("written", "part"),
    [
        ({"NO_SUCH_KEY": 1}, "NO_SUCH_KEY"),
        ({"HINTS": "yes"}, "HINTS"),
        ({"RETENTION_DAYS": -1}, "RETENTION_DAYS"),
        ("text", "RULES_ENGINE"),
    ],
)
def test_a_setting_that_cannot_be_used_is_an_error(settings: Any, written: Any, part: str) -> None:
    settings.RULES_ENGINE = written
    found = said(checks.check_settings(None))
    assert {id_ for id_, _ in found} == {"rules_engine.E001"}
    assert part in " ".join(text for _, text in found)


def test_a_site_without_settings_of_ours_is_well(settings: Any) -> None:
    del settings.RULES_ENGINE
    assert checks.check_settings(None) == []


def test_without_a_database_no_rule_is_looked_at() -> None:
    assert checks.check_rules(None) == []
    assert checks.check_loops(None) == []


@pytest.mark.parametrize(
    ("arguments", "is_test", "level"),
    [
        (["manage.py", "check"], False, "Error"),
        (["manage.py", "check", "--deploy"], False, "Error"),
        (["manage.py", "migrate"], False, "Warning"),
        (["manage.py"], False, "Warning"),
        (["pytest"], True, "Error"),
    ],
)
def test_a_broken_rule_fails_a_check_and_stops_no_other_command(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], is_test: bool, level: str
) -> None:
    broken = RuleSpec(slug="broken", model="zoo.animal", signals=("post_save",), condition={"nonsense": []})
    monkeypatch.setattr(checks, "_enabled_rules", lambda: [broken])
    monkeypatch.setattr(checks, "is_test_environment", lambda: is_test)
    monkeypatch.setattr(sys, "argv", arguments)
    messages = checks.check_rules(None)
    assert messages
    for message in messages:
        assert type(message).__name__ == level
        assert message.id == "rules_engine.E002"
        assert message.msg.startswith("Rule broken: /condition")


@pytest.mark.parametrize(
    ("broker", "hints", "is_said"),
    [
        ("", True, True),
        (None, True, True),
        ("", False, False),
        ("redis://127.0.0.1/0", True, False),
    ],
)
def test_workers_that_cannot_be_told_of_work_are_a_warning(
    settings: Any, monkeypatch: pytest.MonkeyPatch, broker: str | None, hints: bool, is_said: bool
) -> None:
    settings.RULES_ENGINE = {"HINTS": hints}
    monkeypatch.setattr(current_app.conf, "broker_url", broker)
    monkeypatch.setattr(current_app.conf, "broker_read_url", None)
    monkeypatch.setattr(current_app.conf, "broker_write_url", None)
    found = said(checks.check_broker(None))
    assert [id_ for id_, _ in found] == (["rules_engine.W003"] if is_said else [])


@pytest.mark.parametrize("name", ["broker_read_url", "broker_write_url"])
def test_a_broker_that_is_read_and_written_apart_is_one(
    settings: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    settings.RULES_ENGINE = {"HINTS": True}
    monkeypatch.setattr(current_app.conf, "broker_url", "")
    monkeypatch.setattr(current_app.conf, name, "redis://127.0.0.1/0")
    assert checks.check_broker(None) == []


@pytest.mark.parametrize(
    ("options", "is_said"),
    [
        (None, False),
        ({}, True),
        ({"enable-threads": False}, True),
        ({"enable-threads": True}, False),
        ({"threads": b"4"}, False),
    ],
)
def test_uwsgi_without_threads_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any] | None, is_said: bool
) -> None:
    module = ModuleType("uwsgi")
    module.opt = options  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "uwsgi", None if options is None else module)
    found = said(checks.check_threads(None))
    assert [id_ for id_, _ in found] == (["rules_engine.W006"] if is_said else [])


@pytest.mark.parametrize(
    ("middleware", "is_said"),
    [
        ([], False),
        (["django.middleware.security.SecurityMiddleware"], True),
        ([checks.MIDDLEWARE], False),
        ([f"{checks.MIDDLEWARE}s"], True),
    ],
)
def test_a_missing_middleware_is_a_warning(settings: Any, middleware: list[str], is_said: bool) -> None:
    settings.MIDDLEWARE = middleware
    found = said(checks.check_middleware(None))
    assert [id_ for id_, _ in found] == (["rules_engine.W007"] if is_said else [])


class Apart:
    """Sends rules elsewhere than executions."""

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "elsewhere" if model.__name__ == "Rule" else None


def test_rules_and_executions_in_two_databases_are_an_error(settings: Any) -> None:
    assert checks.check_one_database(None) == []
    settings.DATABASE_ROUTERS = [Apart()]
    [(id_, text)] = said(checks.check_one_database(None))
    assert id_ == "rules_engine.E005"
    assert 'Rules are stored in "elsewhere" and executions in "default"' in text


@pytest.mark.parametrize(
    ("signals", "part"),
    [
        ({"site.odd": "nowhere.at.all"}, "nowhere.at"),
        ({"site.odd": "project.clinic.signals.nothing"}, "nothing"),
        ({"post_save": "project.clinic.signals.appointment_cancelled"}, "already stands for another signal"),
        ({"user_logged_in": "project.clinic.signals.appointment_cancelled"}, "already stands for another signal"),
    ],
)
def test_a_signal_that_leads_nowhere_or_twice_is_an_error(settings: Any, signals: dict[str, str], part: str) -> None:
    settings.RULES_ENGINE = {"SIGNALS": signals}
    [(id_, text)] = said(checks.check_signals(None))
    assert id_ == "rules_engine.E008"
    assert part in text


def test_signals_that_are_there_are_well(settings: Any) -> None:
    settings.RULES_ENGINE = {"SIGNALS": {"site.own": "project.clinic.signals.appointment_cancelled"}}
    assert checks.check_signals(None) == []


WITHOUT_USERS = """
from django.conf import settings
settings.configure(INSTALLED_APPS=["rules_engine"], DATABASES={"default": {
    "ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
import django
django.setup()
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "migrate"])
"""


def test_migrate_says_what_is_needed_where_there_are_no_users() -> None:
    ran = subprocess.run([sys.executable, "-c", WITHOUT_USERS], capture_output=True, text=True, timeout=60)
    assert ran.returncode != 0
    assert "(rules_engine.E013) The user model auth.User is not installed" in ran.stderr
    assert 'Add "django.contrib.auth" and "django.contrib.contenttypes" to INSTALLED_APPS' in ran.stderr


@pytest.mark.parametrize("is_eager", [True, False])
def test_eager_tasks_are_a_warning(monkeypatch: pytest.MonkeyPatch, is_eager: bool) -> None:
    monkeypatch.setitem(current_app.conf, "task_always_eager", is_eager)
    told = [("rules_engine.W014", True)] if is_eager else []
    assert [(id_, "not carried out" in text) for id_, text in said(checks.check_eager_tasks(None))] == told


def test_a_rule_that_misses_what_the_database_does_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    way = object()
    monkeypatch.setattr(models, "DB_CASCADE", way, raising=False)
    monkeypatch.setattr(Meal._meta.get_field("animal").remote_field, "on_delete", way)
    rule = RuleSpec(slug="fed", model="zoo.meal", signals=("post_delete",))
    monkeypatch.setattr(checks, "_enabled_rules", lambda: [rule])
    [(id_, text)] = said(checks.check_unsent_deletes(None))
    assert id_ == "rules_engine.W015"
    assert text.startswith('Rule fed: it does not hear of what goes with a deleted animal: "animal" is DB_CASCADE.')


class Answering:
    """A connection that answers every query with one row."""

    display_name = "Oracle"

    def __init__(self, row: Any = None, **options: Any) -> None:
        self.row, self.settings_dict = row, {"OPTIONS": options}
        self.features = SimpleNamespace(has_select_for_update_skip_locked=True)

    def cursor(self) -> Answering:
        return self

    def __enter__(self) -> Answering:
        return self

    def __exit__(self, *_: object) -> None: ...

    def execute(self, sql: str) -> None: ...

    def fetchone(self) -> Any:
        return self.row


class OfOldServer(Answering):
    """A connection to MariaDB 10.5, with which Django 5.2 goes on."""

    def __init__(self) -> None:
        super().__init__((0,))
        self.features.has_select_for_update_skip_locked = False


class OfTenants(Answering):
    """A connection of a backend of django-tenants."""


OfTenants.__module__ = "django_tenants.postgresql_backend.base"


@pytest.mark.parametrize(
    ("database", "connection", "told"),
    [
        (generic.GenericDatabase(), Answering(), [("rules_engine.E017", "Oracle")]),
        (mysql.MySQL(), Answering((0,)), []),
        (mysql.MySQL(), OfOldServer(), [("rules_engine.E017", "cannot pass over rows")]),
        (mysql.MySQL(), Answering((-300,)), [("rules_engine.E017", "-300 minutes from UTC")]),
        (sqlite.SQLite(), Answering(transaction_mode="IMMEDIATE"), []),
        (sqlite.SQLite(), Answering(), [("rules_engine.W018", "begin as readers")]),
        (postgresql.PostgreSQL(), Answering(), []),
        (postgresql.PostgreSQL(), OfTenants(), [("rules_engine.E017", "switches schemas (django_tenants)")]),
    ],
)
def test_a_database_that_is_not_known_or_not_well_set_up_is_told(
    monkeypatch: pytest.MonkeyPatch, database: Any, connection: Any, told: list[tuple[str, str]]
) -> None:
    monkeypatch.setattr(checks, "database_of", lambda using: database)
    for module in (generic, mysql, postgresql, sqlite):
        monkeypatch.setattr(module, "connections", {"default": connection})
    found = said(checks.check_database(None))
    assert [id_ for id_, _ in found] == [id_ for id_, _ in told]
    assert all(part in text for (_, text), (_, part) in zip(found, told, strict=True))
