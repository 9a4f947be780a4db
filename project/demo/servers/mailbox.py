"""A mail server that delivers to the page."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.controller import Controller

from project.demo.arrivals import arrivals
from project.demo.ports import HOST


class Mailbox:
    """Takes every message; aiosmtpd calls it."""

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the message, and answer as SMTP wants."""
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        plain = message.get_body(("plain",))
        text = "\n".join(plain.get_content().strip().splitlines()) if plain else ""
        arrivals.add("mail", f"{message['subject']}", f"To {', '.join(envelope.rcpt_tos)}\n\n{text}")
        return "250 OK"


@contextmanager
def serving(port: int) -> Iterator[None]:
    """The server runs, in a thread of its own, while the block does."""
    controller = Controller(Mailbox(), hostname=HOST, port=port)
    controller.start()
    try:
        yield
    finally:
        controller.stop(no_assert=True)
