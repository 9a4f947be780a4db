"""What a database can tell other connections: "there is work in this queue", where it can tell them anything at all."""

from __future__ import annotations

import select
from collections.abc import Collection
from typing import Any, Protocol

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

#: What PostgreSQL calls what these announcements go by. A channel belongs to one database of a server.
CHANNEL = "rules_engine"


class Listener(Protocol):
    """Waits for announcements over a connection of its own."""

    def wait(self, seconds: float, wakes: int) -> Collection[str]:
        """Return the queues that were announced, at the latest after so many seconds (none then).

        Ends at once where there is something to read from the file ``wakes``, which is left there. Raises
        ``DatabaseError`` or ``InterfaceError`` where the connection is lost.
        """

    def close(self) -> None:
        """Listen no longer."""


class Silence:
    """Hears nothing, where a database announces nothing."""

    def wait(self, seconds: float, wakes: int) -> Collection[str]:
        """Wait. See ``Listener``."""
        select.select([wakes], [], [], seconds)
        return ()

    def close(self) -> None:
        """Do nothing. See ``Listener``."""


class Notifications:
    """PostgreSQL's ``LISTEN``. See ``Listener``."""

    def __init__(self, using: str) -> None:
        """Connect, and listen from now on. Raises ``DatabaseError`` or ``InterfaceError``."""
        self.connection = _apart(connections[using])
        with self.connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")

    def wait(self, seconds: float, wakes: int) -> Collection[str]:
        """Wait for PostgreSQL and for ``wakes``. See ``Listener``."""
        with self.connection.wrap_database_errors:
            driver = self.connection.connection
            if queues := _told(driver):
                return queues
            readable, _, _ = select.select([driver.fileno(), wakes], [], [], seconds)
            return _told(driver) if readable != [wakes] else ()

    def close(self) -> None:
        """Close the connection. See ``Listener``."""
        self.connection.close()


def notify(using: str, queue: str) -> None:
    """Tell all that listen, with the present transaction's commit. Raises ``DatabaseError`` or ``InterfaceError``."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, queue])


def _apart(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return a connection of nobody else's, outside of a pool: it is waited on for as long as the process lives."""
    options = {key: value for key, value in connection.settings_dict["OPTIONS"].items() if key != "pool"}
    return type(connection)({**connection.settings_dict, "OPTIONS": options}, connection.alias)


def _told(driver: Any) -> list[str]:
    """Take what has come, each queue once: by what libpq tells in psycopg 3, and by its list in psycopg 2."""
    if hasattr(driver, "pgconn"):
        driver.pgconn.consume_input()
        notices = iter(driver.pgconn.notifies, None)
        return list(dict.fromkeys(notice.extra.decode() for notice in notices))
    driver.poll()
    names = [notice.payload for notice in driver.notifies]
    del driver.notifies[:]
    return list(dict.fromkeys(names))
