"""How often a rule would act, in words, for whoever is about to switch it on."""

from __future__ import annotations

from typing import Any

from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from rules_engine.admin.limits.spans import span_words
from rules_engine.admin.parts.rule_page import unseen
from rules_engine.context.visible import MayView
from rules_engine.databases.savepoints import confined
from rules_engine.live import cache
from rules_engine.models import Rule
from rules_engine.rules import registry
from rules_engine.rules.permissions import may_view
from rules_engine.rules.validation import rule_problems
from rules_engine.test.ahead.estimate import Basis, Estimate, rounded
from rules_engine.test.ahead.estimating import estimate_of
from rules_engine.types import RuleSpec, Unread, ask

MAIL, WEBHOOK = "send_email", "webhook"


def estimate_words(user: Any, rule: Rule) -> str:
    """Say about how often the rule would act in a day, and what that is worked out from; empty to whoever may not view
    what it reads, and where the rule could not run."""
    spec = rule.spec()
    if rule_problems(spec) or unseen(user, spec):
        return ""
    # A site's own fields, managers and expressions have a part in it; without a number a page is still a page.
    estimate = ask(_confined, spec, may_view(user))
    if isinstance(estimate, Unread) or estimate is None:
        return gettext("How often it would act is not known: no such events were recorded.")
    return f"{_often(estimate)} {_because(estimate.basis)}"


def _confined(spec: RuleSpec, viewing: MayView) -> Estimate | None:
    with confined(cache.alias()):
        return estimate_of(spec, viewing)


def _often(estimate: Estimate) -> str:
    named = {kind: often for kind, often in estimate.actions.items() if rounded(often)}
    if named:
        done = ", ".join(_done(kind, often) for kind, often in named.items())
        text = gettext("At most about %s a day.") if estimate.is_most else gettext("About %s a day.")
        return text % done
    if rounded(estimate.acts):
        return gettext("It would act on about %s events a day.") % _number(estimate.acts)
    return gettext("It would act less than once a day.")


def _done(kind: str, often: float) -> str:
    count = rounded(often)
    if kind == MAIL:
        return ngettext("%s mail", "%s mails", count) % _number(often)
    if kind == WEBHOOK:
        return ngettext("%s webhook", "%s webhooks", count) % _number(often)
    return gettext("%(count)s × “%(action)s”") % {"count": _number(often), "action": registry.title(kind)}


def _because(basis: Basis) -> str:
    hours = max(1, round(basis.days * 24))
    span = span_words((hours if hours < 48 else round(hours / 24) * 24) * 3600)
    if basis.counted == "events":
        text = gettext("Of %(count)s changes that were recorded in %(span)s it would have acted on %(acts)s.")
    elif basis.counted == "dates":
        text = gettext("Of %(count)s dates that come in %(span)s it would act on %(acts)s, as things are.")
    else:
        text = gettext("Its schedule has %(count)s times in %(span)s.")
    return text % {"count": _exact(basis.count), "acts": _exact(basis.acts), "span": span}


def _number(value: float) -> str:
    return number_format(rounded(value), force_grouping=True)


def _exact(value: int) -> str:
    return number_format(value, force_grouping=True)
