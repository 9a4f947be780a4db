"""A worker's connection, kept from one task to the next where the site has connections kept (``CONN_MAX_AGE``).

Celery closes all connections before and after every task, whatever that setting says. A task that carries out one
action then spends most of its time on connecting, and on what PostgreSQL looks up anew in each session.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine.databases import database_of
from rules_engine.databases.pools import is_pooled

#: Where it waits.
ATTRIBUTE = "rules_engine_kept"


class Kept(NamedTuple):
    """The driver's connection, the process that opened it, and when it is to be closed (monotonic)."""

    driver: Any
    pid: int
    close_at: float | None


@contextmanager
def kept_connection(using: str) -> Iterator[None]:
    """Go on with the connection that this thread had at the end of the last such block, and put it aside at the end.

    One that is older than ``CONN_MAX_AGE``, or that the server has closed, is replaced by a new one. For threads that
    live long: what is put aside is closed with its thread's connection object.
    """
    connection = connections[using]
    _take_up(connection)
    try:
        yield
    finally:
        _put_aside(connection)


def _take_up(connection: BaseDatabaseWrapper) -> None:
    kept: Kept | None = vars(connection).pop(ATTRIBUTE, None)
    if kept is None or kept.pid != os.getpid():
        return
    if connection.connection is not None:  # somebody has connected meanwhile
        kept.driver.close()
        return
    connection.connection, connection.close_at = kept.driver, kept.close_at
    is_old = kept.close_at is not None and time.monotonic() >= kept.close_at
    if is_old or not connection.is_usable():
        connection.close()


def _put_aside(connection: BaseDatabaseWrapper) -> None:
    if connection.connection is None or not _may_be_kept(connection):
        return
    kept = Kept(connection.connection, os.getpid(), connection.close_at)
    vars(connection)[ATTRIBUTE] = kept
    connection.connection = None


def _may_be_kept(connection: BaseDatabaseWrapper) -> bool:
    return (
        connection.settings_dict["CONN_MAX_AGE"] != 0
        and not connection.in_atomic_block
        and not connection.errors_occurred
        and connection.get_autocommit() == connection.settings_dict["AUTOCOMMIT"]
        and not is_pooled(connection.alias)
        and database_of(connection.alias).is_shared(connection.alias)
    )
