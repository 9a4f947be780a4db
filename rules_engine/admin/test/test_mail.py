"""The mail of a test, sent to whoever tests and to nobody else: as it would be, for the object that was chosen."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest
from django.utils.translation import gettext

from rules_engine.actions.mail.send_email import send_test
from rules_engine.errors import RulesEngineError
from rules_engine.models import Rule
from rules_engine.test.previews import Planned
from rules_engine.test.rule_test import Tested

KIND = "send_email"
#: The button's name; its value is the place of the action in its rule.
BUTTON = "mail_me"


def own_address(user: Any) -> str:
    """Where the user gets mail; empty where that is not known, or could be read as a template."""
    address = str(getattr(user, "email", "") or "")
    return "" if "{" in address else address


def can_be_mailed(planned: Planned) -> bool:
    """Whether it is a mail that could be written."""
    return planned.action.kind == KIND and bool(planned.contexts) and not planned.trouble


def mail_me(model_admin: Any, request: HttpRequest, rule: Rule, test: Tested) -> None:
    """Send the mail that was asked for to the user alone, and say where it went or why not.

    It counts like the rule's other mails (``EMAILS_PER_RULE_PER_HOUR``), and stands in the rule's history.
    """
    wanted = request.POST.get(BUTTON, "")
    chosen = [one for one in test.actions if can_be_mailed(one) and str(one.action.position) == wanted]
    address = own_address(request.user)
    if not chosen or not address:
        messages.error(request, gettext("No mail was sent: there is none that could be sent to you."))
        return
    try:
        send_test(chosen[0].contexts[0], chosen[0].action.config, address)
    except RulesEngineError as error:
        messages.error(request, gettext("The mail was not sent: %(error)s") % {"error": error})
        return
    model_admin.log_change(request, rule, gettext("Sent a test mail to %(address)s.") % {"address": address})
    text = gettext("The test mail was sent to %(address)s, and to nobody else.")
    messages.success(request, text % {"address": address})
