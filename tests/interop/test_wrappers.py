"""django-pghistory, django-debug-toolbar and OpenTelemetry: old values are read whatever they put around cursors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pghistory
import pytest
from debug_toolbar.panels.sql.tracking import wrap_cursor
from django.db import connection, transaction
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor

from rules_engine.models import Event, RuleError
from rules_engine.testing import create_rule
from tests.zoo.models import Keeper

pytestmark = pytest.mark.django_db(transaction=True)


class Logger:
    """What the toolbar's panel is to its cursors."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._sql_time = 0

    def record(self, **kept: Any) -> None:
        self.statements.append(kept["raw_sql"])

    def new_transaction_id(self, alias: str) -> str:
        return "t"

    def current_transaction_id(self, alias: str) -> str:
        return "t"


@contextmanager
def toolbar() -> Iterator[None]:
    wrap_cursor(connection)
    connection._djdt_logger = logger = Logger()
    try:
        yield
    finally:
        connection._djdt_logger = None
        del connection.cursor, connection.chunked_cursor
    assert any("zoo_keeper" in statement for statement in logger.statements)


@contextmanager
def tracing() -> Iterator[None]:
    connection.close()
    PsycopgInstrumentor().instrument(skip_dep_check=True)
    try:
        yield
    finally:
        PsycopgInstrumentor().uninstrument()
        connection.close()


WRAPPERS = {"pghistory": lambda: pghistory.context(user=1), "debug-toolbar": toolbar, "opentelemetry": tracing}


@pytest.mark.parametrize("package", WRAPPERS)
def test_old_values_are_read_beside(package: str) -> None:
    create_rule(
        model=Keeper,
        operations=["update"],
        changes=[{"field": "name", "from": "before"}],
        actions=[("log_message", {"message": "{{ old.name }}"})],
    )
    wrapped: Callable[[], AbstractContextManager[Any]] = WRAPPERS[package]
    keeper = Keeper.objects.create(name="before")
    with wrapped(), transaction.atomic():
        keeper.name = "after"
        keeper.save()
    assert Event.objects.get().context["changes"]["name"] == {"old": "before", "new": "after"}
    assert not RuleError.objects.exists()
