"""Servers of a test's own, each on a port of its own: what is killed or flushed here is nobody else's."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rules_engine.testing.faults.processes import Worker, begin
from rules_engine.testing.faults.waiting import SECONDS, eventually

if TYPE_CHECKING:
    import redis

#: Where Debian, Ubuntu, Homebrew and PostgreSQL's own packages have the programs of the server.
POSTGRESQL_FOLDERS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
#: A server that was killed comes back in less; RabbitMQ takes most of it on a busy machine.
START_SECONDS = 90.0


class Missing(Exception):
    """Something that a test needs is not there: a program on this machine, or what it was to be told."""


class Server(Protocol):
    """A server that a test may restart."""

    name: str

    @property
    def url(self) -> str:
        """Its address."""

    def start(self) -> None:
        """Begin, and wait until it answers."""

    def kill(self) -> None:
        """End it at once (SIGKILL), with all that it has not written down."""

    def remove(self) -> None:
        """End it and leave nothing behind."""


def closed_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def program(name: str, *folders: str) -> str:
    """Find a program of a server. Raises ``Missing``."""
    found = shutil.which(name)
    places = [path for folder in folders for path in sorted(Path("/").glob(f"{folder.lstrip('/')}/{name}"))]
    if found is None and not places:
        raise Missing(f"The program {name} was not found: a server is begun with it, and killed. Install it.")
    return found or str(places[-1])


def listens(port: int) -> bool:
    """Say whether somebody listens there."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


@dataclass
class RedisServer:
    """A Redis server with nothing on disk: what it forgets is gone. Raises ``Missing`` at its start."""

    folder: Path
    port: int = field(default_factory=closed_port)
    process: subprocess.Popen[bytes] | None = None
    name: str = "Redis"

    @property
    def url(self) -> str:
        """Its address, for Celery and for caches."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a client."""
        import redis

        return redis.Redis.from_url(self.url, socket_connect_timeout=2, socket_timeout=2)

    def start(self) -> None:
        """Begin, empty, and wait until it answers."""
        server = program("redis-server")
        command = [server, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self.folder / "redis.log").open("ab") as log:
            # In a session of its own: Ctrl-C in a terminal is for whoever will end it.
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        eventually(self._answers, lambda: (self.folder / "redis.log").read_text())

    def _answers(self) -> bool:
        import redis

        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def flush(self) -> None:
        """Have it forget all: FLUSHALL."""
        with self.client() as client:
            client.flushall()

    def kill(self) -> None:
        """End it at once; it comes back empty."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(SECONDS)

    remove = kill


@dataclass
class PostgreSQLServer:
    """A PostgreSQL cluster in a folder of its own, run by a user who is not root. Raises ``Missing`` at its start.

    Nothing is forced to disk (``fsync=off``): a server that is killed loses nothing by that, a machine would.
    """

    port: int = field(default_factory=closed_port)
    worker: Worker | None = None
    name: str = "PostgreSQL"

    def __post_init__(self) -> None:
        self.user = _unprivileged() if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="ordeal-postgresql-"))
        if self.user is not None:
            shutil.chown(self.folder, self.user)

    def _make(self) -> None:
        made = [program("initdb", *POSTGRESQL_FOLDERS), "-D", str(self.folder / "data"), "-U", "postgres"]
        made += ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C"]
        subprocess.run(made, check=True, capture_output=True, user=self.user, cwd=self.folder)

    @property
    def url(self) -> str:
        """The address of its one database."""
        return f"postgres://postgres@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Begin, and wait until it answers; after a kill it first recovers what was committed."""
        if not (self.folder / "data").exists():
            self._make()
        eventually(self._began, self._said, START_SECONDS)

    def _began(self) -> bool:
        # What a killed one leaves behind (children, shared memory) keeps the next from beginning for a moment.
        if self.worker is None or self.worker.process.poll() is not None:
            self.worker = begin(self._command(), os.environ, self.folder / "log", self.user)
        return self._answers()

    def _command(self) -> Sequence[str]:
        server = [program("postgres", *POSTGRESQL_FOLDERS), "-D", str(self.folder / "data"), "-p", str(self.port)]
        options = ("listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200")
        return [*server, *(part for option in options for part in ("-c", option))]

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _said(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4000:]

    def load(self, dump: Path) -> None:
        """Carry out a file of ``pg_dump``. Raises ``subprocess.CalledProcessError``."""
        command = [program("psql", *POSTGRESQL_FOLDERS), self.url, "-q", "-X", "-v", "ON_ERROR_STOP=1", "-f", str(dump)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def shut_down(self) -> None:
        """End it in order (SIGINT): connections are cut, what was open is rolled back."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End its main process at once (SIGKILL); its children notice and go."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self.worker is not None:
            self.worker.process.send_signal(number)
            self.worker.process.wait(SECONDS)

    def remove(self) -> None:
        """End it (SIGQUIT, and at once) and remove its folder."""
        self._end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)


def _unprivileged() -> str:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise Missing("PostgreSQL is not run by root, and there is no user postgres or nobody to run it.")


@dataclass
class RabbitMQServer:
    """A RabbitMQ node of its own, with the daemon (epmd) that Erlang's nodes are known by: one that a node begins
    outlives it. Raises ``Missing`` at its start."""

    folder: Path
    port: int = field(default_factory=closed_port)
    names_port: int = field(default_factory=closed_port)
    worker: Worker | None = None
    names: Worker | None = None
    name: str = "RabbitMQ"

    @property
    def url(self) -> str:
        """Its address, for Celery."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Begin, with the queues that it has on disk, and wait until it answers."""
        server = program("rabbitmq-server", "/usr/lib/rabbitmq/bin")
        own = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # Debian's other one changes the user
        self._begin_names()
        plugins = self.folder / "rabbitmq-plugins"
        plugins.write_text("[].")
        environment = {
            **os.environ,
            "HOME": str(self.folder),
            "ERL_EPMD_PORT": str(self.names_port),
            "RABBITMQ_NODENAME": f"ordeal{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(closed_port()),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "rabbitmq"),
            "RABBITMQ_LOG_BASE": str(self.folder / "rabbitmq-logs"),
            "RABBITMQ_PID_FILE": str(self.folder / "rabbitmq.pid"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
        }
        log = self.folder / "rabbitmq.log"
        self.worker = begin([str(own) if own.exists() else server], environment, log)
        eventually(lambda: listens(self.port), lambda: log.read_text(errors="replace")[-4000:], START_SECONDS)

    def _begin_names(self) -> None:
        if self.names is None:
            command = [program("epmd", "/usr/lib/erlang/*/bin"), "-port", str(self.names_port), "-address", "127.0.0.1"]
            self.names = begin(command, os.environ, self.folder / "epmd.log")
            eventually(lambda: listens(self.names_port), lambda: (self.folder / "epmd.log").read_text())

    def kill(self) -> None:
        """End it at once."""
        if self.worker is not None:
            self.worker.kill()

    def remove(self) -> None:
        """End it, and the daemon."""
        self.kill()
        if self.names is not None:
            self.names.kill()
