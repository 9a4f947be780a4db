"""What differs from database to database, behind one protocol. A new database is one module here and one line below."""

from __future__ import annotations

from functools import cache

from django.db import connections

from rules_engine.databases.generic import GenericDatabase
from rules_engine.databases.mysql import MySQL
from rules_engine.databases.postgresql import PostgreSQL
from rules_engine.databases.protocol import Database
from rules_engine.databases.sqlite import SQLite

_GENERIC = GenericDatabase()
_BY_VENDOR: dict[str, Database] = {
    "mysql": MySQL(),
    "postgresql": PostgreSQL(),
    "sqlite": SQLite(),
}


@cache
def database_of(using: str) -> Database:
    """Return what is to be known of the database behind an alias; what any database can do where it is not known."""
    return _BY_VENDOR.get(connections[using].vendor, _GENERIC)
