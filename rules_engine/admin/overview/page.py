"""The overview page: whether work is done, how much waits, what fails, what is slow, and what is paused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Avg, Count, DateTimeField, F, IntegerField, Max, Min, Q, Value
from django.db.models.functions import Coalesce, Now
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from rules_engine.admin.parts.rendering import list_url, page_url, time_words
from rules_engine.admin.pauses.notices import named, scope_words
from rules_engine.admin.reading import mail
from rules_engine.admin.reading.states import DAY
from rules_engine.databases import database_of
from rules_engine.models import Attempt, Execution, Heartbeat, HeldMatch, Pause, Rule, RuleError
from rules_engine.models.execution import LIVE, TROUBLED, State
from rules_engine.rules import registry
from rules_engine.work import overview
from rules_engine.work.overview import Cell, OverviewTable
from rules_engine.work.workers.heartbeats import patience

MOST_ROWS = 10
#: The latest executions whose times are looked at.
SAMPLE = 5_000
#: Work that is due is taken on within seconds; what waits so long waits for somebody.
LATE = timedelta(minutes=5)


class OverviewMixin:
    """Adds the page to the admin of rules, for those who may view rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.overview_view)
        return [path("overview/", view, name="rules_engine_overview"), *super().get_urls()]  # type: ignore[misc]

    def overview_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The page."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Overview"),
            "media": self.media,
            "parts": all_parts(request.user),
        }
        return TemplateResponse(request, "admin/rules_engine/rule/overview.html", context)


def all_parts(user: Any) -> list[OverviewTable]:
    """What the page says, to this user: eight queries, and those of other apps."""
    may_see = user.has_perm("rules_engine.view_execution")
    names = dict(Rule.objects.values_list("slug", "name"))
    over_mailed = mail.over_caps(names)
    own = [workers(), backlog(linked=may_see), failures(names, linked=may_see), slowest(names), paused(user)]
    return [*own, *([over_mailed] if over_mailed else []), *overview.parts(user)]


def workers() -> OverviewTable:
    """Who looks for work and who does it, and when they were last seen; what to do where nobody was."""
    now, rows, alive = timezone.now(), [], set()
    longest = patience()
    for heartbeat in Heartbeat.objects.all():
        is_silent = now - heartbeat.seen_at > longest and heartbeat.kind == Heartbeat.Kind.SWEEP
        if not is_silent:
            alive.add(heartbeat.kind)
        state = gettext("silent") if is_silent else gettext("seen")
        rows.append((heartbeat.get_kind_display(), heartbeat.host, ago(heartbeat.seen_at, now), state))
    notes = []
    if Heartbeat.Kind.SWEEP not in alive:
        notes.append(
            gettext(
                "No worker was seen lately, so nothing that is due is done. Start one: celery -A yoursite worker -Q "
                "celery,rules,webhooks; or run manage.py rules_sweep, by cron where there is no Celery."
            )
        )
    headings = (gettext("What it does"), gettext("Host"), gettext("Last seen"), gettext("State"))
    nothing = gettext("None was ever seen.")
    return OverviewTable(gettext("Workers"), headings, rows[:50], nothing, is_trouble=bool(notes), notes=notes)


def backlog(*, linked: bool) -> OverviewTable:
    """What waits in each queue, and for how long what is due has been due. Held matches are a row of their own."""
    none = Value(None, output_field=DateTimeField())
    zero = Value(0, output_field=IntegerField())
    due = Q(state__in=(State.PENDING, State.RETRYABLE), next_attempt_at__lte=Now())
    counts = {
        "due": Count("pk", filter=due),
        "later": Count("pk", filter=Q(state__in=(State.PENDING, State.RETRYABLE)) & ~due),
        "running": Count("pk", filter=Q(state=State.RUNNING)),
        "oldest": Min("next_attempt_at", filter=due),
    }
    live: Any = Execution.objects.filter(state__in=LIVE).order_by().values("queue").annotate(**counts)
    is_due = Q(due_at__lte=Now())
    held: Any = HeldMatch.objects.filter(state=HeldMatch.State.WAITING).order_by()
    held = held.annotate(queue=Value("")).values("queue")
    held = held.annotate(
        due=Count("pk", filter=is_due),
        later=Count("pk", filter=~is_due),
        running=zero,
        oldest=Coalesce(Min("due_at", filter=is_due), none),
    )
    columns = ("queue", "due", "later", "running", "oldest")
    queues = sorted(live.values_list(*columns).union(held.values_list(*columns), all=True).order_by())
    now = timezone.now()
    rows = [
        (_queue_cell(name, linked), *numbers, ago(oldest, now) if oldest else "–") for name, *numbers, oldest in queues
    ]
    late = [name or gettext("held matches") for name, *_numbers, oldest in queues if oldest and now - oldest > LATE]
    notes = [
        gettext("Something in %s has been due for more than five minutes: are there enough workers?") % ", ".join(late)
    ]
    headings = (gettext("Queue"), gettext("Due"), gettext("Later"), gettext("Running"), gettext("Oldest due since"))
    title, nothing = gettext("What waits"), gettext("Nothing waits.")
    return OverviewTable(title, headings, rows, nothing, is_trouble=bool(late), notes=notes if late else ())


def _queue_cell(name: str, linked: bool) -> Cell:
    if not name:
        return Cell(gettext("held matches"), list_url("heldmatch", state__exact="waiting") if linked else "")
    return Cell(name, list_url("execution", queue__exact=name) if linked else "")


def failures(names: dict[str, str], *, linked: bool) -> OverviewTable:
    """The rules with the most failures of the last 24 hours, actions and evaluations together."""
    since, zero = timezone.now() - DAY, Value(0, output_field=IntegerField())
    columns = ("rule_slug", "failed", "errors", "last")
    recent = {"created_at__gte": since}
    executions: Any = Execution.objects.filter(state__in=TROUBLED, **recent).order_by().values("rule_slug")
    errors: Any = RuleError.objects.filter(**recent).order_by().values("rule_slug")
    counted = executions.annotate(failed=Count("pk"), errors=zero, last=Max("created_at")).values_list(*columns)
    broken = errors.annotate(failed=zero, errors=Count("pk"), last=Max("created_at")).values_list(*columns)
    by_rule: dict[str, tuple[int, int, datetime]] = {}
    for slug, failed, wrong, last in counted.union(broken, all=True).order_by():
        before = by_rule.get(slug, (0, 0, last))
        by_rule[slug] = (before[0] + failed, before[1] + wrong, max(before[2], last))
    worst = sorted(by_rule.items(), key=lambda pair: -(pair[1][0] + pair[1][1]))
    now = timezone.now()
    rows = [
        (_rule_cell(slug, names, linked), failed, wrong, ago(last, now))
        for slug, (failed, wrong, last) in worst[:MOST_ROWS]
    ]
    headings = (gettext("Rule"), gettext("Failed actions"), gettext("Failed evaluations"), gettext("Last"))
    nothing = gettext("Nothing failed in the last 24 hours.")
    return OverviewTable(gettext("Failures by rule, 24 h"), headings, rows, nothing, bool(rows), _left_out(len(worst)))


def _rule_cell(slug: str, names: dict[str, str], linked: bool) -> Cell:
    text = names.get(slug) or slug or gettext("ordered by hand")
    return Cell(text, list_url("execution", rule_slug=slug or ":by-hand") if linked else "")


def _left_out(count: int) -> Sequence[str]:
    more = count - MOST_ROWS
    return [ngettext("and %(count)s more.", "and %(count)s more.", more) % {"count": more}] if more > 0 else ()


def slowest(names: dict[str, str]) -> OverviewTable:
    """The actions that took longest, of the latest executions."""
    tried = Execution.objects.filter(attempts__gt=0).order_by("-created_at")
    latest = database_of(tried.db).first_keys(tried, SAMPLE)
    ended: Any = Attempt.objects.filter(execution__in=latest, finished_at__isnull=False).order_by()
    took = F("finished_at") - F("started_at")
    figures = ended.values(slug=F("execution__rule_slug"), kind=F("execution__kind")).annotate(
        number=Count("pk"), mean=Avg(took), longest=Max(took)
    )
    slowest = figures.order_by("-mean").values_list("slug", "kind", "number", "mean", "longest")[:MOST_ROWS]
    rows = [
        (_rule_cell(slug, names, False), registry.title(kind), number, *map(seconds, times))
        for slug, kind, number, *times in slowest
    ]
    headings = (gettext("Rule"), gettext("Action"), gettext("Attempts"), gettext("On average"), gettext("At most"))
    title = gettext("Slowest actions, of the latest %(count)s executions") % {
        "count": number_format(SAMPLE, force_grouping=True)
    }
    return OverviewTable(title, headings, rows, gettext("Nothing was done yet."))


def paused(user: Any) -> OverviewTable:
    """What stands still, since when and until when."""
    may_see = any(user.has_perm(f"rules_engine.{right}_pause") for right in ("view", "change"))
    pauses = list(Pause.objects.current())
    rows = [
        (
            Cell(scope_words(pause), page_url("pause", pause.pk) if may_see else ""),
            pause.get_mode_display(),
            time_words(pause.created_at),
            time_words(pause.until) if pause.until else gettext("it is resumed"),
            pause.paused_by or "–",
            pause.reason,
        )
        for pause in named(pauses[:MOST_ROWS])
    ]
    headings = (
        gettext("What"),
        gettext("Meanwhile"),
        gettext("Since"),
        gettext("Until"),
        gettext("By"),
        gettext("Why"),
    )
    return OverviewTable(gettext("Paused"), headings, rows, gettext("Nothing is paused."), notes=_left_out(len(pauses)))


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in one unit."""
    elapsed = max(0, round((now - moment).total_seconds()))
    if elapsed < 120:
        return gettext("%(number)s s ago") % {"number": elapsed}
    if elapsed < 7200:
        return gettext("%(number)s min ago") % {"number": elapsed // 60}
    if elapsed < 172_800:
        return gettext("%(number)s h ago") % {"number": elapsed // 3600}
    return gettext("%(number)s days ago") % {"number": elapsed // 86_400}


def seconds(took: timedelta) -> str:
    """A duration as a number people compare."""
    value = took.total_seconds()
    return gettext("%s ms") % f"{value * 1000:.0f}" if value < 1 else gettext("%s s") % f"{value:.1f}"
