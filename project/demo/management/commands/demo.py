"""``manage.py demo``: the whole thing on one machine, with no services."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError

from project.demo import surroundings
from project.demo.ports import HOST, Ports, free_ports


class Command(BaseCommand):
    """Starts the demo, or plays it once."""

    help = (
        "Makes a database with sample data and rules, and starts a web server, a worker, a mail server and a webhook "
        "receiver, all in this process. Ctrl-C ends it all. With --once it plays a scripted round apart from the "
        "demo's data, and succeeds only if every effect arrived."
    )
    #: The database may not exist yet.
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="port of the web server (8000)")
        parser.add_argument("--smtp-port", type=int, default=1025, help="port of the mail server (1025)")
        parser.add_argument("--webhook-port", type=int, default=8001, help="port of the webhook receiver (8001)")
        parser.add_argument("--once", action="store_true", help="play a scripted round, on free ports, and end")

    def handle(self, *, port: int, smtp_port: int, webhook_port: int, once: bool, **_: Any) -> None:
        """Run in the demo's environment; raises ``CommandError``."""
        ports = Ports(port, smtp_port, webhook_port)
        try:
            if surroundings.is_set():
                self._play_once(ports) if once else self._run(ports)
            elif once:
                ports = Ports(*free_ports(3))
                sys.exit(surroundings.run_apart(ports, ["--once", *_arguments(ports)]))
            else:
                self._refuse_taken(ports)
                surroundings.restart(ports, _arguments(ports))
        except KeyboardInterrupt:
            self.stdout.write("Stopped.")

    def _refuse_taken(self, ports: Ports) -> None:
        if problems := list(ports.problems()):
            raise CommandError("\n".join(problems))

    def _run(self, ports: Ports) -> None:
        from project.demo import stage
        from project.demo.servers import web

        signal.signal(signal.SIGTERM, _interrupt)
        signal.signal(signal.SIGINT, _interrupt)
        self.stdout.write("Preparing the database …")
        self.stdout.write(f"Rule packs: {', '.join(stage.prepare(ports))}.")
        self._refuse_taken(ports)
        with stage.running(ports):
            self.stdout.write(self._welcome(ports))
            web.serve(ports.web)

    def _welcome(self, ports: Ports) -> str:
        site = f"http://{HOST}:{ports.web}/"
        return (
            f"\n  What arrives:  {self.style.SUCCESS(site)}      open this first, and keep it in view"
            f"\n  The admin:     {self.style.SUCCESS(site + 'admin/')}      user admin, password admin"
            "\n\n  Then save a doctor, an appointment or an order in the admin, and look at the first page."
            f"\n  Mail goes to port {ports.smtp}, webhooks go to port {ports.webhook}. Ctrl-C ends it all.\n"
        )

    def _play_once(self, ports: Ports) -> None:
        from project.demo import scripted, stage

        stage.prepare(ports)
        with stage.running(ports):
            missing = scripted.play(self.stdout)
        if missing:
            raise CommandError(f"Did not arrive: {'; '.join(missing)}.")
        self.stdout.write(self.style.SUCCESS("Everything arrived."))


def _arguments(ports: Ports) -> list[str]:
    return [f"--port={ports.web}", f"--smtp-port={ports.smtp}", f"--webhook-port={ports.webhook}"]


def _interrupt(*_: Any) -> NoReturn:
    # The first one ends the demo; a second must not cut its ending short.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt
