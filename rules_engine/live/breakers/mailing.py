"""The mail about a rule that keeps failing: ordered like any other, so it is retried and on record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.models import Rule
from rules_engine.outbox.direct import order
from rules_engine.rules.permissions import may_view_outcomes
from rules_engine.surroundings.own_rules import of_authors

SIGNAL = "rules_engine.rule_keeps_failing"


def mail(rule: Rule, facts: Mapping[str, Any], reason: str) -> None:
    """Order the mail to whom the setting names, in the caller's transaction and in the language that is active."""
    to = recipients(rule)
    if not to:
        return
    if facts["is_paused"]:
        subject = gettext("The rule {{ signal.name }} keeps failing and was paused")
        what = gettext(
            "What happens meanwhile is held, and what was due waits. Both are carried out once somebody resumes the "
            "rule, or edits it."
        )
    else:
        subject = gettext("The rule {{ signal.name }} keeps failing")
        what = gettext(
            "It was not paused, because it acts in the save itself: that would let everything pass that it may still "
            "refuse or set. Where it fails it does nothing."
        )
    if may_read_errors(rule):
        reason = gettext("%(why)s The last error: %(error)s") % {"why": reason, "error": facts["error"]}
    body = "{{ signal.reason }}\n\n{{ signal.what }}\n\n{{ signal.url }}\n"
    config = {"to": to, "subject": subject, "body": body}
    order("send_email", config, signal=SIGNAL, context={"signal": {**facts, "reason": reason, "what": what}})


def recipients(rule: Rule) -> list[str]:
    """Return whom it goes to: the rule's author, who knows it, and the site's administrators where it has none that
    can be mailed; or whom the setting names."""
    choice = conf.breaker().mail
    if choice == "nobody":
        return []
    author = [] if choice == "admins" else _author_of(rule)
    return author if choice == "author" and author else [*author, "admins"]


def may_read_errors(rule: Rule) -> bool:
    """Say whether the mail may quote the last error: as on the rule's page, its author may view the rule's model, or is
    not mailed."""
    if conf.breaker().mail == "admins" or not _author_of(rule):
        return True
    with of_authors(rule.surroundings):
        return may_view_outcomes(rule.author, rule.model)


def _author_of(rule: Rule) -> list[str]:
    try:
        author: Any = rule.author
    except ObjectDoesNotExist:
        return []
    address = str(getattr(author, "email", "") or "") if author is not None and author.is_active else ""
    try:
        validate_email(address)
    except ValidationError:
        return []
    return [address]
