"""What used up the limit that held a match back, and when the rule can act again. Reads; never counts anything."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber

from rules_engine.models import HeldMatch
from rules_engine.models.held import ACTED_BEFORE, TAKEN_TOGETHER, USED_UP
from rules_engine.rules.holding import Hold

#: Matches named that used a limit up, the newest; the rest is a number.
NAMED = 3
#: Rows read of all limits of a page together.
MOST_ROWS = 500

#: A limit as rows have it: the rule's slug, and what it counts separately, or says "once" of.
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Use:
    """A match that acted, and so counts: when, and on which object."""

    match: Any
    at: datetime
    model: str = ""
    object_pk: str = ""


@dataclass(frozen=True, slots=True)
class LimitUse:
    """A limit and who used it up. ``next_at`` is when the rule can act again: None, where that is now or is never."""

    #: How often in how many seconds; None for a rule that acts once for each object.
    throttle: tuple[int, int] | None
    key: str = ""
    #: The newest of them first.
    uses: Sequence[Use] = ()
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that decided about some held matches, as they were used then and are now."""

    now: datetime
    #: What used the limit up when a match was held back, by the key of that match.
    used: Mapping[Any, Sequence[Use]] = field(default_factory=dict)
    #: What acted on an object before, by rule and object; what acted in the place of a match, by that one's key.
    once: Mapping[Key, Use] = field(default_factory=dict)
    instead: Mapping[Any, HeldMatch] = field(default_factory=dict)
    #: By limit and by place, from the newest: when a match acted.
    latest: Mapping[Key, Mapping[int, datetime]] = field(default_factory=dict)

    @classmethod
    def of(cls, matches: Sequence[HeldMatch], now: datetime) -> Limits:
        """Read what is to be known of these: four statements at most, however many there are."""
        dropped = [match for match in matches if match.state == HeldMatch.State.DROPPED]
        throttled = [match for match in matches if match.terms.get("throttle") and match.state != "waiting"]
        return cls(
            now,
            used=_used([match for match in dropped if is_used_up(match)]),
            once=_once([match for match in dropped if match.reason == ACTED_BEFORE]),
            instead=_instead([match for match in dropped if match.reason == TAKEN_TOGETHER]),
            latest=_latest(throttled, now),
        )

    def throttle_of(self, match: HeldMatch) -> LimitUse | None:
        """Return the throttle of the match: what used it up where it was held back, and when the rule can act again."""
        if not match.terms.get("throttle"):
            return None
        count, seconds = match.terms["throttle"]
        at = self.latest.get((match.rule_slug, match.throttle_key), {}).get(count)
        again = None if at is None else at + timedelta(seconds=seconds)
        next_at = again if again is not None and again > self.now else None
        return LimitUse((count, seconds), match.throttle_key, self.used.get(match.pk, ()), next_at)

    def once_of(self, match: HeldMatch) -> LimitUse:
        """Return what acted on the object before."""
        use = self.once.get((match.rule_slug, match.once_key))
        return LimitUse(None, match.once_key, [] if use is None else [use])


def is_used_up(match: HeldMatch) -> bool:
    """Say whether a throttle held the match back."""
    return bool(match.terms.get("throttle")) and match.reason.startswith(USED_UP)


def would_hold_back(hold: Hold, slug: str, keys: Mapping[str, str], now: datetime) -> LimitUse | None:
    """Return the limit that would hold a match of the rule back now, by what is on record; None where none would."""
    acted = HeldMatch.objects.filter(rule_slug=slug, state=HeldMatch.State.RELEASED)
    if keys["once_key"]:
        uses = _uses(acted.filter(once_key=keys["once_key"]).order_by("decided_at"), 1)
        if uses:
            return LimitUse(None, keys["once_key"], uses)
    if hold.throttle is None:
        return None
    count, seconds = hold.throttle
    span = timedelta(seconds=seconds)
    counted = acted.filter(throttle_key=keys["throttle_key"], decided_at__gt=now - span).order_by("-decided_at")
    # The one that has to leave the span, so that there is room for another.
    oldest = _uses(counted[count - 1 :], 1)
    if not oldest:
        return None
    return LimitUse(hold.throttle, keys["throttle_key"], _uses(counted, NAMED), oldest[0].at + span)


def _uses(matches: Any, most: int) -> list[Use]:
    rows = matches.values_list("pk", "decided_at", "event__model", "event__object_pk")
    return [Use(*row) for row in rows[:most]]


def _any_of(conditions: Iterable[Q]) -> Q:
    return reduce(or_, conditions, Q(pk__in=[]))


def _used(matches: Sequence[HeldMatch]) -> dict[Any, list[Use]]:
    """Return, by each match that a throttle held back, what counted then."""
    if not matches:
        return {}
    spans = {match.pk: _span(match) for match in matches}
    counted = _any_of(
        Q(rule_slug=match.rule_slug, throttle_key=match.throttle_key)
        & Q(decided_at__gt=spans[match.pk][0], decided_at__lte=spans[match.pk][1])
        for match in matches
    )
    acted = HeldMatch.objects.filter(counted, state=HeldMatch.State.RELEASED).order_by("-decided_at")
    columns = ("rule_slug", "throttle_key", "pk", "decided_at", "event__model", "event__object_pk")
    by_key: dict[Key, list[Use]] = {}
    for slug, key, *use in acted.values_list(*columns)[:MOST_ROWS]:
        by_key.setdefault((slug, key), []).append(Use(*use))
    return {
        match.pk: [
            use
            for use in by_key.get((match.rule_slug, match.throttle_key), ())
            if spans[match.pk][0] < use.at <= spans[match.pk][1]
        ][:NAMED]
        for match in matches
    }


def _span(match: HeldMatch) -> tuple[datetime, datetime]:
    """Return the time of which the throttle counted, when the match was decided."""
    end = match.decided_at or match.created_at
    return end - timedelta(seconds=match.terms["throttle"][1]), end


def _latest(matches: Sequence[HeldMatch], now: datetime) -> dict[Key, dict[int, datetime]]:
    """Return when the limits of these were last used, at the places that decide whether there is room."""
    if not matches:
        return {}
    counts: Collection[int] = {match.terms["throttle"][0] for match in matches}
    keys = {(match.rule_slug, match.throttle_key): match.terms["throttle"][1] for match in matches}
    counted = _any_of(
        Q(rule_slug=slug, throttle_key=key, decided_at__gt=now - timedelta(seconds=seconds))
        for (slug, key), seconds in keys.items()
    )
    place = Window(RowNumber(), partition_by=[F("rule_slug"), F("throttle_key")], order_by=F("decided_at").desc())
    acted = HeldMatch.objects.filter(counted, state=HeldMatch.State.RELEASED).annotate(place=place)
    rows = acted.filter(place__in=counts).order_by()
    latest: dict[Key, dict[int, datetime]] = {}
    for slug, key, number, at in rows.values_list("rule_slug", "throttle_key", "place", "decided_at"):
        if at is not None:
            latest.setdefault((slug, key), {})[number] = at
    return latest


def _once(matches: Sequence[HeldMatch]) -> dict[Key, Use]:
    """Return what acted first on the objects of these."""
    if not matches:
        return {}
    keys = {(match.rule_slug, match.once_key) for match in matches}
    acted = HeldMatch.objects.filter(
        _any_of(Q(rule_slug=slug, once_key=key) for slug, key in keys), state=HeldMatch.State.RELEASED
    )
    columns = ("rule_slug", "once_key", "pk", "decided_at", "event__model", "event__object_pk")
    rows = acted.order_by("-decided_at").values_list(*columns)[:MOST_ROWS]
    return {(slug, key): Use(*use) for slug, key, *use in rows}


def _instead(matches: Sequence[HeldMatch]) -> dict[Any, HeldMatch]:
    """Return, by each match that left its turn to a later one, the one that took it."""
    if not matches:
        return {}
    alike = _any_of(
        Q(rule_slug=match.rule_slug, coalesce_key=match.coalesce_key, created_at__gte=match.created_at)
        for match in matches
    )
    others = HeldMatch.objects.filter(alike).exclude(reason=TAKEN_TOGETHER).order_by("created_at", "pk")
    later = list(others.defer("actions")[:MOST_ROWS])
    return {
        match.pk: found
        for match in matches
        if (found := next((other for other in later if _takes_turn_of(other, match)), None)) is not None
    }


def _takes_turn_of(other: HeldMatch, match: HeldMatch) -> bool:
    return (other.rule_slug, other.coalesce_key) == (match.rule_slug, match.coalesce_key) and (
        other.created_at,
        other.pk,
    ) > (match.created_at, match.pk)
