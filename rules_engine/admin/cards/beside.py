"""What stands beside a rule's form: its state with one switch, and how it is doing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext

from rules_engine.admin.kept.verdicts import tests_notice
from rules_engine.admin.parts.objects import UNSEEN
from rules_engine.admin.parts.rendering import list_url
from rules_engine.admin.parts.rule_page import ENABLE
from rules_engine.admin.pauses.notices import Pauses
from rules_engine.admin.reading import mail, states
from rules_engine.admin.reading.cascades import cascades_of
from rules_engine.models import Rule, RuleError
from rules_engine.rules.permissions import may_view_outcomes
from rules_engine.rules.signals import hearing
from rules_engine.rules.validation import rule_problems

LATEST_ERRORS = 5


def beside(request: HttpRequest, rule: Rule) -> dict[str, Any]:
    """Return the state of the rule, and the buttons that change it for whoever may."""
    may_switch = request.user.has_perm(ENABLE)
    return {
        "state": states.state_of(rule),
        "switch_url": reverse("admin:rules_engine_rule_switch", args=[rule.pk]) if may_switch else "",
        "positions": _positions(rule),
    }


def _positions(rule: Rule) -> list[dict[str, str]]:
    """The states that it is not in, the one to go to from here first."""
    now = "off" if not rule.enabled else "shadow" if rule.shadow else "on"
    words = {"on": gettext("Switch on"), "off": gettext("Switch off"), "shadow": gettext("Only watch (shadow)")}
    return [{"name": name, "words": said} for name, said in words.items() if name != now]


def notices(request: HttpRequest, rule: Rule) -> dict[str, Any]:
    """Return what a rule's page says above its form."""
    pauses = Pauses(request.user)
    activity = states.last_day([rule.slug])[rule.slug]
    problems = [*map(str, rule_problems(rule.spec())), *states.author_faults(rule)]
    errors = list(RuleError.objects.filter(rule_slug=rule.slug)[:LATEST_ERRORS])
    if not may_view_outcomes(request.user, rule.model):
        # An error may quote the object's data.
        activity.last_error = activity.last_error and str(UNSEEN)
        for error in errors:
            error.message = str(UNSEEN)
    return {
        "problems": problems,
        "remarks": hearing(rule.spec_with([])),
        "over_mailed": mail.over_of(rule.slug),
        "errors": errors,
        "tests": tests_notice(request, rule),
        "activity": activity,
        "cascades": cascades_of(rule),
        "pauses": pauses.notices(pauses.of(rule)),
        "held": activity.held,
        "held_url": Pauses.held_url(rule),
        "executions_url": list_url("execution", rule_slug=rule.slug),
        "versions_url": list_url("ruleversion", q=rule.slug),
    }
