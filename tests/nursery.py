"""Processes that tests start, born in milliseconds: forked from one that has imported Django, Celery and the demo.

A worker imports for 2.4 s of a core before it works, and CI starts some two hundred processes. Here one process for
each settings module imports once; it opens no connection, starts no thread and asks nothing of Celery's settings. What
it forks takes an environment of its own, reads the settings anew, and goes on as ``python -m celery …`` or
``python -c …`` would. What a start itself shows is left to tests that start the real command: those of the brokers, of
the demo, of deploys, of clocks that are wrong, and of the first signal.

``python -m tests.nursery 3`` is the process that forks; 3 is the descriptor of its socket.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
#: What a worker has imported by the time it is ready, beside what Django's apps bring.
IMPORTED = (
    *("celery.bin.celery", "celery.apps.worker", "celery.worker.consumer", "celery.worker.strategy"),
    *("celery.concurrency.prefork", "celery.concurrency.solo", "celery.fixups.django", "celery.app.trace"),
    *("celery.worker.autoscale", "celery.worker.components", "celery.worker.control", "celery.worker.pidbox"),
    *("celery.app.log", "celery.app.amqp", "celery.app.control", "celery.app.events", "celery.backends.base"),
    *("kombu.transport.redis", "redis", "rules_engine.tasks", "project.broker", "project.celery"),
)
#: An environment and a command take a few kilobytes.
LONGEST_MESSAGE = 1 << 20


class Child:
    """A process that a nursery has born, with the verbs of ``subprocess.Popen`` that tests use."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery = nursery
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Give the exit status, negative for a signal, or None while it runs."""
        if self.returncode is None:
            self.returncode = self._nursery.ask({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; raises ``subprocess.TimeoutExpired``."""
        end = None if timeout is None else time.monotonic() + timeout
        while (status := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(0.01)
        return status

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)


class Talker(Child):
    """One with pipes to its input and from its output; what it says of errors is kept in a file."""

    def __init__(self, nursery: Nursery, question: Mapping[str, Any]) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed, as the pipes, by communicate()
        (input_read, input_write), (output_read, output_write) = os.pipe(), os.pipe()
        super().__init__(nursery, nursery.ask(question, [input_read, output_write, self._errors.fileno()]))
        os.close(input_read)
        os.close(output_write)
        self.stdin: IO[str] | None = os.fdopen(input_write, "w")
        self.stdout: IO[str] | None = os.fdopen(output_read)

    def communicate(self, timeout: float = 60) -> tuple[str, str]:
        """Close its input, read on to the end of its output, and wait for its own end; gives output and errors. Raises
        ``subprocess.TimeoutExpired`` when it has to be killed."""
        assert self.stdin is not None
        assert self.stdout is not None
        killed = threading.Event()

        def kill() -> None:
            killed.set()
            self.kill()

        late = threading.Timer(timeout, kill)
        late.start()
        try:
            with self._errors, self.stdout:
                with suppress(BrokenPipeError):
                    self.stdin.close()
                output = self.stdout.read()
                self.wait()
                self._errors.seek(0)
                errors = self._errors.read()
        finally:
            late.cancel()
        if killed.is_set():
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout, output, errors)
        return output, errors


class Nursery:
    """The test's end: starts the process that forks, and asks it for children and their ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with other:
            command = [sys.executable, "-m", "tests.nursery", str(other.fileno())]
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=dict(environment), pass_fds=[other.fileno()], start_new_session=True
            )

    def ask(self, question: Mapping[str, Any], descriptors: Sequence[int] = ()) -> Any:
        """Send a question, with open files where it takes some; gives the answer."""
        with self._lock:
            socket.send_fds(self._socket, [json.dumps(question).encode()], descriptors)
            answer = self._socket.recv(LONGEST_MESSAGE)
        assert answer, f"The nursery has ended: {self.process.wait()}"
        return json.loads(answer)

    def end(self) -> None:
        """End it; its children go on."""
        self._socket.close()
        self.process.wait()


_nurseries: dict[str, Nursery] = {}


def born(arguments: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> Child:
    """Start ``python arguments…`` at the project's root, in a session of its own; all it says goes to the log."""
    nursery, question = _nursery_for(environment), _question(arguments, environment)
    with open(os.devnull, "rb") as nothing:
        return Child(nursery, nursery.ask(question, [nothing.fileno(), log.fileno(), log.fileno()]))


def talking(arguments: Sequence[str], environment: Mapping[str, str]) -> Talker:
    """Start ``python arguments…`` likewise, with pipes."""
    return Talker(_nursery_for(environment), _question(arguments, environment))


def _question(arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    return {"arguments": list(arguments), "environment": dict(environment)}


def _nursery_for(environment: Mapping[str, str]) -> Nursery:
    module = environment["DJANGO_SETTINGS_MODULE"]
    if module not in _nurseries:
        _nurseries[module] = nursery = Nursery(environment)
        atexit.register(nursery.end)
    return _nurseries[module]


# The process that forks


def serve(connection: socket.socket) -> list[str]:
    """Answer until the test has ended; in a child, return the arguments of the command it is to be."""
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(connection, LONGEST_MESSAGE, 3)
        if not message:
            # Without what the interpreter would do at its end: nothing was begun.
            os._exit(0)
        question = json.loads(message)
        if "poll" in question:
            answer = _status(question["poll"])
        else:
            assert threading.active_count() == 1, threading.enumerate()
            if not (answer := os.fork()):
                connection.close()
                _become(descriptors, question["environment"])
                arguments: list[str] = question["arguments"]
                return arguments
            for descriptor in descriptors:
                os.close(descriptor)
        connection.send(json.dumps(answer).encode())


def _status(pid: int) -> int | None:
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _become(descriptors: Sequence[int], environment: Mapping[str, str]) -> None:
    os.setsid()
    for standard, descriptor in enumerate(descriptors):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(environment)
    _read_settings_anew()


def _read_settings_anew() -> None:
    from django.conf import LazySettings, settings
    from django.core.signals import setting_changed
    from django.db import connections
    from django.utils.functional import empty
    from django.utils.log import configure_logging

    for module in ("project.settings", os.environ["DJANGO_SETTINGS_MODULE"]):
        sys.modules.pop(module, None)
    settings._wrapped = empty  # type: ignore[attr-defined]
    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)
    for name in dir(settings):
        if name.isupper():
            setting_changed.send(sender=LazySettings, setting=name, value=getattr(settings, name), enter=True)
    # The models have asked it for its longest names, and it has connected to nothing.
    assert connections["default"].connection is None
    del connections["default"], connections.settings


def _run(arguments: list[str]) -> None:
    """Do what Python does with these arguments."""
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        return
    assert arguments[0] == "-c", arguments
    sys.argv = ["-c", *arguments[2:]]
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    exec(compile(arguments[1], "<string>", "exec"), main.__dict__)


def _prepare() -> None:
    import django

    django.setup()
    for name in IMPORTED:
        importlib.import_module(name)
    from project.celery import app

    assert not app.configured, "Celery has read the settings, which a child could not change any more."
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _prepare()
    with suppress(KeyboardInterrupt):
        _run(serve(socket.socket(fileno=int(sys.argv[1]))))
