"""``send_email``: one message to each recipient, by the site's own mail backend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from django.conf import settings
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf, texts
from rules_engine.actions.mail import attachments, hourly, mailing, recipients
from rules_engine.actions.mail.hourly import Room
from rules_engine.actions.mail.html import html_of
from rules_engine.actions.mail.ledger import Ledger
from rules_engine.actions.mail.mailing import Letter, Outcome
from rules_engine.errors import (
    ConditionError,
    PermanentError,
    Problem,
    PutOff,
    Refused,
    TemplateError,
    TransientError,
)
from rules_engine.rules import values
from rules_engine.rules.contract import Action, Clause, Preview
from rules_engine.rules.registry import register_action
from rules_engine.texts.limits import OUTPUT
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

LONGEST_SUBJECT = 250
TEXTS = ("subject", "body", "html", "reply_to")


@register_action
class SendEmail(Action):
    """Mail one or several addresses, each with a message of its own; the sender is the site's."""

    kind = "send_email"
    label = _("Send an email")
    schema = {
        "type": "object",
        "keys": {
            "to": {
                "type": "array",
                "title": _("To"),
                "items": {"type": "string"},
                "minItems": 1,
                "helpText": _("Addresses, {{ instance.email }}, admins or managers; each gets a message of its own."),
            },
            "subject": {"type": "string", "title": _("Subject"), "required": True},
            "body": {"type": "string", "widget": "textarea", "title": _("Text"), "required": True},
            "html": {"type": "string", "widget": "textarea", "title": _("HTML"), "helpText": _("Optional.")},
            "html_from_text": {
                "type": "boolean",
                "title": _("As HTML too"),
                "helpText": _("The text with its paragraphs and links as HTML, where no HTML is written above."),
            },
            "reply_to": {"type": "string", "title": _("Reply to"), "helpText": _("Optional.")},
            "attachments": {
                "type": "array",
                "title": _("Attachments"),
                "items": {"type": "string", "plain": True},
                "helpText": _(
                    "File fields, such as instance.image, or instance.images.image for those of related rows."
                ),
            },
        },
    }

    def initial_config(self, user: Any) -> Mapping[str, Any]:
        """Begin with a mail to whoever writes it: what happened, with a link where the site's address is known."""
        address = getattr(user, "email", "") or ""
        body = "{{ what_happened }}\n\n{{ admin_url }}" if conf.site_url() else "{{ what_happened }}"
        known = {"to": [address]} if address else {}
        return {**known, "subject": "{{ what_happened }}", "body": body, "html_from_text": True}

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        yield from recipients.problems(config, rule)
        for key in ("subject", "body"):
            if not config.get(key):
                missing = gettext("Write the subject of the message."), gettext("Write the text of the message.")
                yield Problem(f"/{key}", missing[key == "body"])
        for key in TEXTS:
            yield from _text_problems(key, config.get(key), rule)
        yield from attachments.problems(config, rule)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        named = {path for key in TEXTS for path in values.reads(config.get(key))}
        return {*recipients.reads(config), *named, *attachments.reads(config, rule)}

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        written = config.get("to")
        people = written if isinstance(written, list) else [written]
        return Clause(_("send an email to %(to)s"), {"to": [recipients.said(one) for one in people]})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        addresses, unusable, letter = _written(context, config)
        details = {
            gettext("From"): settings.DEFAULT_FROM_EMAIL,
            gettext("To"): "\n".join(addresses),
            gettext("Reply to"): ", ".join(letter.reply_to or ()),
            gettext("Subject"): letter.subject,
            gettext("Text"): letter.body,
            gettext("HTML"): letter.html if config.get("html") or not letter.html else gettext("made from the text"),
            gettext("Attachments"): "\n".join(
                f"{attachment.name} ({attachment.content_type})" for attachment in letter.files
            ),
            gettext("Not mailed"): "\n".join(str(error) for error in unusable),
        }
        summary = gettext("Mails %(addresses)s") % {"addresses": ", ".join(addresses)}
        return Preview(summary, {name: value for name, value in details.items() if value})

    def session(self) -> AbstractContextManager[object]:
        return mailing.kept()

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        addresses, unusable, letter = _written(context, config)
        ledger = Ledger.of(context.earlier())
        owed = ledger.owed(addresses)
        room = hourly.take(context.rule_slug, len(owed), ledger.waiting_since)
        outcome = mailing.send(owed[: room.now], letter)
        not_handed_over = room.now - len(outcome.sent) - len(outcome.refused) - len(outcome.not_taken)
        if not_handed_over:
            hourly.give_back(room, not_handed_over)
        late = outcome.refused if room.wait is None else outcome.put_off
        late.update(dict.fromkeys(owed[room.now :], room.reason))
        outcome.refused = {**ledger.refused, **outcome.refused}
        detail = {"to": outcome.sent, "refused": outcome.refused, "left": [*outcome.left, *outcome.put_off]}
        if outcome.not_taken:
            detail["not_taken"] = outcome.not_taken
        if outcome.put_off:
            detail["waiting_since"] = room.since
        return _conclusion(outcome, len(addresses), unusable, {**detail, "subject": letter.subject}, room)


def send_test(context: ActionContext, config: Mapping[str, Any], address: str) -> None:
    """Send the mail as it would be, marked as a test, to this address alone, if this hour has room for one more.

    Raises what ``run`` raises; it is tried once.
    """
    addresses, _unusable, letter = _written(context, {**config, "to": [address]})
    letter = letter._replace(subject=gettext("[Test] %(subject)s") % {"subject": letter.subject})
    room = hourly.take_now(context.rule_slug)
    if not room.now:
        raise PermanentError(room.reason)
    outcome = mailing.send(addresses, letter)
    if not (outcome.sent or outcome.refused or outcome.not_taken):
        hourly.give_back(room, 1)
    _conclusion(outcome, 1, (), {}, room)


def _written(context: ActionContext, config: Mapping[str, Any]) -> tuple[list[str], list[PermanentError], Letter]:
    """Work out whom it goes to, why others cannot be mailed, and what it says."""
    data = context.event.context
    try:
        addresses, unusable = recipients.find(config, data)
        letter = _letter(context, config, data)
    except (TemplateError, ConditionError) as error:
        raise PermanentError(str(error)) from error
    _check_number(addresses, unusable)
    return addresses, unusable, letter


def _text_problems(key: str, value: Any, rule: RuleSpec) -> Iterator[Problem]:
    pointer = f"/{key}"
    if value in (None, ""):
        return
    if not isinstance(value, str | Mapping):
        yield Problem(pointer, gettext("Expected text, and got %(value)s.") % {"value": repr(value)})
    elif key == "html" and not isinstance(value, str):
        yield Problem(pointer, gettext("Expected text: values are made safe for HTML where a template prints them."))
    elif key == "reply_to" and isinstance(value, str) and recipients.is_constant(value):
        yield from recipients.address_problems(value, pointer)
    else:
        yield from values.problems(value, rule, pointer)


def _check_number(addresses: Sequence[str], unusable: Sequence[PermanentError]) -> None:
    # More than ROWS_LIMIT would not all be in the attempt's record, and some would be mailed twice.
    most, setting = min((conf.email_recipients(), "EMAIL_RECIPIENTS"), (conf.rows_limit(), "ROWS_LIMIT"))
    if len(addresses) > most:
        raise Refused(
            gettext('%(count)s recipients; RULES_ENGINE["%(setting)s"] is %(most)s.')
            % {"count": len(addresses), "setting": setting, "most": most}
        )
    if not addresses:
        refused = [error for error in unusable if isinstance(error, Refused)]
        empty = PermanentError(gettext("No recipient is left: every address came out empty."))
        raise next(iter([*refused, *unusable]), empty)


def _letter(context: ActionContext, config: Mapping[str, Any], data: Mapping[str, Any]) -> Letter:
    """Write what is the same for all recipients. Raises as the templates, the expressions and the files do."""
    named = ("subject", "body", "reply_to") if config.get("reply_to") else ("subject", "body")
    written = values.texts_of(config, named, data)
    subject = texts.single_line(written["subject"])
    _check_lengths(written)
    body, reply_to = written["body"], written.get("reply_to", "").strip()
    return Letter(
        execution_id=context.execution_id,
        subject=" ".join(subject.split())[:LONGEST_SUBJECT],
        body=body,
        html=_html(config, body, data),
        reply_to=[_reply_to(reply_to)] if reply_to else None,
        files=attachments.load(context, config) if config.get("attachments") else [],
    )


def _html(config: Mapping[str, Any], body: str, data: Mapping[str, Any]) -> str:
    if config.get("html"):
        return texts.render(config["html"], data, autoescape=True)
    return html_of(body) if config.get("html_from_text") is True else ""


def _check_lengths(written: Mapping[str, str]) -> None:
    for key, text in written.items():
        if len(text) > OUTPUT:
            raise PermanentError(
                gettext("The %(key)s comes to more than %(most)s characters; print fewer values or rows.")
                % {"key": key, "most": f"{OUTPUT:,}"}
            )


def _reply_to(written: str) -> str:
    try:
        return recipients.permitted(written)
    except PermanentError as error:
        raise type(error)(gettext("Reply to: %(error)s") % {"error": error}) from error


def _conclusion(
    outcome: Outcome, number: int, unusable: Sequence[PermanentError], detail: Mapping[str, Any], room: Room
) -> ActionResult:
    """Say what came of it. Raises while somebody is left, and when somebody will never get theirs."""
    mailed = f"Mailed {', '.join(outcome.sent) or 'nobody'}"
    if outcome.left:
        trouble = outcome.trouble or TransientError(next(iter(outcome.left.values())))
        sentence = str(trouble) if number == 1 else f"{trouble} {mailed}. Left: {', '.join(outcome.left)}."
        raise type(trouble)(sentence, detail=detail)
    if outcome.put_off:
        sentence = room.reason if number == 1 else f"{room.reason} {mailed}. Left: {', '.join(outcome.put_off)}."
        raise PutOff(sentence, retry_after=room.wait, detail=detail)
    before = number - len(outcome.sent) - len(outcome.refused)
    mailed += f"; {before} had theirs from an earlier attempt" if before else ""
    if not (outcome.refused or unusable):
        return ActionResult(mailed, detail)
    refused = [f"{address}: {answer}" for address, answer in outcome.refused.items()]
    reasons = " ".join([*refused, *(str(error) for error in unusable)])
    raise PermanentError(reasons if number == len(refused) == 1 else f"{mailed}. Not mailed: {reasons}", detail=detail)
