"""Handing messages to the site's mail backend, one by one, and keeping who got theirs.

What a server says decides whether another try makes sense (RFC 5321 §4.2.1). An attempt that fails records whom it
mailed, who was refused for good and who is left, so that the next one mails only those who are left. What a worker
has claimed together goes over one connection.
"""

from __future__ import annotations

import copy
import hashlib
import smtplib
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from email.utils import make_msgid
from typing import Any, NamedTuple

from django.conf import settings
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend

from rules_engine import conf
from rules_engine.actions.mail import verdicts
from rules_engine.actions.mail.attachments import Attachment
from rules_engine.actions.mail.verdicts import LOGIN, answer_text, by_code, words_of
from rules_engine.errors import PermanentError, TransientError

#: After so many letters in a row that a backend would not take for now, the rest waits for the next attempt.
MOST_IN_A_ROW = 20


class Watch:
    """Ends a conversation that takes too long: it shuts the socket, from a thread of its own, when time is up.

    A timeout of the socket alone is not enough: a server that sends one byte now and then never meets it.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        self._timer: threading.Timer | None = None
        self._seen: Any = None
        self._socket: socket.socket | None = None

    def restart(self) -> None:
        """Begin to count anew."""
        self.stop()
        self._timer = threading.Timer(self.seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Count no more."""
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Count no more, and let go of the socket."""
        self.stop()
        self._let_go()

    def look_at(self, connection: Any) -> None:
        """Watch this socket: a double of it, since TLS takes the socket apart that it wraps."""
        if connection is not self._seen and connection is not None:
            self._let_go()
            self._seen = connection
            self._socket = socket.fromfd(connection.fileno(), connection.family, connection.type)
            if self.is_over:
                self._end()

    def _let_go(self) -> None:
        if self._socket is not None:
            self._socket.close()

    def _end(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):  # closed meanwhile
                self._socket.shutdown(socket.SHUT_RDWR)


class _Watched:
    """Put before smtplib's class: shows each new socket to the watch before the first answer is read from it."""

    watch: Watch
    sock: Any

    def getreply(self) -> tuple[int, bytes]:
        self.watch.look_at(self.sock)
        reply: tuple[int, bytes] = super().getreply()  # type: ignore[misc]
        return reply


@dataclass(slots=True)
class Connection:
    """The site's mail backend, and what ends a conversation with its server that takes too long."""

    mailer: Any
    watch: Watch

    def answers(self) -> bool:
        """Say whether the server still answers on it (NOOP, RFC 5321 §4.1.1.9): many hang up on who is silent."""
        self.watch.restart()
        with suppress(smtplib.SMTPException, OSError):
            code, _answer = self.mailer.connection.noop()
            return bool(code == 250) and not self.watch.is_over
        return False

    def close(self) -> None:
        """Say goodbye, and let go of the socket."""
        self.watch.restart()
        # The messages are with the server; how it says goodbye changes nothing.
        with suppress(smtplib.SMTPException, OSError):
            self.mailer.close()
        self.watch.close()


@dataclass(slots=True)
class _Kept:
    """What is left open for the next letter, if anything is."""

    connection: Connection | None = None


_kept: ContextVar[_Kept | None] = ContextVar("rules_engine_mail_connection", default=None)


@contextmanager
def kept() -> Iterator[None]:
    """Have the letters of this thread in the block go over one connection, as long as the server keeps it.

    That goes for Django's SMTP backend: whether another one's may stay open, only that one knows.
    """
    room = _Kept()
    token = _kept.set(room)
    try:
        yield
    finally:
        _kept.reset(token)
        if room.connection is not None:
            room.connection.close()


def take() -> Connection:
    """Return the connection that was left open, where the server still answers on it; else a new one, not open yet."""
    room = _kept.get()
    if room is not None and room.connection is not None:
        connection, room.connection = room.connection, None
        if connection.answers():
            return connection
        connection.close()
    watch = Watch(conf.email_seconds())
    return Connection(_mailer(watch), watch)


def leave(connection: Connection, *, is_sound: bool) -> None:
    """Leave the connection open for the next letter where such may come, else close it."""
    room = _kept.get()
    is_of_django = isinstance(connection.mailer, EmailBackend)
    if room is not None and is_sound and is_of_django and not connection.watch.is_over:
        connection.watch.stop()
        room.connection = connection
    else:
        connection.close()


def _mailer(watch: Watch) -> Any:
    """Return the site's default mail backend. Django 6.1 has ``mailers`` for it and deprecates ``get_connection``."""
    mailers = getattr(mail, "mailers", None)
    mailer: Any = mail.get_connection() if mailers is None else mailers.default
    return _watched(mailer, watch) if isinstance(mailer, EmailBackend) else mailer


def _watched(mailer: Any, watch: Watch) -> Any:
    """Return that backend on a connection that is watched, and whose socket has a timeout."""
    connection = type("WatchedConnection", (_Watched, mailer.connection_class), {"watch": watch})
    mailer = copy.copy(mailer)
    mailer.__class__ = type(type(mailer).__name__, (type(mailer),), {"connection_class": connection})
    if mailer.timeout is None:
        mailer.timeout = watch.seconds
    return mailer


@dataclass
class Outcome:
    """Who was mailed, who was refused and who is left, each with what was said."""

    sent: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    #: Who has to wait for an hour with room, which is nobody's fault.
    put_off: dict[str, str] = field(default_factory=dict)
    #: Why nobody else was tried.
    trouble: PermanentError | TransientError | None = None
    #: Those of the left whose letters were tried.
    not_taken: list[str] = field(default_factory=list)
    _in_a_row: int = 0

    def stopped(self, address: str, trouble: PermanentError | TransientError) -> None:
        """Note that with this one's letter came what goes for all."""
        self.trouble = trouble
        self.left[address] = str(trouble)

    def failed(self, address: str, error: Exception) -> None:
        """Note what the backend raised about this one's letter alone."""
        said = words_of(error)
        if isinstance(error, ValueError) and verdicts.is_for_good(error):
            self.refused[address] = f"The message could not be built: {said}"
        elif verdicts.is_for_good(error):
            self.refused[address] = f"The mail backend refused it: {said}"
        else:
            self.left[address] = f"The mail backend did not take it: {said}"
            self._in_a_row += 1
            if self._in_a_row == MOST_IN_A_ROW:
                self.trouble = TransientError(self.left[address])
            return
        self._in_a_row = 0

    def took(self, address: str) -> None:
        """Note that the backend has this one's letter."""
        self.sent.append(address)
        self._in_a_row = 0

    def answered(self, address: str, code: int, answer: object) -> None:
        """Note that the server would not take this one: for good with a code of 500 and more."""
        where = self.refused if code >= 500 and code not in LOGIN else self.left
        where[address] = f"The mail server answered: {code} {answer_text(answer)}"


class Letter(NamedTuple):
    """What is the same for all recipients of a mail."""

    execution_id: Any
    subject: str
    body: str
    html: str
    reply_to: list[str] | None
    files: Sequence[Attachment]

    def to(self, address: str) -> EmailMessage:
        """Return the message to this one."""
        # RFC 3834: so that nobody's holiday notice answers a machine.
        headers = {"Message-ID": self.message_id(address), "Auto-Submitted": "auto-generated"}
        message = EmailMultiAlternatives(
            self.subject, self.body, None, [address], headers=headers, reply_to=self.reply_to
        )
        if self.html:
            message.attach_alternative(self.html, "text/html")
        for file in self.files:
            message.attach(file.name, file.content, file.content_type)
        return message

    def message_id(self, address: str) -> str:
        """Make an id that each attempt has, so that a mailbox can drop the second of two."""
        sender = settings.DEFAULT_FROM_EMAIL if "@" in settings.DEFAULT_FROM_EMAIL else make_msgid()
        domain = sender.rsplit("@", 1)[1].strip("> ")
        # Short, so that the header stays on one line: what tells executions apart is the other part.
        whom = hashlib.blake2s(address.lower().encode(), digest_size=4).hexdigest()
        return f"<{self.execution_id}.{whom}@{domain}>"


def send(addresses: Sequence[str], letter: Letter) -> Outcome:
    """Mail each address its letter, as far as the server goes along. Never raises for what server or backend do."""
    outcome = Outcome()
    waiting = list(addresses)
    connection = take()
    try:
        outcome.trouble = _opened(connection)
        while waiting and outcome.trouble is None:
            address = waiting.pop(0)
            connection.watch.restart()
            _send_one(connection, address, letter, outcome)
    finally:
        leave(connection, is_sound=outcome.trouble is None)
    outcome.not_taken = list(outcome.left)
    outcome.left.update(dict.fromkeys(waiting, str(outcome.trouble)))
    return outcome


def _opened(connection: Connection) -> TransientError | None:
    connection.watch.restart()
    try:
        connection.mailer.open()
    except Exception as error:  # noqa: BLE001 - a mail backend may be a site's own
        # Whatever the code: before any message it is about the site, and an operator will mend it.
        return _unusable(error, connection.watch)
    return None


def _send_one(connection: Connection, address: str, letter: Letter, outcome: Outcome) -> None:
    try:
        sent = _hand_over(connection.mailer, address, letter)
    except Exception as error:  # noqa: BLE001 - who was mailed has to be recorded, or they would be mailed again
        _note_failure(address, error, outcome, connection.watch)
        return
    if sent == 0 and verdicts.counts_held_back(connection.mailer):
        outcome.refused[address] = "The mail backend held it back: it raised nothing, and says that it sent none."
    else:
        outcome.took(address)


def _hand_over(mailer: Any, address: str, letter: Letter) -> Any:
    count = mailer.send_messages([letter.to(address)])
    # Django's own counts what a server took. One that queues (django-post-office) says 0 of what is in its queue.
    if count == 0 and isinstance(mailer, EmailBackend):
        raise smtplib.SMTPException("the backend says that it sent nothing")
    return count


def _note_failure(address: str, error: Exception, outcome: Outcome, watch: Watch) -> None:
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        outcome.answered(address, *next(iter(error.recipients.values()), (550, b"")))
    elif isinstance(error, smtplib.SMTPSenderRefused):
        outcome.stopped(address, by_code(error))
    elif isinstance(error, smtplib.SMTPDataError):
        outcome.answered(address, error.smtp_code, error.smtp_error)
    elif watch.is_over or verdicts.is_for_all(error):
        outcome.stopped(address, _unusable(error, watch))
    else:
        outcome.failed(address, error)


def _unusable(error: Exception, watch: Watch) -> TransientError:
    if watch.is_over:
        return TransientError(
            f"The mail server could not be used: it took longer than {watch.seconds:g} s, "
            'RULES_ENGINE["EMAIL_SECONDS"].'
        )
    return TransientError(f"The mail server could not be used: {words_of(error)}")
