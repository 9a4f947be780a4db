"""Which services this machine has. Loaded by tests/settings.py (the database) and tests/conftest.py (the rest).

Each is looked for where its variable says, else at its usual local address. An address that was named and does not
answer is no different from none: the test that needs it is skipped, or failed where CI=true.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

SECONDS = 2.0


@dataclass(frozen=True)
class Service:
    """A service by its pytest marker. ``find()`` gives its address, or None."""

    marker: str
    name: str
    variable: str
    find: Callable[[], str | None]
    always_wanted: bool = True


def in_ci() -> bool:
    """Whether a missing service is a failure."""
    return os.environ.get("CI", "").lower() == "true"


@cache
def postgres_url() -> str | None:
    """A PostgreSQL whose user may create the test database."""
    named = os.environ.get("DATABASE_URL")
    if named:
        return named if named.startswith(("postgres", "pgsql")) and _may_create(named) else None
    usual = ("postgres://postgres@127.0.0.1/postgres", "postgres://postgres:postgres@127.0.0.1/postgres")
    return next((url for url in (*usual, "postgres:///postgres") if _may_create(url)), None)


def _may_create(url: str) -> bool:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=round(SECONDS)) as connection:
            question = "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            row = connection.execute(question).fetchone()
            return bool(row and row[0])
    except psycopg.Error:
        return False


@cache
def redis_url() -> str | None:
    """A Redis that lets us in."""
    import redis

    url = os.environ.get("REDIS_URL") or "redis://127.0.0.1:6379/0"
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS) as client:
            return url if client.ping() else None
    except redis.RedisError:
        return None


@cache
def amqp_url() -> str | None:
    """An AMQP broker that lets us in."""
    import kombu

    url = os.environ.get("AMQP_URL") or "amqp://guest:guest@127.0.0.1:5672//"
    try:
        with kombu.Connection(url, connect_timeout=SECONDS) as connection:
            connection.connect()
            return url
    except (OSError, *kombu.Connection(url).connection_errors):
        return None


@cache
def chromium() -> str | None:
    """The path of a Chromium or Chrome of this machine.

    That without windows comes first: it shows the same pages for half of the processor's time.
    """
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


SERVICES = {
    service.marker: service
    for service in (
        Service("postgres", "PostgreSQL", "DATABASE_URL", postgres_url),
        Service("redis", "Redis", "REDIS_URL", redis_url),
        Service("rabbitmq", "RabbitMQ", "AMQP_URL", amqp_url),
        Service("browser", "Chromium", "PATH", chromium, always_wanted=False),
    )
}


def missing(markers: set[str]) -> list[Service]:
    """The services this machine lacks, of those the suite always wants and those ``markers`` name."""
    return [s for s in SERVICES.values() if (s.always_wanted or s.marker in markers) and s.find() is None]
