"""``send_email``: one message to each recipient, by the site's own mail backend."""

from __future__ import annotations

import smtplib
from collections.abc import Iterable, Iterator, Mapping
from email.utils import make_msgid
from typing import Any

from django.conf import settings
from django.core import mail
from django.core.exceptions import ValidationError
from django.core.mail import EmailMultiAlternatives
from django.core.validators import validate_email

from rules_engine import conf, templating
from rules_engine.actions import values
from rules_engine.actions.base import Action
from rules_engine.actions.registry import register_action
from rules_engine.errors import PermanentError, Problem, Refused, TemplateError, TransientError
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

LONGEST_SUBJECT = 250


@register_action
class SendEmail(Action):
    """Mail one or several addresses, each with a message of its own; the sender is the site's."""

    kind = "send_email"
    label = "Send an email"
    schema = {
        "type": "object",
        "keys": {
            "to": {
                "type": "array",
                "title": "To",
                "items": {"type": "string"},
                "minItems": 1,
                "helpText": "An address, or {{ instance.email }}; each gets a message of its own.",
            },
            "subject": {"type": "string", "title": "Subject", "required": True},
            "body": {"type": "string", "widget": "textarea", "title": "Text", "required": True},
            "html": {"type": "string", "widget": "textarea", "title": "HTML", "helpText": "Optional."},
            "reply_to": {"type": "string", "title": "Reply to", "helpText": "Optional."},
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        if not _recipients(config):
            yield Problem("/to", "Name at least one recipient, such as {{ instance.email }}.")
        for key in ("subject", "body"):
            if not config.get(key):
                yield Problem(f"/{key}", f"Write the {'subject' if key == 'subject' else 'text'} of the message.")
        for pointer, value in _texts(config):
            if value is not None and not isinstance(value, str | Mapping):
                yield Problem(pointer, f"Expected text, and got {value!r}.")
            yield from values.problems(value, rule, pointer)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return {path for _, value in _texts(config) for path in values.reads(value)}

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        try:
            messages = list(_messages(context, config))
        except TemplateError as error:
            raise PermanentError(str(error)) from error
        recipients = [message.to[0] for message in messages]
        _send(messages)
        return ActionResult(f"Mailed {', '.join(recipients)}", {"to": recipients, "subject": messages[0].subject})


def _recipients(config: Mapping[str, Any]) -> list[Any]:
    to = config.get("to")
    return [one for one in (to if isinstance(to, list) else [to]) if one not in (None, "")]


def _texts(config: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    to = config.get("to")
    yield from ((f"/to/{index}", one) for index, one in enumerate(to)) if isinstance(to, list) else [("/to", to)]
    yield from ((f"/{key}", config.get(key)) for key in ("subject", "body", "html", "reply_to"))


def _messages(context: ActionContext, config: Mapping[str, Any]) -> Iterator[EmailMultiAlternatives]:
    data = context.data
    addresses = list(dict.fromkeys(_addresses(config, data)))
    if not addresses:
        raise PermanentError("No recipient is left: every address came out empty.")
    if len(addresses) > conf.email_recipients():
        raise Refused(f'{len(addresses)} recipients; RULES_ENGINE["EMAIL_RECIPIENTS"] is {conf.email_recipients()}.')
    subject = " ".join(values.text(config["subject"], data).split())[:LONGEST_SUBJECT]
    body = values.text(config["body"], data)
    html = templating.render(config["html"], data, autoescape=True) if config.get("html") else ""
    reply_to = [_address(values.text(config["reply_to"], data))] if config.get("reply_to") else None
    for number, address in enumerate(addresses, start=1):
        headers = {"Message-ID": _message_id(context, number)}
        message = EmailMultiAlternatives(subject, body, None, [address], headers=headers, reply_to=reply_to)
        if html:
            message.attach_alternative(html, "text/html")
        yield message


def _message_id(context: ActionContext, number: int) -> str:
    """The same at each attempt, so that a mailbox can drop the second of two."""
    domain = make_msgid().rsplit("@", 1)[1].rstrip(">")
    sender = settings.DEFAULT_FROM_EMAIL.rsplit("@", 1)
    domain = sender[1].strip("> ") if len(sender) == 2 else domain
    return f"<{context.execution_id}.{number}@{domain}>"


def _addresses(config: Mapping[str, Any], data: Mapping[str, Any]) -> Iterator[str]:
    for one in _recipients(config):
        written = values.text(one, data).strip()
        if written:
            yield _address(written)


def _address(written: str) -> str:
    try:
        validate_email(written)
    except ValidationError as error:
        raise PermanentError("A recipient is not one plain address; look at the template it came from.") from error
    allowed = conf.email_domains()
    if allowed is not None and written.rsplit("@", 1)[1].lower() not in allowed:
        raise Refused('A recipient\'s domain is not in RULES_ENGINE["EMAIL_DOMAINS"].')
    return written


def _send(messages: list[EmailMultiAlternatives]) -> None:
    """One conversation for all; what the server says decides whether another try makes sense (RFC 5321 §4.2.1)."""
    try:
        mailer = _mailer()
        if getattr(mailer, "timeout", 0) is None:
            mailer.timeout = conf.email_seconds()
        mailer.send_messages(messages)
    except ValueError as error:
        raise PermanentError(f"The message could not be built: {error}") from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _by_code(min(codes, default=500), error) from error
    except smtplib.SMTPResponseException as error:
        raise _by_code(error.smtp_code, error) from error
    except (smtplib.SMTPException, OSError) as error:
        raise TransientError(f"The mail server could not be used: {error}") from error


def _mailer() -> Any:
    """The site's default mail backend. Django 6.1 has ``mailers`` for it and deprecates ``get_connection``."""
    mailers = getattr(mail, "mailers", None)
    return mail.get_connection() if mailers is None else mailers.default


def _by_code(code: int, error: Exception) -> PermanentError | TransientError:
    # 535 and its like mean that the site's own password is wrong, which an operator will mend.
    permanent = code >= 500 and not isinstance(error, smtplib.SMTPAuthenticationError)
    sentence = f"The mail server answered: {error}"
    return PermanentError(sentence) if permanent else TransientError(sentence)
