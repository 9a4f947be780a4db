"""What a database can tell other connections: "there is work in this queue", where it can tell them anything at all."""

from __future__ import annotations

import select
from collections.abc import Collection
from typing import Any, Protocol

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

from rules_engine import conf

#: What PostgreSQL calls what these announcements go by. A channel belongs to one database of a server.
CHANNEL = "rules_engine"
#: Where whoever listens says something to itself, through the site's usual connection: a pooler between may take a
#: LISTEN, and let nothing through.
OWN_CHANNEL = "rules_engine_own"


class Listener(Protocol):
    """Waits for announcements over a connection of its own."""

    #: Whether it is known that announcements arrive, because one has, if only its own.
    hears: bool

    def wait(self, seconds: float, wakes: int) -> Collection[str]:
        """Return the queues that were announced, at the latest after so many seconds (none then).

        Ends at once where there is something to read from the file ``wakes``, which is left there. Raises
        ``DatabaseError`` or ``InterfaceError`` where the connection is lost.
        """

    def close(self) -> None:
        """Listen no longer."""


class Silence:
    """Hears nothing, where a database announces nothing."""

    hears = False

    def wait(self, seconds: float, wakes: int) -> Collection[str]:
        """Wait. See ``Listener``."""
        select.select([wakes], [], [], seconds)
        return ()

    def close(self) -> None:
        """Do nothing. See ``Listener``."""


class Notifications:
    """PostgreSQL's ``LISTEN``. See ``Listener``."""

    def __init__(self, using: str) -> None:
        """Connect, listen from now on, and say something to oneself. Raises ``DatabaseError`` or ``InterfaceError``."""
        self.hears = False
        self.connection = _apart(connections[using])
        with self.connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
            cursor.execute(f"LISTEN {OWN_CHANNEL}")
        # Over the other connection: what a session says itself, it hears in transaction pooling as well.
        notify(using, "", OWN_CHANNEL)

    def wait(self, seconds: float, wakes: int) -> Collection[str]:
        """Wait for PostgreSQL and for ``wakes``. See ``Listener``."""
        with self.connection.wrap_database_errors:
            if queues := self._told():
                return queues
            readable, _, _ = select.select([self.connection.connection.fileno(), wakes], [], [], seconds)
            return self._told() if readable != [wakes] else ()

    def close(self) -> None:
        """Close the connection. See ``Listener``."""
        self.connection.close()

    def _told(self) -> list[str]:
        """Take what has come, each queue once."""
        notices = _notices(self.connection.connection)
        self.hears = self.hears or bool(notices)
        return list(dict.fromkeys(queue for channel, queue in notices if channel == CHANNEL))


def notify(using: str, queue: str, channel: str = CHANNEL) -> None:
    """Tell all that listen, with the present transaction's commit. Raises ``DatabaseError`` or ``InterfaceError``."""
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [channel, queue])


def _apart(connection: BaseDatabaseWrapper) -> BaseDatabaseWrapper:
    """Return a connection of nobody else's, outside of a pool: it is waited on for as long as the process lives."""
    own = {**connection.settings_dict, **conf.listen()}
    own["OPTIONS"] = {key: value for key, value in own["OPTIONS"].items() if key != "pool"}
    return type(connection)(own, connection.alias)


def _notices(driver: Any) -> list[tuple[str, str]]:
    """Take what has come, as channel and payload: by what libpq tells in psycopg 3, and by its list in psycopg 2."""
    if hasattr(driver, "pgconn"):
        driver.pgconn.consume_input()
        return [(notice.relname.decode(), notice.extra.decode()) for notice in iter(driver.pgconn.notifies, None)]
    driver.poll()
    found = [(notice.channel, notice.payload) for notice in driver.notifies]
    del driver.notifies[:]
    return found
