"""``manage.py rules_worker``: carries out what is due as it comes, without Celery and without a broker."""

from __future__ import annotations

import signal
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db import connections, router

from rules_engine import conf
from rules_engine.databases import database_of
from rules_engine.live.migrated import is_migrated
from rules_engine.management.tables import NOT_MIGRATED, TablesCommand
from rules_engine.models import Execution
from rules_engine.monitoring.server import Handler, Server, serve
from rules_engine.monitoring.views import NO_LIBRARY, OFF, missing_library
from rules_engine.work.standalone.loop import POLL_SECONDS, Loop, is_told
from rules_engine.work.standalone.processes import Processes
from rules_engine.work.standalone.stop import Stop, hangup


class Command(TablesCommand):
    """Works until it is told to stop."""

    help = (
        "Carries out what is due, as it comes, until it is told to stop (SIGTERM, Ctrl-C, a terminal that closes). "
        'Needs no Celery and no broker. Set RULES_ENGINE["RUNNER"] to "worker", so that committed work is announced to '
        "it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue", action="append", default=[], help="Only this queue; can be given several times.")
        parser.add_argument("--processes", type=_processes, default=1, help="So many at once. Default 1.")
        parser.add_argument("--metrics-port", type=_port, help="Tell metrics at /metrics of this port. Default: none.")
        parser.add_argument("--metrics-address", default="127.0.0.1", help="Of which address. Default 127.0.0.1.")

    def handle(self, *args: Any, queue: list[str], processes: int, **options: Any) -> None:
        """Begin, and work until told to stop. Raises ``CommandError`` where the tables are of an older release, or
        metrics cannot be told."""
        if not is_migrated(router.db_for_write(Execution)):
            raise CommandError(NOT_MIGRATED)
        metrics = options["metrics_address"], options["metrics_port"]
        if metrics[1] is not None:
            _require_metrics(*metrics)
        self.stdout.write(_beginning(queue, processes))
        self.stdout.flush()
        # A child that is forked shares no connection with its parent.
        connections.close_all()
        stop = Stop()
        stop.listen_to_signals(signal.SIGTERM, signal.SIGINT, *hangup())
        if processes == 1:
            _work(stop, queue, *metrics)
        else:
            Processes(processes, lambda child: _work(child, queue, *metrics), stop).run()
        self.stdout.write("Stopped. What was begun has ended; what was not is left to others.")


def _work(stop: Stop, queues: Sequence[str], address: str, port: int | None) -> None:
    if port is not None:
        serve(address, port)
    Loop(stop, frozenset(queues)).work()


def _require_metrics(address: str, port: int) -> None:
    if conf.metrics() is None or missing_library():
        raise CommandError((OFF if conf.metrics() is None else NO_LIBRARY).strip())
    try:
        Server((address, port), Handler).server_close()
    except OSError as error:
        raise CommandError(f"Metrics cannot be told at {address}:{port}: {error.strerror or error}.") from error


def _beginning(queues: Sequence[str], processes: int) -> str:
    using = router.db_for_write(Execution)
    name, seconds = connections[using].display_name, conf.sweep_seconds()
    if not database_of(using).can_announce:
        told = f"{name} announces nothing: it looks every {min(POLL_SECONDS, seconds):g} s"
    elif is_told(using):
        told = f"{name} announces new work, and it looks every {seconds:g} s besides"
    else:
        told = (
            f'nothing is announced, as RULES_ENGINE["RUNNER"] is "{conf.runner()}"'
            f"{'' if conf.hints() else ' and HINTS is off'}: it looks every {seconds:g} s"
        )
    who = "1 process" if processes == 1 else f"{processes} processes"
    return f"Working on {', '.join(sorted(queues)) or 'all queues'} in {who}; {told}. ready."


def _processes(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise ArgumentTypeError(f"expected a number of processes from 1 to 64, and got {text!r}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise ArgumentTypeError(f"expected a port from 1 to 65535, and got {text!r}")
    return int(text)
