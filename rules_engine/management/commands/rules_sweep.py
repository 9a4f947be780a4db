"""``manage.py rules_sweep``: does what is due, in this process and without a broker."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Count

from rules_engine import conf
from rules_engine.management.arguments import seconds, whole
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, progress, shown
from rules_engine.models import Execution, Heartbeat
from rules_engine.outbox import hints
from rules_engine.work.leases.leasing import unpaused
from rules_engine.work.queues import drain
from rules_engine.work.schedules.arming import keep_armed
from rules_engine.work.sequence import settle_forgotten
from rules_engine.work.tasks import due_queues, seal, tell_besides
from rules_engine.work.troubles.noticing import notice_if_due
from rules_engine.work.workers.heartbeats import beat


class Command(TablesCommand):
    """Runs what is due until nothing is, or wakes the workers that will."""

    help = (
        "Runs what is due in this process until nothing is, without Celery and its broker. Safe beside workers: "
        "what one has taken is left to it."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--queue", action="append", default=[], help="Only this queue; can be given several times.")
        parser.add_argument("--limit", type=whole, help="Run at most so many executions.")
        parser.add_argument("--seconds", type=seconds, help="Begin none after so many seconds.")
        parser.add_argument("--hint", action="store_true", help="Run nothing; tell Celery's workers what is due.")
        parser.add_argument("--dry-run", action="store_true", help="Only count what is due.")

    def handle(self, *args: Any, queue: list[str], limit: int | None, seconds: float | None, **options: Any) -> None:
        """Count, hint or run."""
        if options["dry_run"]:
            self._count(queue)
        elif options["hint"]:
            self._hint(queue)
        else:
            ran = self._run(queue, limit, seconds)
            left = _due(queue).count()
            self.stdout.write(f"Ran {counted(ran, 'execution')}; {left or 'none'} due now.")

    def _count(self, queues: Sequence[str]) -> None:
        rows = _due(queues).order_by("queue").values_list("queue").annotate(due=Count("pk"))
        for queue, due in rows:
            self.stdout.write(f"{shown(queue)}: {due} due")
        if not rows:
            self.stdout.write("Nothing is due.")

    def _hint(self, queues: Sequence[str]) -> None:
        queues_due = due_queues(*queues)
        for queue in queues_due:
            try:
                hints.send(queue)
            except hints.PUBLISH_ERRORS as error:
                raise CommandError(f"The workers of {queue} cannot be told; the broker fails: {error}.") from error
            self.stdout.write(f"Told the workers of {shown(queue)}.")
        if not queues_due:
            self.stdout.write("Nothing is due.")

    def _run(self, queues: Sequence[str], limit: int | None, seconds: float | None) -> int:
        end = float("inf") if seconds is None else time.monotonic() + seconds
        notice_if_due()
        for kind in (Heartbeat.Kind.SWEEP, Heartbeat.Kind.WORK):
            beat(kind)
        settle_forgotten()
        keep_armed()
        ran = 0
        while limit is None or ran < limit:
            told = tell_besides(seconds=end - time.monotonic())
            batch = conf.batch_size() if limit is None else min(conf.batch_size(), limit - ran)
            # Queue by queue: each may have a sender of its own.
            more = sum(drain(queue, seconds=end - time.monotonic(), limit=batch) for queue in due_queues(*queues))
            if not more and not told:
                break
            ran += more
            progress(self, f"Ran {counted(ran, 'execution')}")
        progress(self, "")
        seal()
        return ran


def _due(queues: Sequence[str]) -> Any:
    rows = unpaused(Execution.objects.due())
    return rows.of_queues(queues) if queues else rows
