"""Keeps one ``Schedule`` for each enabled rule on time: from when on what is due acts."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from hashlib import sha256
from typing import Any

from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from rules_engine.databases.uncached import uncached
from rules_engine.live import cache
from rules_engine.models import Armed, Rule, RuleAction, Schedule
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.arms import said_of
from rules_engine.rules.schedules.kinds import kind_of, name_of

#: Of the characters of a digest.
HALF = 32
#: The rule set by which this process armed last.
_armed_for: int | None = None


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
    """Begin with rules that are new or say another thing of time, from now on, and end with those that are off.

    What was due between a rule's being switched off and on again is left out: it was off.
    """
    rules = uncached(Rule.objects.using(using).filter(enabled=True, schedule__isnull=False))
    said = list(rules.values_list("slug", "model", "schedule", "condition", "changes"))
    wanted = {
        slug: digest_of(model, schedule, _said(schedule, condition, changes))
        for slug, model, schedule, condition, changes in said
        if (kind := kind_of(schedule)) is not None and kind.is_by_clock
    }
    staying = {slug for slug, _, schedule, _, _ in said if name_of(schedule) == "stays"}
    rows = Schedule.objects.using(using)
    known = dict(rows.values_list("rule_slug", "digest"))
    if known == wanted:
        return
    with transaction.atomic(using=using):
        _end(known.keys() - wanted.keys(), using)
        for slug in wanted.keys() & known.keys():
            if known[slug] != wanted[slug]:
                if slug in staying and known[slug][HALF:] != wanted[slug][HALF:]:
                    _forget_waiting({slug}, using)
                _begin_anew(slug, wanted[slug], using)
        new = [Schedule(rule_slug=slug, digest=wanted[slug]) for slug in sorted(wanted.keys() - known.keys())]
        # Another process may be arming the same.
        rows.bulk_create(new, ignore_conflicts=True)


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


def _begin_anew(slug: str, digest: str, using: str) -> None:
    # A look that began by the schedule as it was is of a step before, and says nothing any more.
    Schedule.objects.using(using).filter(rule_slug=slug).update(
        digest=digest,
        since=Now(),
        looked_until=None,
        next_look_at=Now(),
        next_wide_at=Now(),
        step=F("step") + 1,
        skipped=0,
        error="",
    )


def keep_armed() -> None:
    """Arm by the rules that this process has, unless it has done so already."""
    global _armed_for
    number = cache.current().number
    if number != _armed_for:
        arm(cache.alias())
        _armed_for = number


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
