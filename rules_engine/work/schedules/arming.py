"""Keeps one ``Schedule`` for each enabled rule on time and each place where it is looked after: from when on what is
due acts."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from rules_engine.context.paths import find_model
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import uncached
from rules_engine.live import cache
from rules_engine.models import Armed, Rule, RuleAction, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.arms import said_of
from rules_engine.rules.schedules.kinds import kind_of, name_of
from rules_engine.surroundings.listed import HOME, are_listed, places_of
from rules_engine.surroundings.state import functions
from rules_engine.types import Unread, ask

logger = logging.getLogger("rules_engine")

Place = tuple[str, str]
#: Of the characters of a digest.
HALF = 32
#: Seconds after which a process asks the site again which places there are.
LISTED_SECONDS = 60
#: The rule set by which this process armed last, and the time until which the places are still the same for it.
_armed_for: int | None = None
_listed_until = 0.0
#: How many schedules there were then.
_armed = 0


def digest_of(model: str, schedule: Mapping[str, Any], said: str = "") -> str:
    """Return a fingerprint of what a rule says of time: its schedule, and of which model its dates are. Of a rule that
    waits whether something stays so the second half is of what that is (``said_of``)."""
    of_time = _sha([model.lower(), schedule])
    return of_time[:HALF] + _sha(said)[:HALF] if said else of_time


def _sha(told: Any) -> str:
    return sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def digest_of_rule(rule: CompiledRule) -> str:
    """Return the same of a compiled rule without a fault."""
    return digest_of(rule.model, rule.schedule or {}, "" if rule.arms is None else rule.arms.said)


def arm(using: str) -> None:
    """Begin with rules that are new or say another thing of time, and with places that are new, from now on; end with
    those that are off, or gone.

    What was due between a rule's being switched off and on again is left out: it was off.
    """
    global _armed
    rows = Schedule.objects.using(using)
    # Before the site is asked which places there are: what another process has begun since is not ended here.
    known = {(slug, place): digest for slug, place, digest in rows.values_list("rule_slug", "surroundings", "digest")}
    rules = uncached(Rule.objects.using(using).filter(enabled=True, schedule__isnull=False))
    said = list(rules.values_list("slug", "model", "schedule", "condition", "changes", "surroundings"))
    digests = {
        slug: digest_of(model, schedule, _said(schedule, condition, changes))
        for slug, model, schedule, condition, changes, _ in said
        if (kind := kind_of(schedule)) is not None and kind.is_by_clock
    }
    of_all = {slug: model for slug, model, _, _, _, own in said if slug in digests and not own}
    places = dict.fromkeys(digests, frozenset((HOME,))) | dict(_places(of_all, known, using))
    wanted = {(slug, place): digest for slug, digest in digests.items() for place in places[slug]}
    _armed = len(wanted)
    if known == wanted:
        return
    staying = {slug for slug, _, schedule, *_ in said if name_of(schedule) == "stays"}
    with transaction.atomic(using=using):
        ended = known.keys() - wanted.keys()
        _end({slug for slug, _ in ended} - digests.keys(), using)
        _end_places((pair for pair in ended if pair[0] in digests), using)
        changed = {pair[0]: known[pair] for pair in known.keys() & wanted.keys() if known[pair] != wanted[pair]}
        for slug, before in changed.items():
            if slug in staying and before[HALF:] != digests[slug][HALF:]:
                _forget_waiting({slug}, using)
            _begin_anew(slug, digests[slug], using)
        new = [
            Schedule(rule_slug=slug, surroundings=place, digest=digests[slug])
            for slug, place in sorted(wanted.keys() - known.keys())
        ]
        # Another process may be arming the same.
        rows.bulk_create(new, ignore_conflicts=True)


def _places(of_all: Mapping[str, str], known: Iterable[Place], using: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield where each of these rules is looked after, by its model's label. Where the site cannot say which places
    there are, they stay what they were."""
    found: dict[str, frozenset[str] | Unread] = {}
    for slug, label in of_all.items():
        if label not in found:
            found[label] = ask(_listed, label, using)
            if isinstance(told := found[label], Unread):
                logger.error("The surroundings of %s are not told; they stay as they were.", label, exc_info=told.error)
        listed = found[label]
        if isinstance(listed, Unread):
            listed = frozenset(place for of_rule, place in known if of_rule == slug) or frozenset((HOME,))
        yield slug, listed


def _listed(label: str, using: str) -> frozenset[str]:
    with confined(using):
        return places_of(find_model(label) if label else None)


def _said(schedule: Any, condition: Any, changes: Any) -> str:
    if name_of(schedule) != "stays":
        return ""
    return said_of(condition, changes if isinstance(changes, list) else [changes])


def _end(slugs: Collection[str], using: str) -> None:
    """Forget how far these rules were looked after, and what they wait for; not what acted, which is not to again."""
    Schedule.objects.using(using).filter(rule_slug__in=slugs).delete()
    _forget_waiting(slugs, using)


def _forget_waiting(slugs: Collection[str], using: str) -> None:
    """Forget what these rules wait for: what has to stay so is another thing now, and counts from when it is found."""
    Armed.objects.using(using).filter(rule_slug__in=slugs).exclude(state=Armed.State.DONE).delete()


def _end_places(pairs: Iterable[Place], using: str) -> None:
    """Forget how far rules were looked after in places that are no more theirs, as of a tenant that is gone."""
    said = functions()
    by_place: dict[str, list[str]] = {}
    for slug, place in pairs:
        by_place.setdefault(place, []).append(slug)
    for place, slugs in by_place.items():
        Schedule.objects.using(using).filter(rule_slug__in=slugs, surroundings=place).delete()
        kept_as = {place, said.home} if place == HOME and said is not None else {place}
        waiting = Armed.objects.using(using).filter(rule_slug__in=slugs, surroundings__in=kept_as)
        waiting.exclude(state=Armed.State.DONE).delete()


def _begin_anew(slug: str, digest: str, using: str) -> None:
    # A look that began by the schedule as it was is of a step before, and says nothing any more.
    Schedule.objects.using(using).filter(rule_slug=slug).exclude(digest=digest).update(
        digest=digest,
        since=Now(),
        looked_until=None,
        next_look_at=Now(),
        next_wide_at=Now(),
        step=F("step") + 1,
        skipped=0,
        error="",
    )


def how_many() -> int:
    """Return how many schedules there were when this process armed last: of each rule on time, one a place."""
    return _armed


def keep_armed() -> None:
    """Arm by the rules that this process has, and in the places that there are, unless it has done so already."""
    global _armed_for, _listed_until
    number = cache.current().number
    if number != _armed_for or time.monotonic() >= _listed_until:
        arm(cache.alias())
        _armed_for = number
        _listed_until = time.monotonic() + LISTED_SECONDS if are_listed() else float("inf")


def arm_anew() -> None:
    """Have ``keep_armed`` arm again: what is armed is not by the rules that this process has."""
    global _armed_for
    _armed_for = None


def rules_changed(
    using: str | None, instance: Rule | RuleAction | None = None, deleted: bool = False, **_: Any
) -> None:
    """Receive ``models.rule_set.rules_changed``: a rule acts on time from the moment on that it is switched on."""
    using = using or cache.alias()
    if isinstance(instance, RuleAction):
        return
    if isinstance(instance, Rule) and (deleted or not instance.enabled or not instance.schedule):
        _end({instance.slug}, using)
        return
    arm(using)
