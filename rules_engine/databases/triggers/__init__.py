"""Triggers that capture what is written into a table, whoever writes it; a module for each database."""

from __future__ import annotations

from functools import cache

from django.db import connections

from rules_engine.databases.triggers.mysql import MySQLTriggers
from rules_engine.databases.triggers.postgresql import PostgreSQLTriggers
from rules_engine.databases.triggers.protocol import Triggers
from rules_engine.databases.triggers.sqlite import SQLiteTriggers

_BY_VENDOR: dict[str, Triggers] = {
    "mysql": MySQLTriggers(),
    "postgresql": PostgreSQLTriggers(),
    "sqlite": SQLiteTriggers(),
}


@cache
def triggers_of(using: str) -> Triggers | None:
    """Return how triggers are made in the database behind an alias; None where we do not know."""
    return _BY_VENDOR.get(connections[using].vendor)
