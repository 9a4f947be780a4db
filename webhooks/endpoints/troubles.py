"""The endpoints that fail, or are not called at all, for the overview page: as a table, and as what needs somebody."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext

from rules_engine.sending import Cell, Need, OverviewTable, lane_troubles, late_lanes
from webhooks import conf
from webhooks.models import lanes

MOST_ROWS = 10
LONGEST_WHY = 160
DAY = timedelta(hours=24)
#: An endpoint that failed fewer times in a row may just have hiccuped.
MANY_FAILURES = 3
#: What can be sent is sent within seconds.
LATE_SECONDS = 300.0


def failures_by_endpoint(user: Any) -> OverviewTable | None:
    """List those that failed within 24 hours, are paused or were disabled; None for whoever may not see them."""
    if not _may_see(user):
        return None
    # The registry of apps is not full when this module is imported.
    from webhooks.endpoints.status import status_of, when

    failed: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    for lane, number, moment in lane_troubles(conf.QUEUE, timezone.now() - DAY):
        slug = lanes.slug_of(lane)
        failed[slug] += number
        last[slug] = max(moment, last.get(slug, moment))
    unwell = Q(state__failures__gt=0) | Q(state__pauses__gt=0) | ~Q(disabled_reason="")
    endpoints = apps.get_model("webhooks.Endpoint")._default_manager.select_related("state")
    rows, now = [], timezone.now()
    for endpoint in endpoints.filter(Q(slug__in=failed) | unwell):
        slug, status = endpoint.slug, status_of(endpoint, now)
        why = Truncator(" ".join(status.reasons)).chars(LONGEST_WHY)
        latest = when(last[slug]) if slug in last else "–"
        rows.append((Cell(endpoint.name or slug, _page(endpoint.pk)), status.label, failed[slug], latest, why))
    rows.sort(key=lambda row: -row[2])
    headings = (gettext("Endpoint"), gettext("State"), gettext("Failed deliveries"), gettext("Last"), gettext("Why"))
    nothing = gettext("No delivery failed in the last 24 hours, and no endpoint is paused.")
    title = gettext("Failures by endpoint, 24 h")
    return OverviewTable(title, headings, rows[:MOST_ROWS], nothing, is_trouble=bool(rows))


def _may_see(user: Any) -> bool:
    return any(user.has_perm(f"webhooks.{action}_endpoint") for action in ("view", "change"))


def needs(user: Any) -> list[Need]:
    """List the endpoints that are paused, were disabled, or fail again and again, and say if what could be sent is not;
    nothing for whoever may not see endpoints. A few queries, however many endpoints there are."""
    if not _may_see(user):
        return []
    from webhooks.endpoints.status import status_of

    endpoints = apps.get_model("webhooks.Endpoint")._default_manager.select_related("state")
    fails = Q(enabled=True) & (Q(state__failures__gte=MANY_FAILURES) | Q(state__pauses__gt=0))
    unwell = endpoints.filter(fails | Q(enabled=False) & ~Q(disabled_reason="")).order_by("slug")
    rows, now = list(unwell[: MOST_ROWS + 1]), timezone.now()
    found = [_need(endpoint, status_of(endpoint, now)) for endpoint in rows[:MOST_ROWS]]
    if len(rows) > MOST_ROWS:
        more = unwell.count() - MOST_ROWS
        text = ngettext("and %(count)s more endpoint", "and %(count)s more endpoints", more) % {"count": more}
        found.append(Need(text, "", gettext("Look at the endpoints"), _address("webhooks_endpoint_changelist"), more))
    return [*found, *_not_sent()]


def _need(endpoint: Any, status: Any) -> Need:
    why = Truncator(f"{status.words.rstrip('.')}. {' '.join(status.reasons)}").chars(LONGEST_WHY)
    do = gettext("Enable it again") if status.name == "disabled" else gettext("Look at it, and resume it")
    what = gettext("Endpoint %s") % (endpoint.name or endpoint.slug)
    return Need(what, why[:1].upper() + why[1:], do, _page(endpoint.pk))


def late_endpoints() -> list[Any]:
    """Give the endpoints that could be sent to, and are not, although something has been due for them for minutes."""
    from webhooks.endpoints import breaker

    slugs = {lanes.slug_of(lane) for lane in late_lanes(conf.QUEUE, LATE_SECONDS) if not lanes.is_test(lane)}
    # Where an endpoint rests, or is sent to no faster, that is what holds deliveries up.
    endpoints = breaker.endpoints(list(slugs)).values() if slugs else ()
    return [endpoint for endpoint in endpoints if endpoint.enabled and breaker.is_unrestricted(endpoint)]


def _not_sent() -> list[Need]:
    waiting = late_endpoints()
    if not waiting:
        return []
    text = ngettext(
        "Deliveries to %(count)s endpoint that answers have been due for more than five minutes.",
        "Deliveries to %(count)s endpoints that answer have been due for more than five minutes.",
        len(waiting),
    )
    do = gettext("See whether a worker takes the queue %s") % conf.QUEUE
    overview = _address("rules_engine_overview")
    url = f"{overview}#overview-waiting" if overview else ""
    return [Need(gettext("Webhooks"), text % {"count": len(waiting)}, do, url)]


def _page(pk: Any) -> str:
    return _address("webhooks_endpoint_change", pk)


def _address(name: str, *args: Any) -> str:
    try:
        return reverse(f"admin:{name}", args=args)
    except NoReverseMatch:
        return ""
