"""``python -m rules_engine.testing.faults SCENARIO``: an ordeal on servers of its own, and the ledger of it.

The exit status is 0 where the promises were kept, 1 where they were not, and 2 where a program, or a word on how to
begin, is missing.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

from rules_engine.testing.faults.ledger import Ledger
from rules_engine.testing.faults.servers import (
    Missing,
    PostgreSQLServer,
    RabbitMQServer,
    RedisServer,
    Server,
    closed_port,
)

BROKERS = {"redis": RedisServer, "rabbitmq": RabbitMQServer}


def parser() -> ArgumentParser:
    """Return the reader of the command line."""
    made = ArgumentParser(prog="python -m rules_engine.testing.faults", description=(__doc__ or "").splitlines()[0])
    made.add_argument("scenario", help="The dotted name of a subclass of Scenario.")
    made.add_argument("--settings", help="The settings of all processes. Default: DJANGO_SETTINGS_MODULE.")
    made.add_argument("--runner", default="celery", help='"celery", "worker", or a command line of a worker.')
    made.add_argument("--broker", choices=[*BROKERS, "none"], default="none", help="The broker that is begun for it.")
    made.add_argument("--app", default="", help="What Celery is given as -A.")
    made.add_argument("--changes", type=int, default=50_000, help="How many changes are committed. Default 50000.")
    made.add_argument("--seconds", type=float, default=600.0, help="In how many seconds. Default 600.")
    made.add_argument("--every", type=float, default=20.0, help="Seconds from one fault to the next. Default 20.")
    made.add_argument("--faults", type=int, help="How many faults come. Default: as many as there is time for.")
    made.add_argument("--seed", type=int, default=int(time.time()), help="What chance begins with. Default: the time.")
    made.add_argument("--producers", type=int, default=2, help="Processes that save. Default 2.")
    made.add_argument("--workers", type=int, default=2, help="Workers. Default 2.")
    made.add_argument("--processes", type=int, default=2, help="Processes of each worker. Default 2.")
    made.add_argument("--sweepers", type=int, default=1, help="Processes that sweep beside the workers. Default 1.")
    made.add_argument("--slowest", type=float, default=0.05, help="Seconds the ledger takes at most. Default 0.05.")
    made.add_argument("--tables", type=Path, help="A dump of pg_dump that makes the tables, in place of migrate.")
    made.add_argument("--json", type=Path, help="A file for the report as JSON.")
    made.add_argument("--keep", type=Path, help="A folder that keeps the logs and books.")
    return made


def main() -> int:
    """Run it; returns the exit status."""
    given = _read()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        return _run(given)
    except Missing as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _read() -> Namespace:
    """Read the command line; whoever forgot something is told before anything begins."""
    reader = parser()
    given = reader.parse_args()
    given.settings = given.settings or os.environ.get("DJANGO_SETTINGS_MODULE", "")
    if not given.settings:
        reader.error("expected the settings of an ordeal: --settings, or DJANGO_SETTINGS_MODULE")
    if given.runner == "celery" and not given.app:
        reader.error("Celery wants to know its app: expected --app, as after -A")
    if given.runner == "celery" and given.broker == "none":
        reader.error(f"Celery wants a broker: expected --broker {' or '.join(BROKERS)}; or --runner worker")
    return given


def _stop(number: int, _frame: object) -> NoReturn:
    # The first one has all of it ended and removed; a second must not cut that short.
    for other in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(other, signal.SIG_IGN)
    sys.stderr.write("Stopped: all that was begun is ended and removed.\n")
    sys.exit(128 + number)


def _run(given: Namespace) -> int:
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="ordeal-"))
        stack.callback(_remove, folder, given.keep)
        database = PostgreSQLServer()
        stack.callback(database.remove)
        broker: Server | None = BROKERS[given.broker](folder) if given.broker in BROKERS else None
        ledger = Ledger(closed_port(), given.slowest)
        os.environ.update(_environment(given, database, broker, ledger))
        _set_up(given, database)
        database.start()
        if given.tables is not None:
            database.load(given.tables)
        if broker is not None:
            stack.callback(broker.remove)
            broker.start()
        ledger.start()
        stack.callback(ledger.stop)
        return _judge(given, folder, database, broker, ledger)


def _environment(given: Namespace, database: Server, broker: Server | None, ledger: Ledger) -> dict[str, str]:
    """Return what the settings of an ordeal read."""
    return {
        "DJANGO_SETTINGS_MODULE": given.settings,
        "DATABASE_URL": database.url,
        "CELERY_BROKER_URL": broker.url if broker is not None else "memory://",
        "ORDEAL_RUNNER": given.runner,
        "ORDEAL_LEDGER_PORT": str(ledger.port),
        "PYTHONUNBUFFERED": "1",
    }


def _set_up(given: Namespace, database: PostgreSQLServer) -> None:
    """Read the settings and find the scenario. Raises ``Missing`` where an ordeal would be that of another database."""
    import django
    from django.utils.module_loading import import_string

    try:
        django.setup()
        import_string(given.scenario)
    except ImportError as error:
        raise Missing(f"Expected settings and a scenario that can be imported: {error}.") from error
    # This process looks on: that it cannot, while the database is away, would stand between what is told of the faults.
    logging.getLogger("rules_engine").setLevel(logging.ERROR)
    from django.conf import settings

    found = settings.DATABASES["default"]
    if str(found.get("PORT")) != str(database.port):
        where = f"{found.get('NAME')} at {found.get('HOST') or 'this machine'}:{found.get('PORT') or 'its usual port'}"
        raise Missing(
            f"Expected {given.settings} to take its database from DATABASE_URL, and found {where}. "
            "Nothing was done there: an ordeal makes rows, and kills the server."
        )


def _judge(given: Namespace, folder: Path, database: PostgreSQLServer, broker: Server | None, ledger: Ledger) -> int:
    began = time.monotonic()
    from rules_engine.testing.faults.ordeal import Ordeal, Plan

    names = ("scenario", "runner", "app", "changes", "seconds", "every", "faults", "seed")
    members = ("producers", "workers", "processes", "sweepers")
    plan = Plan(**{name: getattr(given, name) for name in (*names, *members)}, migrates=given.tables is None)
    report = Ordeal(plan, os.environ, folder, database, broker, ledger, lambda said: _say(began, said)).run()
    if given.json is not None:
        given.json.write_text(json.dumps(report.as_json(), indent=1))
    sys.stdout.write("\n".join(["", *report.lines(), ""]))
    return 0 if report.is_kept else 1


def _say(began: float, said: str) -> None:
    sys.stdout.write(f"{time.monotonic() - began:7.1f} s  {said}\n")
    sys.stdout.flush()


def _remove(folder: Path, keep: Path | None) -> None:
    if keep is not None:
        shutil.copytree(folder, keep, dirs_exist_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
