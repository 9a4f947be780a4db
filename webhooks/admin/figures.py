"""What the page of an endpoint says about its deliveries. Every question is bounded, however many there were."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.sending import lane_backlog, lane_counts, lane_failures, lane_figures, lane_latest, latest_replays
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
    """A row of figures for each window."""
    since = [timezone.now() - span for span, _label in WINDOWS]
    every = lane_figures(conf.QUEUE, lanes.counted(endpoint.slug), *since)
    for (_span, label), found in zip(WINDOWS, every, strict=True):
        yield {
            "window": str(label),
            "attempts": number_format(found.attempts, force_grouping=True) + ("+" if found.is_sample else ""),
            "share": percent(found.share),
            "median": _seconds(found.median),
            "p95": _seconds(found.p95),
        }


def percent(share: float | None) -> str:
    """The share of attempts that succeeded; a dash where there was none. Never 100 % while one failed."""
    if share is None:
        return "–"
    shown = share * 100
    if 99.9 <= shown < 100:
        return gettext("over 99.9 %")
    return gettext("%s %%") % f"{shown:.4g}"


def list_percents(endpoints: Iterable[Endpoint]) -> dict[Any, str]:
    """The same for the endpoints of the list, by their keys, of the latest deliveries within 24 hours. One query."""
    slugs = {one.slug: one.pk for one in endpoints}
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
    return gettext("%s ms") % f"{value * 1000:.0f}" if value < 1 else gettext("%s s") % f"{value:.1f}"


def backlog(endpoint: Endpoint) -> dict[str, Any]:
    """How many deliveries wait, and since when."""
    found = lane_backlog(conf.QUEUE, lanes.counted(endpoint.slug))
    return {
        "count": number_format(found.count, force_grouping=True),
        "oldest": when(found.oldest) if found.oldest else "",
    }


def failures(endpoint: Endpoint) -> list[Line]:
    """The latest deliveries that failed."""
    return list(_lines(lane_failures(conf.QUEUE, lanes.counted(endpoint.slug), FAILURES)))


def last_test(endpoint: Endpoint) -> Line | None:
    """What came of the last test delivery."""
    return next(_lines(lane_latest(conf.QUEUE, [lanes.test(endpoint.slug)])), None)


def last_replay(endpoint: Endpoint) -> Line | None:
    """What came of the last replay."""
    return next(_lines(latest_replays(endpoint.slug)), None)


def _lines(executions: Iterable[Any]) -> Iterator[Line]:
    for one in executions:
        is_over = one.state == "succeeded"
        yield Line(
            url=_page(one.pk),
            when=when(one.created_at),
            state=str(one.get_state_display()),
            text=one.summary if is_over else one.error,
            who=one.event.actor_name if "event" in one._state.fields_cache else "",
        )


def _page(pk: Any) -> str:
    try:
        return reverse("admin:rules_engine_execution_change", args=[pk])
    except NoReverseMatch:
        return ""


def list_url(endpoint: Endpoint) -> str:
    """The list of all executions of the endpoint."""
    query = urlencode({"queue__exact": conf.QUEUE, "lane__in": ",".join(lanes.counted(endpoint.slug))})
    try:
        return f"{reverse('admin:rules_engine_execution_changelist')}?{query}"
    except NoReverseMatch:
        return ""
