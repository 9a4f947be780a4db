"""What all tests share: services that may be missing, and the environment for processes that tests start."""

from __future__ import annotations

import copy
import gc
import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.test import TransactionTestCase, client
from django.test.utils import ContextList

from rules_engine.live import faults
from tests import emptying, services

pytest_plugins = ["rules_engine.pytest_plugin"]

_wanted: set[str] = set()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Share out a run of all tests to one process more than there are cores, since many tests wait for others.

    Whoever names files or folders gets them run in this process, at once.
    """
    names_none = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return (os.cpu_count() or 1) + 1 if names_none else 0


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over which services the tests of another process name."""
    _wanted.update(getattr(node, "workeroutput", {}).get("wanted", ()))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Remember which services the collected tests name."""
    _wanted.update(mark.name for item in items for mark in item.iter_markers() if mark.name in services.SERVICES)


def pytest_collection_finish() -> None:
    """What there is by now stays to the end: nobody looks through thousands of tests for garbage again and again, nor
    after each 700 objects of what a test makes, most of which are gone without that."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_keepdb: bool, django_db_blocker: Any) -> Iterator[None]:
    """The database of the tests, which PostgreSQL removes when nobody has a session there any more: a thread that has
    ended leaves its own to the collector, and a process that was told to end may connect once more before it does."""
    yield
    gc.collect()
    if connection.vendor == "postgresql" and not django_db_keepdb:
        with django_db_blocker.unblock():
            connection.close()
            name = connection.settings_dict["NAME"]
            with connection._nodb_cursor() as cursor:
                cursor.execute(f"ALTER DATABASE {connection.ops.quote_name(name)} ALLOW_CONNECTIONS false")
                sessions = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s"
                cursor.execute(sessions, [name])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what another database is for, and what needs a missing service, or fail that where CI=true."""
    if item.get_closest_marker("row_locks") and connection.vendor == "sqlite":
        pytest.skip("SQLite has one writer at a time, and no rows that are locked.")
    for mark in item.iter_markers():
        if mark.name == "postgres" and connection.vendor != "postgresql":
            pytest.skip(f"PostgreSQL's alone: {mark.args[0]}.")
        service = services.SERVICES.get(mark.name)
        if service is None:
            continue
        if service.find() is None:
            reason = f"{service.name} was not found; {service.variable} may say where it is."
            (pytest.fail if services.in_ci() else pytest.skip)(reason)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where CI=true, a missing service fails a run that would have passed."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["wanted"] = sorted(_wanted)
    if services.in_ci() and exitstatus == pytest.ExitCode.OK and _left_out():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line what was left out for want of services."""
    if names := _left_out():
        verdict = "a failure, since CI=true" if services.in_ci() else "those tests were left out"
        terminalreporter.write_line(f"Services not found: {', '.join(names)}; {verdict}.", yellow=True)


def _left_out() -> list[str]:
    on_another_by_choice = os.environ.get("DATABASE_URL", "").startswith(("sqlite", "mysql"))
    found_missing = services.missing(_wanted)
    return [s.name for s in found_missing if not (s.marker == "postgres" and on_another_by_choice)]


@pytest.fixture(scope="session", autouse=True)
def _quickly_emptied() -> Iterator[None]:
    """A test that commits costs 2 ms beside what it does, where Django's way costs hundreds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", emptying.after_a_test)
        patch.setattr(TransactionTestCase, "_should_reload_connections", emptying.has_to_be_reloaded)
        yield


@pytest.fixture(scope="session", autouse=True)
def _contexts_kept_once() -> Iterator[None]:
    """A page's context is kept as its first template has it, not copied for each of a thousand parts and widgets."""

    def keep_first(store: dict[str, Any], template: Any, context: Any, **sent: Any) -> None:
        if "context" not in store:
            store.update(templates=[template], context=ContextList([copy.copy(context)]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "store_rendered_templates", keep_first)
        yield


@pytest.fixture(autouse=True)
def _empty_cache() -> Iterator[None]:
    """Nothing cached by one test is seen by the next, and no error is kept quiet for one that it had."""
    yield
    cache.clear()
    faults.of_process.__init__()  # type: ignore[misc]


@pytest.fixture
def process_environment(transactional_db: None) -> dict[str, str]:
    """The environment for a process that shares this test's database, broker, cache and media folder."""
    return {
        **os.environ,
        "DATABASE_URL": database_url(),
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "DEMO_VAR": str(settings.VAR),
        "SECRET_KEY": settings.SECRET_KEY,
        "PYTHONUNBUFFERED": "1",
    }


def database_url() -> str:
    """The address of the database that the running test uses, for another process."""
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    login = f"{values['USER']}:{values['PASSWORD']}@" if values["USER"] else ""
    port = f":{values['PORT']}" if values["PORT"] else ""
    scheme = "postgres" if connection.vendor == "postgresql" else connection.vendor
    return f"{scheme}://{login}{values['HOST']}{port}/{values['NAME']}"
