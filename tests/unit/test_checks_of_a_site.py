"""What ``manage.py check`` says of what a site lacks around the engine. No database is asked."""

from __future__ import annotations

from typing import Any

import pytest
from celery import current_app
from django.apps import apps
from django.conf import settings as site
from django.db import DatabaseError

from rules_engine import checks
from rules_engine.types import ActionSpec, RuleSpec
from rules_engine.work.workers import worker_pools

LOG = ActionSpec("log_message", {"message": "x"})


def said(messages: Any) -> list[tuple[str, str, str]]:
    return [(message.id, message.msg, message.hint or "") for message in messages]


def ids(messages: Any) -> list[str]:
    return [message.id for message in messages]


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: name in names)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        ((), []),
        (("django_jsonform",), []),
        (("django.contrib.admin", "django_jsonform"), []),
        (("django.contrib.admin",), ["rules_engine.W020"]),
    ],
)
def test_a_form_that_nothing_draws_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], found: list[str]
) -> None:
    installed(monkeypatch, *names)
    messages = checks.check_form_of_actions(None)
    assert ids(messages) == found
    assert all('Add "django_jsonform"' in hint for _, _, hint in said(messages))


@pytest.mark.parametrize("model", ["shop.Customer", "customer", "", "a.b.c"])
def test_a_user_model_that_is_not_there_is_an_error(settings: Any, model: str) -> None:
    settings.AUTH_USER_MODEL = model
    [(id_, text, hint)] = said(checks.check_user_model(None))
    assert id_ == "rules_engine.E013"
    assert text == f"The user model {model} is not installed, and a rule records who wrote it."
    assert 'Add "django.contrib.auth"' in hint
    # Were the database asked, this test would be refused it, and end.
    assert checks._enabled_rules() == []


def test_a_user_model_that_is_there_is_well() -> None:
    assert site.AUTH_USER_MODEL
    assert checks.check_user_model(None) == []


@pytest.mark.parametrize("runner", ["celery", "worker"])
def test_djangos_tasks_are_asked_for_by_nobody_else(settings: Any, monkeypatch: Any, runner: str) -> None:
    settings.RULES_ENGINE = {"RUNNER": runner}
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    assert checks.check_runner(None) == []


def test_tasks_that_this_django_has_not_are_an_error(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.RULES_ENGINE = {"RUNNER": "tasks"}
    monkeypatch.setattr(checks, "find_spec", lambda name: None)
    [(id_, text, hint)] = said(checks.check_runner(None))
    assert id_ == "rules_engine.E031"
    assert text == 'RULES_ENGINE["RUNNER"] is "tasks", and this Django has no tasks.'
    assert hint.startswith("Install django-tasks and a backend such as django-tasks-db;")


@pytest.mark.parametrize(
    ("size", "pool", "concurrency", "found"),
    [
        (None, "threads", 8, ""),
        (9, "threads", 8, ""),
        (8, "threads", 8, "has 8 connections; a worker needs 9 in one process"),
        (8, "celery.concurrency.gevent:TaskPool", "100", "needs 101 in one process"),
        (2, "prefork", 100, ""),
        (1, "prefork", 100, "has 1 connections; a worker needs 2"),
    ],
)
def test_a_pool_of_connections_has_one_for_each_task_and_one_more(
    monkeypatch: pytest.MonkeyPatch, size: int | None, pool: str, concurrency: Any, found: str
) -> None:
    monkeypatch.setattr(worker_pools, "pool_size", lambda using: size)
    monkeypatch.setitem(current_app.conf, "worker_pool", pool)
    monkeypatch.setitem(current_app.conf, "worker_concurrency", concurrency)
    messages = said(checks.check_pool(None))
    assert [id_ for id_, _, _ in messages] == (["rules_engine.W012"] if found else [])
    assert all(found in text for _, text, _ in messages)


def test_a_database_without_atomic_requests_is_a_warning_by_its_name(settings: Any) -> None:
    for databases, found in (
        ({"default": {"ATOMIC_REQUESTS": True}}, []),
        ({"default": {"ATOMIC_REQUESTS": False}}, ["rules_engine.W004"]),
        ({"default": {}}, ["rules_engine.W004"]),
        ({}, ["rules_engine.W004"]),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(site, "DATABASES", databases)
            assert ids(checks.check_atomic_requests(None)) == found


def test_rules_that_set_off_each_other_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def writing(slug: str, value: str) -> RuleSpec:
        write = {"target": "instance", "values": [{"field": "status", "value": value}]}
        return RuleSpec(
            slug, model="shop.order", signals=("post_save",), actions=(ActionSpec("update_objects", write),)
        )

    loop = [writing("there", "paid"), writing("back", "open")]
    quiet = RuleSpec(slug="quiet", model="shop.order", signals=("post_save",), actions=(LOG,))
    monkeypatch.setattr(checks, "_enabled_rules", lambda: [quiet])
    assert checks.check_loops(None) == []
    monkeypatch.setattr(checks, "_enabled_rules", lambda: [*loop, quiet])
    assert [
        (id_, "there" in text and "back" in text, "quiet" in text) for id_, text, _ in said(checks.check_loops(None))
    ] == [("rules_engine.W008", True, False)]


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"throttle_by": "everybody"}, "leave it empty for that, or name a value"),
        ({"throttle_by": "customer"}, "Did you mean"),
        ({"throttle_by": "{{ instance.customer_id }}"}, ""),
        ({"throttle_by": ""}, ""),
        # All may be taken together by any word, but for one that names a value.
        ({"coalesce_seconds": 60, "coalesce_by": "everybody"}, ""),
        ({"coalesce_seconds": 60, "coalesce_by": "instance.customer"}, "Did you mean"),
    ],
    ids=str,
)
def test_a_key_that_holds_no_value_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any], found: str
) -> None:
    throttle = {"throttle_count": 1, "throttle_seconds": 60}
    rule = RuleSpec(slug="r", model="shop.order", signals=("post_save",), **throttle, **limits)
    monkeypatch.setattr(checks, "_enabled_rules", lambda: [rule])
    messages = said(checks.check_constant_keys(None))
    assert [id_ for id_, _, _ in messages] == (["rules_engine.W019"] if found else [])
    assert all(found in text for _, text, _ in messages)


def test_where_the_database_does_not_answer_a_check_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(using: str) -> Any:
        raise DatabaseError("connection refused")

    monkeypatch.setattr(checks, "database_of", unreachable)
    assert checks.check_database(None) == []
    assert checks.check_triggers(None) == []
    assert checks.check_rules_on_time(None) == []
