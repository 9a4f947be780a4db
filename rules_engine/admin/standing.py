"""How rules stand: on, off, in shadow or broken, and what they did in the last day."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Count, Max, Q
from django.utils import timezone
from django.utils.translation import gettext

from rules_engine.actions import registry
from rules_engine.models import Execution, Rule, RuleError
from rules_engine.models.execution import State
from rules_engine.rules.validation import rule_problems

DAY = timedelta(hours=24)
FAILED = (State.DISCARDED, State.REFUSED, State.RETRYABLE)


@dataclass(frozen=True, slots=True)
class Standing:
    """``name`` is one of on, off, shadow, broken; ``words`` says it to people, ``reasons`` why it is not well."""

    name: str
    words: str
    reasons: tuple[str, ...] = ()


def standing_of(rule: Rule) -> Standing:
    """How a rule stands, without a query where its actions and its author were fetched."""
    faults = tuple(rule_faults(rule))
    if not rule.enabled:
        return Standing("off", gettext("off"), faults)
    if faults:
        return Standing("broken", gettext("broken"), faults)
    return Standing("shadow", gettext("shadow")) if rule.shadow else Standing("on", gettext("on"))


def rule_faults(rule: Rule) -> Iterable[str]:
    """What keeps a rule from working, as sentences: itself, its actions' kinds, its author."""
    yield from map(str, rule_problems(rule.spec_with([])))
    for action in rule.actions.all():
        if action.enabled and registry.find(action.kind) is None:
            yield registry.unknown(action.kind)
    yield from author_faults(rule)


def author_faults(rule: Rule) -> Iterable[str]:
    """Why the author keeps the rule from acting, as a sentence, if so. A rule without an author is the operator's."""
    if rule.author_id is None:
        return
    author = author_of(rule)
    if author is None:
        yield gettext("Its author no longer exists, so it does nothing; whoever saves it becomes its author.")
    elif not author.is_active:
        yield gettext("Its author, %s, is inactive, so it does nothing; whoever saves it becomes its author.") % author


def author_of(rule: Rule) -> Any:
    """The author, or None when there is none, or none any more."""
    try:
        return rule.author
    except ObjectDoesNotExist:
        return None


@dataclass(slots=True)
class Activity:
    """One rule's last 24 hours: events it acted on, executions that failed, and its latest error."""

    fired: int = 0
    failed: int = 0
    errors: int = 0
    last_error: str = ""


def last_day(slugs: Collection[str]) -> dict[str, Activity]:
    """What these rules did in the last 24 hours, in four queries however many they are."""
    found = {slug: Activity() for slug in slugs}
    since = timezone.now() - DAY
    executions = Execution.objects.filter(rule_slug__in=slugs, created_at__gte=since).order_by()
    counts = executions.values("rule_slug").annotate(
        fired=Count("event_id", distinct=True),
        failed=Count("pk", filter=Q(state__in=FAILED)),
        last=Max("created_at", filter=Q(state__in=FAILED)),
    )
    latest = {}
    for row in counts:
        slug = row["rule_slug"]
        found[slug].fired, found[slug].failed, latest[slug] = row["fired"], row["failed"], row["last"]
    failed = executions.filter(state__in=FAILED, created_at__in=[at for at in latest.values() if at])
    at_of = {slug: at for slug, at in latest.items() if at}
    for slug, at, error in failed.values_list("rule_slug", "created_at", "error"):
        if at_of.get(slug) == at:
            found[slug].last_error = error
    _add_errors(found, since, at_of)
    return found


def _add_errors(found: dict[str, Activity], since: datetime, failures: dict[str, datetime]) -> None:
    errors = RuleError.objects.filter(rule_slug__in=list(found), created_at__gte=since).order_by()
    counts = errors.values("rule_slug").annotate(number=Count("pk"), last=Max("pk"))
    last = {}
    for row in counts:
        found[row["rule_slug"]].errors = row["number"]
        last[row["last"]] = row["rule_slug"]
    for error in RuleError.objects.filter(pk__in=last):
        at = failures.get(error.rule_slug)
        if at is None or error.created_at > at:
            found[error.rule_slug].last_error = error.message
