"""The states of rules: on, off, in shadow or unable to run, and what they did in the last day."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Case, Count, Exists, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Now, TruncHour
from django.utils import timezone
from django.utils.translation import gettext

from rules_engine.models import Execution, HeldMatch, Rule, RuleError
from rules_engine.models.execution import TROUBLED
from rules_engine.rules import registry
from rules_engine.rules.validation import rule_problems
from rules_engine.surroundings.own_rules import is_changed_here, made_here

HOURS = 24
DAY = timedelta(hours=HOURS)


@dataclass(frozen=True, slots=True)
class RuleState:
    """``name`` is one of on, off, shadow, broken; ``words`` says it to people, ``reasons`` why it is not well."""

    name: str
    words: str
    reasons: tuple[str, ...] = ()


def state_of(rule: Rule) -> RuleState:
    """Say whether a rule is on and well, without a query where its actions and its author were fetched."""
    faults = tuple(rule_faults(rule))
    if not rule.enabled:
        return RuleState("off", gettext("off"), faults)
    if faults:
        return RuleState("broken", gettext("cannot run"), faults)
    return RuleState("shadow", gettext("shadow")) if rule.shadow else RuleState("on", gettext("on"))


def rule_faults(rule: Rule) -> Iterable[str]:
    """What keeps a rule from working, as sentences: itself, its actions' kinds, its author."""
    yield from map(str, rule_problems(rule.spec_with([])))
    for action in rule.actions.all():
        if action.enabled and registry.find(action.kind) is None:
            yield registry.unknown(action.kind)
    yield from author_faults(rule)


def author_faults(rule: Rule) -> Iterable[str]:
    """Why the author keeps the rule from acting, as a sentence, if so. A rule without an author is the operator's."""
    if rule.author_id is None or not is_changed_here(rule.surroundings):
        return
    author = author_of(rule)
    if author is None:
        yield gettext("Its author no longer exists, so it does nothing; whoever saves it becomes its author.")
    elif not author.is_active:
        yield gettext("Its author, %s, is inactive, so it does nothing; whoever saves it becomes its author.") % author


def author_of(rule: Rule) -> Any:
    """The author, or None when there is none, or none any more, and for one who is elsewhere."""
    if not is_changed_here(rule.surroundings):
        return None
    try:
        return rule.author
    except ObjectDoesNotExist:
        return None


@dataclass(slots=True)
class Activity:
    """One rule's last 24 hours: events it acted on, executions that failed, evaluations that failed, its latest error,
    and the same by hour, oldest first. ``last_fired`` may be longer ago."""

    fired: int = 0
    failed: int = 0
    errors: int = 0
    held: int = 0
    last_error: str = ""
    last_fired: datetime | None = None
    hours: list[list[int]] = field(default_factory=lambda: [[0, 0] for _ in range(HOURS)])

    def add(self, hours_ago: int, fired: int, failed: int, errors: int) -> None:
        """Count what happened in one hour. The hour that was cut off 24 hours ago is drawn with the one after it."""
        self.fired, self.failed, self.errors = self.fired + fired, self.failed + failed, self.errors + errors
        hour = self.hours[HOURS - 1 - min(hours_ago, HOURS - 1)]
        hour[0] += fired
        hour[1] += failed + errors


def last_day(slugs: Collection[str]) -> dict[str, Activity]:
    """What these rules did in the last 24 hours, in two queries however many they are."""
    activities = {slug: Activity() for slug in slugs}
    now = timezone.now()
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    for slug, hour, *counts in _by_hour(slugs, now - DAY):
        activities[slug].add(max(0, round((this_hour - hour) / timedelta(hours=1))), *counts)
    for row in _latest(slugs, now - DAY):
        activity = activities[row["slug"]]
        activity.last_fired, activity.held, activity.last_error = row["last_fired"], row["held"], _later_error(row)
    return activities


def _by_hour(slugs: Collection[str], since: datetime) -> Iterable[tuple[Any, ...]]:
    """Rows of slug, hour, events acted on, executions failed, evaluations failed."""
    names = ("rule_slug", "hour", "fired", "failed", "errors")
    hour, none = TruncHour("created_at", tzinfo=UTC), Value(0, output_field=IntegerField())
    chosen = {"rule_slug__in": slugs, "created_at__gte": since}
    executions: Any = Execution.objects.filter(**chosen).order_by().annotate(hour=hour).values("rule_slug", "hour")
    errors: Any = RuleError.objects.filter(**chosen).order_by().annotate(hour=hour).values("rule_slug", "hour")
    fired = executions.annotate(
        fired=Count("event_id", distinct=True), failed=Count("pk", filter=Q(state__in=TROUBLED)), errors=none
    )
    broken = errors.annotate(fired=none, failed=none, errors=Count("pk"))
    return fired.values_list(*names).union(broken.values_list(*names), all=True).order_by()  # type: ignore[no-any-return]


def _latest(slugs: Collection[str], since: datetime) -> QuerySet[Any]:
    """For each rule its latest execution, its latest failure and error of the time, and how many matches wait."""
    executions = Execution.objects.filter(rule_slug=OuterRef("slug")).order_by("-created_at")
    failed = executions.filter(state__in=TROUBLED, created_at__gte=since)
    errors = RuleError.objects.filter(rule_slug=OuterRef("slug"), created_at__gte=since).order_by("-created_at")
    held: Any = HeldMatch.objects.filter(rule_slug=OuterRef("slug"), state=HeldMatch.State.WAITING).order_by()
    # Counted one rule at a time: each is a look into an index.
    waiting = held.values("rule_slug").annotate(number=Count("pk")).values("number")
    rules: Any = Rule.objects.filter(slug__in=slugs).order_by()
    return rules.annotate(  # type: ignore[no-any-return]
        last_fired=Subquery(executions.values("created_at")[:1]),
        failed_at=Subquery(failed.values("created_at")[:1]),
        failure=Subquery(failed.values("error")[:1]),
        error_at=Subquery(errors.values("created_at")[:1]),
        mistake=Subquery(errors.values("message")[:1]),
        waiting=Subquery(waiting),
    ).values("slug", "last_fired", "failed_at", "failure", "error_at", "mistake", held=F("waiting"))


def _later_error(row: dict[str, Any]) -> str:
    if row["error_at"] and (row["failed_at"] is None or row["error_at"] > row["failed_at"]):
        return str(row["mistake"])
    return row["failure"] or ""


def with_trouble(rules: Any) -> Any:
    """Rules with ``trouble``, by which those that need somebody come first: 0 for failures of the last 24 hours, 1 for
    an author without whom they do nothing, 2 for all is well, 3 for switched off."""
    recent = {"rule_slug": OuterRef("slug"), "created_at__gte": Now() - DAY}
    failed = Exists(Execution.objects.filter(state__in=TROUBLED, **recent))
    mistaken = Exists(RuleError.objects.filter(**recent))
    off, lost = Q(enabled=False), Q(author_id__isnull=False, surroundings=made_here()) & ~Q(author__is_active=True)
    cases = (When(off, then=Value(3)), When(failed, then=Value(0)), When(mistaken, then=Value(0)))
    return rules.annotate(trouble=Case(*cases, When(lost, then=Value(1)), default=Value(2)))
