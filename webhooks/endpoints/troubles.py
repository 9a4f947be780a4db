"""The endpoints that fail, or are not called at all, for the overview page."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext

from rules_engine.sending import Cell, OverviewTable, lane_troubles
from webhooks import conf
from webhooks.models import lanes

MOST_ROWS = 10
LONGEST_WHY = 160
DAY = timedelta(hours=24)


def failures_by_endpoint(user: Any) -> OverviewTable | None:
    """List those that failed within 24 hours, are paused or were disabled; None for whoever may not see them."""
    if not any(user.has_perm(f"webhooks.{action}_endpoint") for action in ("view", "change")):
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


def _page(pk: Any) -> str:
    try:
        return reverse("admin:webhooks_endpoint_change", args=[pk])
    except NoReverseMatch:
        return ""
