"""Notices that work is overdue, and that nobody works: once each, by whoever looks first.

Workers look as they sweep. Where there is none, the site's processes do, once a minute, and ``rules_troubles``.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import IntegrityError, router, transaction
from django.db.models import DateTimeField, Max
from django.db.models.functions import Now
from django.dispatch import Signal

from rules_engine import conf
from rules_engine.databases import database_of
from rules_engine.models import Execution, Heartbeat, Pause, Rule, RuleSetVersion, Trouble
from rules_engine.troubles import telling
from rules_engine.troubles.signals import no_worker_seen, work_overdue
from rules_engine.work.workers.heartbeats import patience

#: Seconds between two looks of a process.
EVERY_SECONDS = 60.0
#: Chains that were stopped are remembered as long, so that each is told once.
CHAINS_STAY = timedelta(days=1)
#: Rows that are late, while some rules are paused: whether one among them is not.
LOOKED_AT = 1_000


class _Turns:
    """Has a process look once in a while, whichever of its threads comes first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked_at = float("-inf")

    def has_come(self) -> bool:
        """Say whether it is time again, to one thread."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at < EVERY_SECONDS:
                return False
            self._looked_at = now
            return True


#: Of sweeps, and of the thread that looks for changed rules. A worker has both, and the latter sees less.
_sweeps, _watcher = _Turns(), _Turns()


class Found(NamedTuple):
    """A trouble that is there: its kind, what it is about, the signal, and what that tells."""

    kind: str
    about: str
    signal: Signal
    facts: dict[str, Any]

    @property
    def words(self) -> str:
        """What it is, in English and for a terminal."""
        told = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        return f"{Trouble.Kind(self.kind).value}: {told}"


def notice_if_due() -> None:
    """``notice``, unless this process looked less than a minute ago. Raises ``DatabaseError``."""
    if _sweeps.has_come():
        notice()


def notice_where_nobody_works() -> None:
    """``notice`` once a minute, by processes that are no workers. Raises ``DatabaseError``."""
    if not _watcher.has_come():
        return
    now = _now(router.db_for_write(Execution))
    if now is not None and any(True for _ in _absence(now)):
        notice()


def notice() -> list[Found]:
    """Tell of the troubles that nobody told of yet, and forget those that are over. Returns all that are there.

    Raises ``DatabaseError``.
    """
    using = router.db_for_write(Execution)
    now = _now(using)
    found = [] if now is None else [*_absence(now), *_overdue(now, using)]
    told = Trouble.objects.using(using)
    known = {(trouble.kind, trouble.about): trouble for trouble in told.exclude(kind=Trouble.Kind.CHAIN)}
    for trouble in found:
        if known.pop((trouble.kind, trouble.about), None) is None:
            tell_once(trouble, using)
    if known:
        told.filter(pk__in=[trouble.pk for trouble in known.values()]).delete()
    told.filter(kind=Trouble.Kind.CHAIN, since__lt=Now() - CHAINS_STAY).delete()
    return found


def tell_once(trouble: Found, using: str) -> bool:
    """Tell of a trouble, unless another process is doing so. Returns whether it was told."""
    try:
        with transaction.atomic(using=using):
            Trouble.objects.using(using).create(kind=trouble.kind, about=trouble.about)
            telling.tell(trouble.signal, using, **trouble.facts)
    except IntegrityError:
        return False
    return True


def _now(using: str) -> datetime | None:
    """The database's clock; None before the first rule."""
    rows = RuleSetVersion.objects.using(using).annotate(now=Now(output_field=DateTimeField()))
    return rows.values_list("now", flat=True).first()


def _absence(now: datetime) -> Iterator[Found]:
    limit = conf.trouble_seconds()
    sweeps = Heartbeat.objects.using(router.db_for_write(Heartbeat)).filter(kind=Heartbeat.Kind.SWEEP)
    seen: datetime | None = sweeps.aggregate(seen=Max("seen_at"))["seen"]
    if seen is not None and seen > now + patience():
        # The database's clock was set back. Whoever is there says so in a moment; of all others it counts from now.
        sweeps.filter(seen_at__gt=now).update(seen_at=now)
        seen = now
    # Where none was ever seen, the site is being set up; what waits there is told as overdue.
    if limit and seen is not None and (now - seen).total_seconds() >= limit:
        facts = {"seconds": int((now - seen).total_seconds()), "since": seen}
        yield Found(Trouble.Kind.NO_WORKER, "", no_worker_seen, facts)


def _overdue(now: datetime, using: str) -> Iterator[Found]:
    """Queues in which something waits that nothing holds up. What has a lane may wait for its receiver."""
    limit = conf.trouble_seconds()
    pauses = list(Pause.objects.using(using).current()) if limit else []
    if not limit or any(pause.is_everything for pause in pauses):
        return
    late = Execution.objects.using(using).live().unleased().filter(lane="")
    late = late.filter(next_attempt_at__lte=now - timedelta(seconds=limit)).order_by("next_attempt_at")
    models = dict(Rule.objects.using(using).values_list("slug", "model")) if pauses else {}
    for queue in database_of(using).due_queues(Execution.objects.using(using).due()):
        oldest = late.filter(queue=queue).values_list("rule_slug", "next_attempt_at")[: LOOKED_AT if pauses else 1]
        free = (due for slug, due in oldest if not any(one.stops(slug, models.get(slug)) for one in pauses))
        due: datetime | None = next(free, None)
        if due is not None:
            facts = {"queue": queue, "seconds": int((now - due).total_seconds()), "since": due}
            yield Found(Trouble.Kind.OVERDUE, queue, work_overdue, facts)


def reset() -> None:
    """Forget when this process looked: for tests, and in a child, for which nobody would let go of a lock."""
    global _sweeps, _watcher
    _sweeps, _watcher = _Turns(), _Turns()


os.register_at_fork(after_in_child=reset)
