"""A real mail server on loopback that misbehaves on request. Use it as a context manager::

    with MailServer() as server:
        server.recipients["cleo@x.example"] = "550 No such user"    # what RCPT TO is answered for it
        server.answers.append("451 Try later")                      # what the next DATA is answered
        server.hang_up_after, server.hang_ups = 2, 1                # after 2 messages, once
        server.keeps_then = True                                    # with the message that it was just given
        assert server.to == ["ada@x.example"]

``sleeping()`` is a server that takes connections and says nothing, ``dripping()`` one that never ends a line.
"""

from __future__ import annotations

import email
import email.policy
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from typing import Any, Self

import django
from aiosmtpd.controller import Controller

from project.demo.ports import HOST, free_ports


class MailServer:
    """Keeps what it was given: ``messages``, and in ``to`` the address of each envelope, in order."""

    def __init__(self) -> None:
        self.messages: list[EmailMessage] = []
        self.to: list[str] = []
        self.recipients: dict[str, str] = {}
        self.answers: list[str] = []
        self.sender_answer = ""
        self.hang_up_after: int | None = None
        self.hang_ups = 1_000
        self.keeps_then = False
        self.asked: list[str] = []
        #: How many connections were greeted.
        self.greeted = 0
        #: After how many messages it hangs up on who asks whether it is there.
        self.silent_after: int | None = None
        #: Where it listens.
        [self.port] = free_ports(1)
        self._controller = Controller(self, hostname=HOST, port=self.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop(no_assert=True)

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's names
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.greeted += 1
        session.host_name = hostname
        return responses

    async def handle_NOOP(self, server: Any, session: Any, envelope: Any, arg: str) -> str:  # noqa: N802
        if len(self.to) == self.silent_after:
            server.transport.abort()
        return "250 OK"

    async def handle_MAIL(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return self.sender_answer or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        self.asked.append(address)
        if address in self.recipients:
            return self.recipients[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.hang_up_after is not None and len(self.to) >= self.hang_up_after and self.hang_ups:
            self.hang_ups -= 1
            if self.keeps_then:
                self._keep(envelope)
            server.transport.abort()
            return "421 Gone"
        answer = self.answers.pop(0) if self.answers else "250 OK"
        if answer.startswith("250"):
            self._keep(envelope)
        return answer

    def _keep(self, envelope: Any) -> None:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.to += envelope.rcpt_tos


def mail_goes_to(settings: Any, port: int) -> None:
    """Have the site send its mail there."""
    backend = "django.core.mail.backends.smtp.EmailBackend"
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": backend, "OPTIONS": {"host": HOST, "port": port}}}
    else:
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = backend, HOST, port
        settings.EMAIL_TIMEOUT = None


@contextmanager
def sleeping() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.create_server((HOST, 0)) as listening:
        yield listening.getsockname()[1]


@contextmanager
def dripping(greeting: bytes = b"") -> Iterator[int]:
    """The port of a server that says ``greeting`` and then a byte now and then, and never ends the line."""
    done = threading.Event()
    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=_drip, args=(listening, greeting, done))
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            done.set()
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _drip(listening: socket.socket, greeting: bytes, done: threading.Event) -> None:
    with suppress(OSError):
        connection, _ = listening.accept()
        with connection:
            connection.sendall(greeting)
            while not done.wait(0.05):
                connection.sendall(b"2")
