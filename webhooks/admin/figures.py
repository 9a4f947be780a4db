"""What the page of an endpoint says about its deliveries. Every question is bounded, however many there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.sending import (
    lane_backlog,
    lane_counts,
    lane_failures,
    lane_figures,
    lane_latest,
    latest_replays,
    may_view_event,
)
from webhooks import conf
from webhooks.endpoints.status import when
from webhooks.models import Endpoint, lanes

WINDOWS = ((timedelta(hours=24), _("last 24 hours")), (timedelta(days=7), _("last 7 days")))
FAILURES = 5
#: Deliveries looked at for each row of the list.
LIST_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Line:
    """One execution in a list: where its page is, when it was recorded, and what there is to say."""

    url: str
    when: str
    state: str
    text: str
    who: str = ""


def figures(endpoint: Endpoint) -> Iterator[dict[str, str]]:
    """Give a row of figures for each window."""
    since = [timezone.now() - span for span, _label in WINDOWS]
    every = lane_figures(conf.QUEUE, lanes.counted(endpoint.slug), *since)
    for (_span, label), in_window in zip(WINDOWS, every, strict=True):
        yield {
            "window": str(label),
            "attempts": number_format(in_window.attempts, force_grouping=True) + ("+" if in_window.is_sample else ""),
            "share": percent(in_window.share),
            "median": _seconds(in_window.median),
            "p95": _seconds(in_window.p95),
        }


def percent(share: float | None) -> str:
    """Write the share of attempts that succeeded; a dash where there was none. Never 100 % while one failed."""
    if share is None:
        return "–"
    shown = share * 100
    if 99.9 <= shown < 100:
        return gettext("over 99.9 %")
    return gettext("%s %%") % f"{shown:.4g}"


def list_percents(endpoints: Iterable[Endpoint]) -> dict[Any, str]:
    """Give each endpoint's ``percent``, by its key, of the latest deliveries within 24 hours. One query."""
    slugs = {endpoint.slug: endpoint.pk for endpoint in endpoints}
    every = [lane for slug in slugs for lane in lanes.counted(slug)]
    attempts: Counter[str] = Counter()
    succeeded: Counter[str] = Counter()
    since = timezone.now() - WINDOWS[0][0]
    for lane, (number, well) in lane_counts(conf.QUEUE, every, since, sample=LIST_SAMPLE).items():
        attempts[lanes.slug_of(lane)] += number
        succeeded[lanes.slug_of(lane)] += well
    return {pk: percent(succeeded[slug] / attempts[slug] if attempts[slug] else None) for slug, pk in slugs.items()}


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 1:
        return gettext("%s ms") % f"{value * 1000:.0f}"
    return gettext("%s s") % f"{value:.1f}"


def backlog(endpoint: Endpoint) -> dict[str, Any]:
    """Tell how many deliveries wait, and since when."""
    waiting = lane_backlog(conf.QUEUE, lanes.counted(endpoint.slug))
    return {
        "count": number_format(waiting.count, force_grouping=True),
        "oldest": when(waiting.oldest) if waiting.oldest else "",
    }


def failures(endpoint: Endpoint, user: Any) -> list[Line]:
    """List the latest deliveries that failed."""
    lines = _lines(lane_failures(conf.QUEUE, lanes.counted(endpoint.slug), FAILURES), user)
    return [replace(line, who="") for line in lines]


def last_test(endpoint: Endpoint, user: Any) -> Line | None:
    """Tell what came of the last test delivery."""
    return next(_lines(lane_latest(conf.QUEUE, [lanes.test(endpoint.slug)]), user), None)


def last_replay(endpoint: Endpoint, user: Any) -> Line | None:
    """Tell what came of the last replay."""
    return next(_lines(latest_replays(endpoint.slug), user), None)


def _lines(executions: Iterable[Any], user: Any) -> Iterator[Line]:
    for execution in executions:
        # It may quote the object's data.
        text = execution.summary if execution.state == "succeeded" else execution.error
        is_seen = may_view_event(user, execution.event.model, execution.event.context)
        yield Line(
            url=_page(execution.pk),
            when=when(execution.created_at),
            state=str(execution.get_state_display()),
            text=text if is_seen else gettext("You may not view objects of this model, and so not this data either."),
            who=execution.event.actor_name,
        )


def _page(pk: Any) -> str:
    try:
        return reverse("admin:rules_engine_execution_change", args=[pk])
    except NoReverseMatch:
        return ""


def list_url(endpoint: Endpoint, tab: str = "all") -> str:
    """Give the address of a tab of the activity, narrowed to the endpoint: its deliveries, those of tests too."""
    query = urlencode({"queue__exact": conf.QUEUE, "lane__in": ",".join(lanes.every(endpoint.slug)), "tab": tab})
    try:
        return f"{reverse('admin:rules_engine_activity_changelist')}?{query}"
    except NoReverseMatch:
        return ""
