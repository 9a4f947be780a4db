"""The overview page: what needs somebody, whether work is done, how much waits, what fails, what is slow and paused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Avg, Count, F, IntegerField, Max, Value
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext

from rules_engine.admin.overview.backlog import backlog
from rules_engine.admin.overview.moments import ago, seconds
from rules_engine.admin.overview.needs import how_many, needs_of
from rules_engine.admin.overview.seen import seen
from rules_engine.admin.overview.workers import workers
from rules_engine.admin.parts.rendering import list_url, page_url, time_words
from rules_engine.admin.pauses.notices import named, scope_words
from rules_engine.admin.reading import mail
from rules_engine.admin.reading.states import DAY
from rules_engine.databases import database_of
from rules_engine.models import Attempt, Execution, Pause, Rule, RuleError
from rules_engine.models.execution import TROUBLED
from rules_engine.monitoring.backlog import waiting
from rules_engine.rules import registry
from rules_engine.surroundings import own_rules
from rules_engine.work import overview
from rules_engine.work.overview import Cell, OverviewTable

MOST_ROWS = 10
#: The latest executions whose times are looked at.
SAMPLE = 5_000


class OverviewMixin:
    """Adds the page to the admin of rules, for those who may view rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.overview_view)
        return [path("overview/", view, name="rules_engine_overview"), *super().get_urls()]  # type: ignore[misc]

    def overview_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The page."""
        # It tells of all work, whosever it is.
        if not self.has_view_permission(request) or own_rules.are_kept_here():
            raise PermissionDenied
        needs = needs_of(request.user)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Overview"),
            "media": self.media,
            "needs": needs,
            "count": how_many(needs),
            "parts": all_parts(request.user),
        }
        return TemplateResponse(request, "admin/rules_engine/rule/overview.html", context)


def all_parts(user: Any) -> list[OverviewTable]:
    """The tables of the page, for this user: some queries and five for each queue, and those of other apps."""
    may_see = user.has_perm("rules_engine.view_execution")
    names = dict(Rule.objects.seen_here().values_list("slug", "name"))
    over_mailed = mail.over_caps(names)
    own = [
        workers(),
        backlog(waiting(), linked=may_see),
        failures(names, linked=may_see),
        slowest(names),
        paused(user),
        seen(),
    ]
    return [*own, *([over_mailed] if over_mailed else []), *overview.parts(user)]


def failures(names: dict[str, str], *, linked: bool) -> OverviewTable:
    """The rules with the most failures of the last 24 hours, actions and evaluations together."""
    since, zero = timezone.now() - DAY, Value(0, output_field=IntegerField())
    columns = ("rule_slug", "failed", "errors", "last")
    recent = {"created_at__gte": since}
    executions: Any = Execution.objects.filter(state__in=TROUBLED, **recent).order_by().values("rule_slug")
    errors: Any = RuleError.objects.exclude(rule_slug="").filter(**recent).order_by().values("rule_slug")
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
    # By hand or by itself, as in the rows that it links to.
    text = names.get(slug) or slug or gettext("without a rule")
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
            gettext("itself") if pause.by_itself else pause.paused_by or "–",
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
