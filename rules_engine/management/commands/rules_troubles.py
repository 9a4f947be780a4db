"""``manage.py rules_troubles``: looks for trouble as workers do, where there may be none, and tells of it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from rules_engine import conf
from rules_engine.live.breakers.opening import open_breakers
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import counted, shown
from rules_engine.outbox.releasing import release_due
from rules_engine.troubles.signals import names
from rules_engine.work.claims import Claim, worker_name
from rules_engine.work.leases.leasing import lease, rows, unpaused
from rules_engine.work.run import run_claim
from rules_engine.work.troubles.noticing import notice


class Command(TablesCommand):
    """Notices that work is overdue, and that nobody works."""

    help = (
        "Looks whether work is overdue and whether workers are there, tells rules of it once, and says what stands, "
        "rules that are paused by themselves among it. For cron, where no worker may be left to notice."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--send",
            action="store_true",
            help="Carry out in this process what rules do about trouble, such as mails; all else is left to workers.",
        )

    def handle(self, *args: Any, send: bool, **options: Any) -> None:
        """Notice, say, and perhaps carry out."""
        found = notice()
        for trouble in found:
            self.stdout.write(shown(trouble.words))
        slugs = open_breakers()
        for slug in slugs:
            self.stdout.write(f"Paused by itself: the rule {shown(slug)}")
        if not found and not slugs:
            self.stdout.write("No trouble.")
        if send:
            self.stdout.write(f"Carried out {counted(send_what_is_told(), 'execution')}.")


def send_what_is_told() -> int:
    """Carry out what is due of events that are about trouble; returns how many executions that were.

    What a worker has taken is left to it. Raises ``DatabaseError``.
    """
    ran = 0
    # A rule that is held back, as each of the ready template is, has work only once that is decided.
    release_due(signals=names())
    while claim := _claim():
        ran += run_claim(claim)
    return ran


def _claim() -> Claim:
    due = unpaused(rows().due()).filter(event__signal__in=names())
    keys = list(due.order_by("next_attempt_at").values_list("pk", flat=True)[: conf.batch_size()])
    worker = worker_name()
    of_keys = rows().filter(pk__in=keys)
    leased = lease(of_keys, len(keys), worker=worker, lease=conf.lease_seconds()) if keys else []
    return Claim(worker, tuple(leased))
