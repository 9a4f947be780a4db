"""What has come so far of what a rule counts, and since when nothing has come of what it waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Count

from rules_engine.capture.by_clock.marking import key_for, placed
from rules_engine.capture.one_rule.telling import Occasion, subject_of
from rules_engine.context import actor
from rules_engine.context.subject import Subject
from rules_engine.errors import Unreadable, not_read
from rules_engine.models import Armed, HeldMatch
from rules_engine.rules import values
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.schedules.happening import often_of
from rules_engine.rules.schedules.kinds import DUE, OF_A_CHANGE, by_of
from rules_engine.test.timed.clock import compiled_at
from rules_engine.types import Path, RuleSpec, Unread

MOST = 20


@dataclass(frozen=True, slots=True)
class Counted:
    """How many matches of how many have come in the last ``seconds``, counted for ``key``, which is empty for all."""

    count: int
    times: int
    seconds: int
    key: str = ""


@dataclass(frozen=True, slots=True)
class Silence:
    """Since when nothing has come, and when the rule acts if that goes on."""

    since: datetime
    due_at: datetime


def counted_now(rule: RuleSpec, now: datetime, most: int = MOST) -> list[Counted]:
    """Return what the rule has counted for each key and not used up yet, the most first."""
    times, seconds = often_of(rule.schedule) or (0, 0)
    by_key = _counting(rule.slug, now, seconds).values("coalesce_key").annotate(count=Count("pk"))
    found = by_key.order_by("-count", "coalesce_key").values_list("coalesce_key", "count")
    return [Counted(count, times, seconds, key) for key, count in found[:most]]


def counted_of(rule: RuleSpec, instance: models.Model, now: datetime) -> Counted:
    """Return what the rule has counted of what that object is counted with. Raises ``Unreadable`` and
    ``TemplateError``."""
    times, seconds = often_of(rule.schedule) or (0, 0)
    hold = compiled_at(rule, now).hold
    if hold is None:
        return Counted(0, times, seconds)
    subject, context = _read(instance, now, hold.reads)
    key = hold.keys(rule.model, subject.event(context), "")["coalesce_key"]
    return Counted(_counting(rule.slug, now, seconds).filter(coalesce_key=key).count(), times, seconds, key)


def _counting(slug: str, now: datetime, seconds: int) -> models.QuerySet[HeldMatch]:
    since = now - timedelta(seconds=seconds)
    return HeldMatch.objects.filter(rule_slug=slug, state=HeldMatch.State.WAITING, created_at__gte=since).order_by()


def last_acted(slug: str, key: str) -> HeldMatch | None:
    """Return the match at which such a rule acted last for that key."""
    acted = HeldMatch.objects.filter(rule_slug=slug, coalesce_key=key, state=HeldMatch.State.RELEASED)
    return acted.order_by("-decided_at").first()


def silence_of(rule: RuleSpec, instance: models.Model, now: datetime) -> Silence | None:
    """Return since when nothing came of what that object is waited for with; None where nothing is waited for. Raises
    as ``counted_of``."""
    compiled = compiled_at(rule, now)
    arms = compiled.arms
    if arms is None:
        return None
    subject, _context = _read(instance, now, arms.by_reads)
    key, _surroundings = placed(key_for(subject, compiled, arms))
    rows = Armed.objects.filter(rule_slug=rule.slug, key=key, holds=True)
    since = rows.order_by("-created_at").values_list("created_at", flat=True).first()
    return None if since is None else Silence(since, since + timedelta(seconds=arms.seconds))


def is_keyed_by_a_change(rule: RuleSpec) -> bool:
    """Say whether only what happens, and not the object, tells what it is counted, or waited for, with."""
    return _is_of_a_change(values.reads(by_of(rule.schedule)))


def is_asked_of_a_change(rule: CompiledRule) -> bool:
    """Say whether the rule's condition cannot be asked of an object of which nothing happens."""
    return rule.condition is not None and _is_of_a_change(rule.reads)


def _is_of_a_change(reads: Iterable[Path]) -> bool:
    return any(path[0] in OF_A_CHANGE for path in reads)


def _read(instance: models.Model, now: datetime, reads: Iterable[Path]) -> tuple[Subject, Mapping[str, Any]]:
    subject = subject_of(instance, Occasion(DUE, now, actor.NOWHERE))
    context = subject.read(reads)
    if isinstance(context, Unread):
        raise Unreadable(not_read(context.error)) from context.error
    return subject, context
