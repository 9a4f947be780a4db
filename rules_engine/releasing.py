"""Decides held matches: which of them act, and which are held back.

Workers decide, one rule at a time: a counter that savers would have to update is a line that savers would have to wait
in.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import Any

from django.db import connections, models, router, transaction
from django.db.models import Q
from django.db.models.functions import Now

from rules_engine import outbox
from rules_engine.models import HeldMatch, Pause, Rule

#: Matches of one rule decided in one transaction.
BATCH = 200
#: A debounce ends after so many times its wait, however much goes on.
LONGEST_DEBOUNCE = 10

Matches = models.QuerySet[HeldMatch]


def _rows() -> Matches:
    return HeldMatch.objects.using(router.db_for_write(HeldMatch))


def _due() -> Matches:
    return _rows().filter(state=HeldMatch.State.WAITING, due_at__lte=Now())


def is_any_due() -> bool:
    """Whether something waits to be decided that no pause stops."""
    return _next_rule(()) is not None


def release_due(*, seconds: float = float("inf")) -> int:
    """Decide what is due until nothing is, or the time is up. Returns how many matches were decided."""
    end, total = time.monotonic() + seconds, 0
    elsewhere: set[str] = set()
    while time.monotonic() < end and (slug := _next_rule(elsewhere)) is not None:
        decided = _decide_rule(slug)
        if not decided:
            elsewhere.add(slug)  # another worker is at it
        total += decided
    return total


def _next_rule(elsewhere: Collection[str]) -> str | None:
    rows = _due().exclude(rule_slug__in=elsewhere)
    pauses = Pause.objects.using(rows.db)
    if pauses.exists():
        waiting = rows.order_by().values_list("rule_slug", flat=True).distinct()
        paused = pauses.paused_slugs(_models_of(waiting, rows.db).items())
        rows = rows.exclude(rule_slug__in=paused)
    return rows.order_by("due_at").values_list("rule_slug", flat=True).first()


def _models_of(slugs: Collection[str] | Any, using: str) -> dict[str, str]:
    known = dict(Rule.objects.using(using).filter(slug__in=list(slugs)).values_list("slug", "model"))
    return {slug: known.get(slug, "") for slug in slugs}


def _decide_rule(slug: str) -> int:
    using = router.db_for_write(HeldMatch)
    with transaction.atomic(using=using):
        if not _has_turn(slug, using):
            return 0
        is_live = Rule.objects.using(using).filter(slug=slug, enabled=True).exists()
        found = list(_due().filter(rule_slug=slug).select_related("event").order_by("due_at", "id")[:BATCH])
        decision = _Decision(slug, using)
        for match in found:
            if not is_live:
                decision.drop([match], "The rule was disabled or deleted.")
            elif match.pk not in decision.decided:
                decision.decide(match)
        return len(found)


def release_now(slug: str, chosen: Collection[Any], *, reason: str) -> list[HeldMatch]:
    """Carry out what these matches of the rule ask for, whatever the rule would have waited for. Returns those that
    still waited; none where the rule is disabled or deleted."""
    return _by_hand(slug, chosen, reason, is_released=True)


def discard(slug: str, chosen: Collection[Any], *, reason: str) -> list[HeldMatch]:
    """Hold these matches of the rule back for good. Returns those that still waited."""
    return _by_hand(slug, chosen, reason, is_released=False)


def _by_hand(slug: str, chosen: Collection[Any], reason: str, *, is_released: bool) -> list[HeldMatch]:
    using = router.db_for_write(HeldMatch)
    with transaction.atomic(using=using):
        _take_turn(slug, using)
        if is_released and not Rule.objects.using(using).filter(slug=slug, enabled=True).exists():
            return []
        decision = _Decision(slug, using)
        waiting = decision.rows.filter(pk__in=chosen, state=HeldMatch.State.WAITING)
        found = list(waiting.select_related("event").order_by("id"))
        if is_released:
            for match in found:
                decision.release(match, reason)
        else:
            decision.drop(found, reason)
        return found


def _number_of(slug: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"held {slug}".encode(), digest_size=8).digest(), signed=True)


def _take_turn(slug: str, using: str) -> None:
    """Be the one that decides for the rule until the transaction ends, after whoever decides now."""
    connection = connections[using]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_number_of(slug)])


def _has_turn(slug: str, using: str) -> bool:
    """Whether this worker is the one that decides for the rule until it commits. SQLite has one writer anyway."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return True
    number = _number_of(slug)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [number])
        [won] = cursor.fetchone() or [False]
    return bool(won)


class _Decision:
    """What is decided for one rule in one transaction."""

    def __init__(self, slug: str, using: str) -> None:
        self.rows = HeldMatch.objects.using(using).filter(rule_slug=slug)
        self.using = using
        self.decided: set[Any] = set()

    def decide(self, match: HeldMatch) -> None:
        """Release the match, drop it, or leave it to wait on."""
        if match.terms["once"] and self._has_acted_on(match.coalesce_key):
            self.drop([match], "It has acted on this object before.")
            return
        if match.terms["coalesce"] is not None and (match := self._last_of(match)) is None:  # type: ignore[assignment]
            return
        throttle = match.terms["throttle"]
        if throttle is not None and self._is_used_up(match.throttle_key, *throttle):
            count, seconds = throttle
            self.drop([match], f"The rule acts at most {count:,} times in {seconds:,} seconds.")
            return
        self.release(match)

    def _has_acted_on(self, key: str) -> bool:
        released = self.rows.filter(coalesce_key=key, state=HeldMatch.State.RELEASED, terms__once=True)
        return released.exists()

    def _last_of(self, match: HeldMatch) -> HeldMatch | None:
        """The last match of those taken together, the others dropped; None while it is to wait for more."""
        group = self.rows.filter(coalesce_key=match.coalesce_key, state=HeldMatch.State.WAITING)
        *others, last = together = list(group.select_related("event").order_by("id"))
        self.drop(others, "A later match of the same acts in its place.")
        if not match.terms["debounce"]:
            return last
        row = self.rows.filter(pk=last.pk)
        row.update(waits_since=min(one.waits_since for one in together))
        longest = timedelta(seconds=match.terms["coalesce"] * LONGEST_DEBOUNCE)
        return last if row.filter(Q(due_at__lte=Now()) | Q(waits_since__lte=Now() - longest)).exists() else None

    def _is_used_up(self, key: str, count: int, seconds: int) -> bool:
        window = Now() - timedelta(seconds=seconds)
        used = self.rows.filter(throttle_key=key, state=HeldMatch.State.RELEASED, decided_at__gt=window)
        return used.count() >= count

    def drop(self, matches: Sequence[HeldMatch], reason: str) -> None:
        """Hold these back for good, and say why."""
        pks = [match.pk for match in matches]
        self.decided.update(pks)
        if pks:
            waiting = self.rows.filter(pk__in=pks)
            waiting.update(state=HeldMatch.State.DROPPED, reason=reason, decided_at=Now())

    def release(self, match: HeldMatch, reason: str = "") -> None:
        """Hand what the match asks for to the outbox."""
        self.decided.add(match.pk)
        held = self._held_since_last(match)
        self.rows.filter(pk=match.pk).update(state=HeldMatch.State.RELEASED, reason=reason, decided_at=Now())
        outbox.release(match, held, self.using)

    def _held_since_last(self, match: HeldMatch) -> int:
        """How many of the same were held back since one of them acted."""
        if match.terms["coalesce"] is None and match.terms["throttle"] is None:
            return 0
        if match.terms["coalesce"] is not None:
            same = self.rows.filter(coalesce_key=match.coalesce_key)
        else:
            same = self.rows.filter(throttle_key=match.throttle_key)
        # By id, which is in order of time: all that one transaction decides has the same time.
        released = (
            same.filter(state=HeldMatch.State.RELEASED, id__lt=match.pk).order_by("-id").values_list("id").first()
        )
        since = same.filter(state=HeldMatch.State.DROPPED, id__lt=match.pk)
        return (since if released is None else since.filter(id__gt=released[0])).count()
