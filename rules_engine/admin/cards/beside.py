"""What stands beside a rule's form: its state with one switch, and how it is doing."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from rules_engine.admin.kept.verdicts import tests_notice
from rules_engine.admin.parts.objects import UNSEEN
from rules_engine.admin.parts.rendering import list_url, page_url
from rules_engine.admin.parts.rule_page import ENABLE
from rules_engine.admin.pauses.notices import Pauses
from rules_engine.admin.reading import mail, states
from rules_engine.admin.reading.cascades import cascades_of
from rules_engine.admin.reading.estimated import MAIL, estimate_words
from rules_engine.admin.records.columns import tell
from rules_engine.live.compiler import compile_rule
from rules_engine.models import Execution, HeldMatch, Rule, RuleError
from rules_engine.rules import registry
from rules_engine.rules.permissions import may_view_outcomes
from rules_engine.rules.signals import hearing
from rules_engine.rules.validation import rule_problems, type_problems
from rules_engine.test.seen.models import seen_by
from rules_engine.work.runs.permitted import may_run

LATEST_ERRORS = 5
LATEST_RUNS = 10


def beside(request: HttpRequest, rule: Rule) -> dict[str, Any]:
    """Return the state of the rule, and the buttons that change it for whoever may."""
    may_switch = request.user.has_perm(ENABLE)
    return {
        "state": states.state_of(rule),
        "switch_url": reverse("admin:rules_engine_rule_switch", args=[rule.pk]) if may_switch else "",
        "positions": _positions(rule),
        "run_url": _run_url(request, rule),
        # Of one that acts it is told what it did.
        "estimate": "" if rule.enabled and not rule.shadow else estimate_words(request, rule),
        "runs": _runs(request, rule),
        "seen": seen_by(compile_rule(rule.spec(), 0)),
        "all_url": f"{reverse('admin:rules_engine_activity_changelist')}?{urlencode({'rule_slug': rule.slug})}",
    }


def _run_url(request: HttpRequest, rule: Rule) -> str:
    """Where it is run on what is there; empty where that cannot be, or not by who asks."""
    if not rule.enabled or not rule.model or not may_run(request.user, rule.model):
        return ""
    return reverse("admin:rules_engine_rule_run", args=[rule.pk])


def _positions(rule: Rule) -> list[dict[str, str]]:
    """The states that it is not in, the one to go to from here first."""
    now = "off" if not rule.enabled else "shadow" if rule.shadow else "on"
    words = {"on": gettext("Switch on"), "off": gettext("Switch off"), "shadow": gettext("Only watch (shadow)")}
    return [{"name": name, "words": said} for name, said in words.items() if name != now]


def _runs(request: HttpRequest, rule: Rule) -> list[dict[str, Any]] | None:
    """What the rule did, could not do or holds back last, as far as who asks may see it; None where they see none."""
    seen = [model for model in (Execution, HeldMatch) if request.user.has_perm(f"rules_engine.view_{_name(model)}")]
    if not seen:
        return None
    rows = [row for model in seen for row in _latest(model, rule)]
    rows = sorted(rows, key=lambda row: (row.created_at, str(row.pk)), reverse=True)[:LATEST_RUNS]
    tell(request, rows)
    return [
        {
            "when": row.created_at,
            "url": page_url(_name(type(row)), row.pk),
            "kind": registry.title(row.kind) if isinstance(row, Execution) else "",
            "object": row.object_cell,
            "state": row.state_cell,
        }
        for row in rows
    ]


def _name(model: Any) -> str:
    return str(model._meta.model_name)


def _latest(model: Any, rule: Rule) -> Any:
    rows = model._default_manager.filter(rule_slug=rule.slug).select_related("event").order_by("-created_at")
    # What a released match became are executions.
    return (rows.exclude(state=HeldMatch.State.RELEASED) if model is HeldMatch else rows)[:LATEST_RUNS]


def notices(request: HttpRequest, rule: Rule) -> dict[str, Any]:
    """Return what a rule's page says above its form."""
    pauses = Pauses(request.user)
    activity = states.last_day([rule.slug])[rule.slug]
    spec = rule.spec()
    problems = [*map(str, rule_problems(spec)), *states.author_faults(rule)]
    errors = list(RuleError.objects.filter(rule_slug=rule.slug)[:LATEST_ERRORS])
    if not may_view_outcomes(request.user, rule.model):
        # An error may quote the object's data.
        activity.last_error = activity.last_error and str(UNSEEN)
        for error in errors:
            error.message = str(UNSEEN)
    return {
        "problems": problems,
        "remarks": hearing(rule.spec_with([])),
        "over_mailed": mail.over_of(rule.slug) if any(each.kind == MAIL for each in spec.actions) else "",
        "errors": errors,
        # What is no rule at all has nothing to be tested.
        "tests": None if type_problems(spec) else tests_notice(request, rule),
        "activity": activity,
        "cascades": cascades_of(rule),
        "pauses": pauses.notices(pauses.of(rule)),
        "held": activity.held,
        "held_url": Pauses.held_url(rule),
        "executions_url": list_url("execution", rule_slug=rule.slug),
        "versions_url": list_url("ruleversion", q=rule.slug),
    }
