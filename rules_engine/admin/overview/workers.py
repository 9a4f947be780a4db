"""Who looks for work and who does it, and when they were last seen."""

from __future__ import annotations

from datetime import datetime

from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext

from rules_engine.admin.overview.moments import ago
from rules_engine.models import Heartbeat
from rules_engine.work.overview import OverviewTable
from rules_engine.work.workers.heartbeats import patience

MOST_HOSTS = 50


def is_anybody_at_work() -> bool:
    """Say whether somebody looked for due work lately. One query."""
    since = timezone.now() - patience()
    return Heartbeat.objects.filter(kind=Heartbeat.Kind.SWEEP, seen_at__gte=since).exists()


def last_seen() -> datetime | None:
    """Say when somebody last looked for due work; None: never."""
    sweeps = Heartbeat.objects.filter(kind=Heartbeat.Kind.SWEEP)
    seen: datetime | None = sweeps.aggregate(seen=Max("seen_at"))["seen"]
    return seen


def workers() -> OverviewTable:
    """The table of them, with what to do where nobody was seen."""
    now, rows, alive = timezone.now(), [], set()
    for heartbeat in Heartbeat.objects.all():
        is_old = now - heartbeat.seen_at > patience()
        if is_old and heartbeat.kind == Heartbeat.Kind.UNTOLD:
            continue  # it has ended, or hears again
        is_silent = is_old and heartbeat.kind == Heartbeat.Kind.SWEEP
        if not is_silent:
            alive.add(heartbeat.kind)
        state = gettext("silent") if is_silent else gettext("seen")
        rows.append((heartbeat.get_kind_display(), heartbeat.host, ago(heartbeat.seen_at, now), state))
    notes = []
    if Heartbeat.Kind.SWEEP not in alive:
        notes.append(
            gettext(
                "No worker was seen lately, so nothing that is due is done. Start one: celery -A yoursite worker -Q "
                "celery,rules,webhooks; or run manage.py rules_sweep, by cron where there is no Celery."
            )
        )
    if Heartbeat.Kind.UNTOLD in alive:
        notes.append(
            gettext(
                "A worker hears nothing of what the database announces, as behind PgBouncer in transaction pooling, "
                'and so begins later: RULES_ENGINE["LISTEN"] has it connect to PostgreSQL itself.'
            )
        )
    headings = (gettext("What it does"), gettext("Host"), gettext("Last seen"), gettext("State"))
    nothing = gettext("None was ever seen.")
    title = gettext("Workers")
    return OverviewTable(title, headings, rows[:MOST_HOSTS], nothing, bool(notes), notes, anchor="workers")
