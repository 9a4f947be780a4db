"""Decides held matches: which of them act, and which are held back.

Workers decide, one rule at a time: a counter that savers would have to update is a line that savers would have to wait
in.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from django.db import models, router, transaction
from django.db.models import Q, Sum
from django.db.models.functions import Now

from rules_engine.databases import database_of
from rules_engine.databases.uncached import reading_current
from rules_engine.logs import outcomes
from rules_engine.models import Event, HeldMatch, Pause, Rule
from rules_engine.models.held import ACTED_BEFORE, RULE_GONE, TAKEN_TOGETHER, TOO_SELDOM, USED_UP
from rules_engine.outbox import counting, writing
from rules_engine.rules.schedules.listed import joined

#: Matches of one rule decided in one transaction.
BATCH = 200
#: A debounce ends after so many times its wait, however much goes on.
LONGEST_DEBOUNCE = 10

Matches = models.QuerySet[HeldMatch]


def _rows() -> Matches:
    return HeldMatch.objects.using(router.db_for_write(HeldMatch))


def due() -> Matches:
    """Return the held matches that wait to be decided."""
    return _rows().filter(state=HeldMatch.State.WAITING, due_at__lte=Now())


def is_any_due() -> bool:
    """Say whether something waits to be decided that no pause stops."""
    return _next_rule(()) is not None


def release_due(*, seconds: float = float("inf"), signals: Collection[str] | None = None) -> int:
    """Decide what is due until nothing is, or the time is up; of ``signals``, those of rules of which something that
    they told is due. Returns how many matches were decided."""
    end, total = time.monotonic() + seconds, 0
    elsewhere: set[str] = set()
    while time.monotonic() < end and (slug := _next_rule(elsewhere, signals)) is not None:
        with reading_current(router.db_for_write(HeldMatch)):
            decided = _decide_rule(slug)
        if not decided:
            elsewhere.add(slug)  # another worker is at it
        total += decided
    return total


def _next_rule(elsewhere: Collection[str], signals: Collection[str] | None = None) -> str | None:
    rows = due().exclude(rule_slug__in=elsewhere)
    if signals is not None:
        rows = rows.filter(event__signal__in=signals)
    first = _rule_of_first(rows)
    if first is None:  # as nearly always, and then no pause matters
        return None
    pauses = Pause.objects.using(rows.db).current()
    if not pauses.exists():
        return first
    waiting = rows.order_by().values_list("rule_slug", flat=True).distinct()
    paused = pauses.paused_slugs(_models_of(waiting, rows.db).items())
    return _rule_of_first(rows.exclude(rule_slug__in=paused))


def _rule_of_first(rows: Matches) -> str | None:
    return rows.order_by("due_at").values_list("rule_slug", flat=True).first()


def _models_of(slugs: Collection[str] | Any, using: str) -> dict[str, str]:
    known = dict(Rule.objects.using(using).filter(slug__in=list(slugs)).values_list("slug", "model"))
    return {slug: known.get(slug, "") for slug in slugs}


def _decide_rule(slug: str) -> int:
    using = router.db_for_write(HeldMatch)
    with transaction.atomic(using=using):
        # One worker decides for a rule at a time, until it commits.
        if not database_of(using).has_turn(_number_of(slug), using):
            return 0
        is_live = Rule.objects.using(using).filter(slug=slug, enabled=True).exists()
        matches = list(due().filter(rule_slug=slug).order_by("due_at", "id")[:BATCH])
        decision = _Decision(slug, using)
        for match in matches:
            if not is_live:
                decision.drop([match.pk], RULE_GONE, stands_for=None)
            elif match.pk not in decision.decided:
                decision.decide(match)
        return len(matches)


def release_now(chosen: Collection[Any], *, reason: str) -> list[HeldMatch]:
    """Carry out what these matches ask for, whatever their rules would have waited for. Returns those that still
    waited, without those of rules that are disabled or deleted."""
    using = router.db_for_write(HeldMatch)
    with transaction.atomic(using=using):
        slugs = _take_turns(chosen, using)
        live = Rule.objects.using(using).filter(slug__in=slugs, enabled=True).values_list("slug", flat=True)
        waiting = _waiting(chosen).filter(rule_slug__in=list(live))
        matches = list(waiting.select_related("event").order_by("rule_slug", "id"))
        decisions = {slug: _Decision(slug, using) for slug in slugs}
        _release([(match, decisions[match.rule_slug].stands_for(match)) for match in matches], reason, using)
        return matches


def discard(chosen: Collection[Any], *, reason: str) -> list[HeldMatch]:
    """Hold these matches back for good. Returns those that still waited."""
    using = router.db_for_write(HeldMatch)
    with transaction.atomic(using=using):
        _take_turns(chosen, using)
        matches = list(_waiting(chosen).select_related("event").order_by("rule_slug", "id"))
        _drop(_rows(), [match.pk for match in matches], reason)
        return matches


def _waiting(chosen: Collection[Any]) -> Matches:
    return _rows().filter(pk__in=chosen, state=HeldMatch.State.WAITING)


def _take_turns(chosen: Collection[Any], using: str) -> list[str]:
    """Be the one that decides for the rules of these matches until the transaction ends. Returns their slugs."""
    slugs = sorted(_rows().filter(pk__in=chosen).order_by().values_list("rule_slug", flat=True).distinct())
    # In one order, so that two people who choose the same do not wait for each other.
    database_of(using).wait_for_turn([_number_of(slug) for slug in slugs], using)
    return slugs


def _release(pairs: Sequence[tuple[HeldMatch, dict[str, int]]], reason: str, using: str) -> None:
    """Hand what the matches ask for to the outbox, with what each stands for."""
    by_count: dict[int, list[Any]] = {}
    for match, held in pairs:
        by_count.setdefault(held["count"] + 1, []).append(match.pk)
    for count, pks in by_count.items():
        row = _rows().using(using).filter(pk__in=pks)
        row.update(state=HeldMatch.State.RELEASED, reason=reason, decided_at=Now(), stands_for=count)
    writing.release(pairs, using)
    if outcomes.logger.isEnabledFor(logging.INFO):
        keys = {match.event_id for match, _held in pairs}
        traces = dict(Event.objects.using(using).filter(pk__in=keys).values_list("pk", "trace"))
        outcomes.after_commit(partial(_tell, pairs, traces), using)


def _tell(pairs: Sequence[tuple[HeldMatch, dict[str, int]]], traces: Mapping[Any, str | None]) -> None:
    for match, held in pairs:
        outcomes.match_released(match, held["count"] + 1, traces.get(match.event_id))


def _drop(rows: Matches, pks: Sequence[Any], reason: str, stands_for: int | None = None) -> None:
    for start in range(0, len(pks), BATCH):
        part = rows.filter(pk__in=pks[start : start + BATCH])
        part.update(state=HeldMatch.State.DROPPED, reason=reason, decided_at=Now(), stands_for=stands_for)


def _number_of(slug: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"held {slug}".encode(), digest_size=8).digest(), signed=True)


class _Decision:
    """What is decided for one rule in one transaction."""

    def __init__(self, slug: str, using: str) -> None:
        self.rows = HeldMatch.objects.using(using).filter(rule_slug=slug)
        self.using = using
        self.decided: set[Any] = set()
        self.used_up: set[str] = set()

    def decide(self, match: HeldMatch) -> None:
        """Release the match, drop it, or leave it to wait on."""
        if match.once_key and self._has_acted_on(match.once_key):
            self.drop([match.pk], ACTED_BEFORE, stands_for=None)
            return
        if match.terms.get("often"):
            self._count(match)
            return
        if match.terms["coalesce"] is not None and (match := self._last_of(match)) is None:  # type: ignore[assignment]
            return
        self._release_unless_used_up(match)

    def _count(self, match: HeldMatch) -> None:
        """Have each group of so many in so long act, hold back those that came too seldom, and leave the others."""
        times, seconds = match.terms["often"]
        window = timedelta(seconds=seconds)
        waiting, now = counting.waiting_of(self.rows, match.coalesce_key)
        if now is None:
            return
        came = counting.counted(waiting, times, window, now)
        for group in came.groups:
            last = counting.last_of(self.rows, group)
            self.drop([pk for _at, pk in group[:-1]], TAKEN_TOGETHER)
            self._release_unless_used_up(last)
        self.drop([pk for _at, pk in came.over], TOO_SELDOM)
        if len(waiting) < counting.MOST_WAITING:
            counting.wait_on(self.rows, [pk for _at, pk in came.waiting], window)
        self.decided.update(pk for _at, pk in waiting)

    def _release_unless_used_up(self, match: HeldMatch) -> None:
        throttle = match.terms["throttle"]
        if throttle is not None and self._is_used_up(match.throttle_key, *throttle):
            count, seconds = throttle
            reason = f"{USED_UP} {count:,} times in {seconds:,} seconds."
            self.drop([match.pk], reason, stands_for=match.stands_for)
            return
        self.release(match)

    def _has_acted_on(self, key: str) -> bool:
        return self.rows.filter(once_key=key, state=HeldMatch.State.RELEASED).exists()

    def _last_of(self, match: HeldMatch) -> HeldMatch | None:
        """Return the last match of those taken together, the others dropped; None while it is to wait for more."""
        group = self.rows.filter(coalesce_key=match.coalesce_key, state=HeldMatch.State.WAITING)
        together = list(group.values_list("created_at", "pk", "waits_since", "stands_for"))
        # By the database's clock first: two servers' own may differ, and ids are made by those.
        _, last_pk, _, _ = max(together)
        self.drop([pk for _, pk, _, _ in together if pk != last_pk], TAKEN_TOGETHER)
        last = self.rows.get(pk=last_pk)
        if len(together) > 1:
            last.waits_since = min(since for _, _, since, _ in together)
            last.stands_for = sum(number or 1 for _, _, _, number in together)
            if last.terms.get("lists"):
                last.terms = {**last.terms, "events": self._events_of([pk for _, pk, _, _ in sorted(together)])}
            last.save(update_fields=["waits_since", "stands_for", "terms"], using=self.using)
        if not match.terms["debounce"]:
            return last
        longest = timedelta(seconds=match.terms["coalesce"] * LONGEST_DEBOUNCE)
        is_over = Q(due_at__lte=Now()) | Q(waits_since__lte=Now() - longest)
        return last if self.rows.filter(is_over, pk=last_pk).exists() else None

    def _events_of(self, pks: Sequence[Any]) -> list[Any]:
        """Return the events of these matches, and of those that they stand for already, to be handed on."""
        rows = {row.pk: row for row in self.rows.filter(pk__in=pks).only("pk", "event_id", "terms")}
        return joined(rows[pk].terms.get("events") or [rows[pk].event_id] for pk in pks)

    def _is_used_up(self, key: str, count: int, seconds: int) -> bool:
        if key not in self.used_up:
            since = Now() - timedelta(seconds=seconds)
            used = self.rows.filter(throttle_key=key, state=HeldMatch.State.RELEASED, decided_at__gt=since)
            if used.count() < count:
                return False
            self.used_up.add(key)
        return True

    def drop(self, pks: Sequence[Any], reason: str, stands_for: int | None = None) -> None:
        """Hold these back for good, and say why. ``stands_for`` are those that the next one to act is to count."""
        self.decided.update(pks)
        _drop(self.rows, pks, reason, stands_for)

    def release(self, match: HeldMatch) -> None:
        """Hand what the match asks for to the outbox."""
        self.decided.add(match.pk)
        _release([(match, self.stands_for(match))], "", self.using)

    def stands_for(self, match: HeldMatch) -> dict[str, int]:
        """Return what the match acts for besides itself, now that it acts."""
        together, throttled = (match.stands_for or 1) - 1, self._throttled_since_last(match)
        return {"count": together + throttled, "together": together, "throttled": throttled}

    def _throttled_since_last(self, match: HeldMatch) -> int:
        """Say how many the throttle has held back that no match which acted has told of; this one does."""
        if match.terms["throttle"] is None:
            return 0
        dropped = self.rows.filter(throttle_key=match.throttle_key, state=HeldMatch.State.DROPPED)
        untold = dropped.filter(stands_for__isnull=False)
        count: int = untold.aggregate(total=Sum("stands_for"))["total"] or 0
        if count:
            untold.update(stands_for=None)
        return count
