"""Sets up and runs everything around the web server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.core.management import call_command

from project.demo import lookout, packs, sample
from project.demo.arrivals import arrivals
from project.demo.ports import Ports
from project.demo.servers import mailbox, receiver, worker

#: Where the action ``log_message`` writes.
MESSAGES = logging.getLogger("rules_engine.messages")


def prepare(ports: Ports) -> list[str]:
    """Make database, sample data and rules, as far as they are missing; returns the rule packs."""
    call_command("migrate", verbosity=0, interactive=False)
    sample.make(ports.webhook)
    return packs.install()


@contextmanager
def running(ports: Ports) -> Iterator[None]:
    """Mail server, webhook receiver, lookout and worker run while the block does.

    Raises ``OSError`` when a port is taken, and ``RuntimeError`` when a server or the worker does not come up.
    """
    with ExitStack() as stack:
        stack.enter_context(_log_lines())
        stack.enter_context(mailbox.serving(ports.smtp))
        stack.enter_context(receiver.serving(ports.webhook))
        stack.enter_context(lookout.watching())
        stack.enter_context(worker.working())
        yield


class _ToPage(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        arrivals.add("log", record.getMessage(), record.levelname.lower())


@contextmanager
def _log_lines() -> Iterator[None]:
    handler = _ToPage(logging.INFO)
    level = MESSAGES.level
    MESSAGES.setLevel(logging.INFO)
    MESSAGES.addHandler(handler)
    try:
        yield
    finally:
        MESSAGES.removeHandler(handler)
        MESSAGES.setLevel(level)
