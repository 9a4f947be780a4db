"""What the lanes of endpoints are called on the engine's pages, and what an endpoint's deliveries wait for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.apps import apps
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.translation import gettext

from rules_engine.sending import LaneTitle
from webhooks.models import lanes


def titles(user: Any, of_lanes: Collection[str]) -> dict[str, LaneTitle]:
    """Give the titles of these lanes, for whoever may see endpoints. One query."""
    if not any(user.has_perm(f"webhooks.{action}_endpoint") for action in ("view", "change")):
        return {}
    # The registry of apps is not full when this module is imported.
    from webhooks.endpoints.status import status_of

    endpoints = apps.get_model("webhooks.Endpoint")._default_manager.select_related("state")
    by_slug = {each.slug: each for each in endpoints.filter(slug__in={lanes.slug_of(lane) for lane in of_lanes})}
    now = timezone.now()
    may_replay = user.has_perm("webhooks.replay_delivery")
    told = {}
    for lane in of_lanes:
        if (endpoint := by_slug.get(lanes.slug_of(lane))) is None:
            continue
        status = status_of(endpoint, now)
        rests = status.name in ("paused", "waiting", "probing") and not lanes.is_test(lane)
        name = endpoint.name or endpoint.slug
        told[lane] = LaneTitle(
            name,
            _page("change", endpoint),
            heading=gettext("Deliveries to %s") % name,
            waits=gettext("held back by the endpoint: %s") % status.words if rests else "",
            links=_links(endpoint, may_replay),
        )
    return told


def _links(endpoint: Any, may_replay: bool) -> list[tuple[str, str]]:
    links = [(gettext("The endpoint"), _page("change", endpoint))]
    if may_replay:
        links.append((gettext("Replay failed since…"), _page("replay", endpoint)))
    return [(text, url) for text, url in links if url]


def _page(name: str, endpoint: Any) -> str:
    try:
        return reverse(f"admin:webhooks_endpoint_{name}", args=[endpoint.pk])
    except NoReverseMatch:
        return ""
