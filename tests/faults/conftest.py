"""What fault tests share: the kinds of action that workers keep books by, and a crew of workers."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rules_engine.rules import registry
from rules_engine.testing.faults.servers import POSTGRESQL_FOLDERS, program
from tests.conftest import database_url
from tests.faults.probe_app.actions import ACTIONS
from tests.faults.workers import Crew


@pytest.fixture
def probes() -> Iterator[None]:
    """The kinds of action that the workers know; other tests do not see them."""
    for action in ACTIONS:
        registry.register_action(action)
    yield
    for action in ACTIONS:
        del registry._actions[action.kind]


@pytest.fixture
def runner() -> str:
    """Who carries out what is due; a module of tests may say another."""
    return "celery"


@pytest.fixture
def crew(process_environment: dict[str, str], tmp_path: Path, runner: str) -> Iterator[Crew]:
    """Workers, of Celery's with the filesystem for a broker; none yet."""
    crew = Crew(process_environment, tmp_path, runner=runner)
    try:
        yield crew
    finally:
        crew.end()


@pytest.fixture
def tables(transactional_db: None, tmp_path: Path) -> Path:
    """The tables of this test's database, which take seconds to be migrated into another one."""
    dump = tmp_path / "tables.sql"
    command = [program("pg_dump", *POSTGRESQL_FOLDERS), "--no-owner", "--no-acl", "-f", str(dump), database_url()]
    subprocess.run(command, check=True)
    return dump
