"""How often a rule would act, in words, for whoever is about to switch it on."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from rules_engine.admin.limits.spans import span_words
from rules_engine.admin.parts.objects import ObjectsSeen
from rules_engine.admin.parts.rule_page import unseen
from rules_engine.context.paths import find_model
from rules_engine.context.visible import MayView
from rules_engine.databases.savepoints import confined
from rules_engine.live import cache
from rules_engine.models import Rule
from rules_engine.rules import registry
from rules_engine.rules.permissions import may_view
from rules_engine.rules.schedules.kinds import is_on_time_alone, name_of
from rules_engine.rules.validation import rule_problems
from rules_engine.test.ahead.estimate import Basis, Estimate, rounded
from rules_engine.test.ahead.estimating import estimate_of
from rules_engine.types import RuleSpec, Unread, ask

MAIL, WEBHOOK = "send_email", "webhook"
#: Kinds of schedules that act on some of what begins them: at most on as many.
BEGUN = ("stays", "often", "silent")


def estimate_words(request: HttpRequest, rule: Rule) -> str:
    """Say about how often the rule would act in a day, and what that is worked out from; empty to whoever may not view
    what it reads, where the rule could not run, and where nothing on record tells."""
    spec, user = rule.spec(), request.user
    if rule_problems(spec) or unseen(user, spec) or _hides_some(request, spec):
        return ""
    # A site's own fields, managers and expressions have a part in it; without a number a page is still a page.
    estimate = ask(_confined, spec, may_view(user))
    if isinstance(estimate, Unread) or estimate is None:
        return gettext("How often it would act is not known: no such events were recorded.")
    return f"{_often(estimate)} {_because(estimate.basis, begins=name_of(spec.schedule) in BEGUN)}"


def _hides_some(request: HttpRequest, spec: RuleSpec) -> bool:
    """Say whether objects would be counted that their own page may not show to who asks."""
    model = find_model(spec.model) if is_on_time_alone(spec) and spec.model else None
    is_whole = model is None or getattr(request.user, "is_superuser", False)
    return model is not None and not is_whole and ObjectsSeen(admin.site, request).hides_some(model)


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


def _because(basis: Basis, *, begins: bool) -> str:
    hours = max(1, round(basis.days * 24))
    span = span_words((hours if hours < 48 else round(hours / 24) * 24) * 3600)
    if begins:
        text = ngettext(
            "Of %(count)s change that was recorded in %(span)s, %(acts)s would count for it.",
            "Of %(count)s changes that were recorded in %(span)s, %(acts)s would count for it.",
            basis.count,
        )
    elif basis.counted == "events":
        text = ngettext(
            "Of %(count)s change that was recorded in %(span)s it would have acted on %(acts)s.",
            "Of %(count)s changes that were recorded in %(span)s it would have acted on %(acts)s.",
            basis.count,
        )
    elif basis.counted == "dates":
        text = ngettext(
            "Of %(count)s date that comes in %(span)s it would act on %(acts)s, as things are.",
            "Of %(count)s dates that come in %(span)s it would act on %(acts)s, as things are.",
            basis.count,
        )
    else:
        text = ngettext(
            "Its schedule has %(count)s time in %(span)s.", "Its schedule has %(count)s times in %(span)s.", basis.count
        )
    return text % {"count": _exact(basis.count), "acts": _exact(basis.acts), "span": span}


def _number(value: float) -> str:
    return number_format(rounded(value), force_grouping=True)


def _exact(value: int) -> str:
    return number_format(value, force_grouping=True)
