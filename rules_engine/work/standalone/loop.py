"""One process that carries out what is due, as it is told by the database or finds it when it looks."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field

from django.db import DatabaseError, InterfaceError, close_old_connections, connections, router

from rules_engine import conf
from rules_engine.context.actor import paused
from rules_engine.databases import database_of
from rules_engine.databases.announcing import Listener
from rules_engine.models import Execution, Heartbeat
from rules_engine.models.tallies import counting
from rules_engine.work import tasks
from rules_engine.work.standalone.stop import Stop
from rules_engine.work.workers import heartbeats

logger = logging.getLogger("rules_engine")

HEARS_NOTHING = (
    "This worker hears nothing of what PostgreSQL announces, its own words neither, as behind PgBouncer in transaction "
    "pooling: it looks for new work every %g s instead. Have RULES_ENGINE['LISTEN'] name PostgreSQL itself."
)

#: Seconds between two looks where the database announces nothing: a look is one probe of an index for each queue.
POLL_SECONDS = 0.5
#: Seconds in which an announcement arrives wherever it arrives at all.
HEARING_SECONDS = 3.0
#: Seconds until a database that does not answer is asked again.
PAUSE_SECONDS = 1.0


@dataclass
class Loop:
    """Works on these queues, or on all, until it is told to stop."""

    stop: Stop
    queues: Collection[str] = ()
    using: str = field(default_factory=lambda: router.db_for_write(Execution))
    _listener: Listener | None = None
    #: When to look next for what is due, and for all that a sweep does besides (monotonic).
    _look_at: float = 0.0
    _sweep_at: float = 0.0
    #: Until when something must have been heard, and whether nothing was.
    _hear_by: float = 0.0
    _is_untold: bool = False
    _has_failed: bool = False

    def work(self) -> None:
        """Go on until told to stop. A database that does not answer is asked again, and said once an outage."""
        while not self.stop.is_asked:
            try:
                self._turn()
                self._has_failed = False
            except (DatabaseError, InterfaceError) as error:
                if not self._has_failed:
                    logger.warning("The database does not answer (%s); this worker tries again.", str(error).strip())
                self._has_failed = True
                self._disconnect()
                select.select([self.stop.file], [], [], PAUSE_SECONDS)
        counting.write_at_end()
        self._disconnect()

    def _turn(self) -> None:
        """Wait for something to do, and do it."""
        close_old_connections()
        if self._listener is None:
            # Before the first look, so that nothing is committed between the two.
            self._listener = database_of(self.using).listen(self.using)
            self._look_at = self._sweep_at = 0.0
            self._hear_by = time.monotonic() + HEARING_SECONDS
        seconds = max(0.0, self._look_at - time.monotonic())
        told: Collection[str] = self._listener.wait(seconds, self.stop.file)
        self._tell_whether_it_hears(self._listener.hears)
        if not told and time.monotonic() >= self._look_at:
            told = self._look(_seconds_between_looks(self._listener.hears))
        for queue in sorted(told):
            if (not self.queues or queue in self.queues) and not self.stop.is_asked and tasks.drain_queue(queue):
                # Until nothing is left: of what comes while it works, not all is announced.
                self._look_at = 0.0

    def _tell_whether_it_hears(self, hears: bool) -> None:
        """Say it once where nothing that is announced arrives here, and leave a sign of that as long as it is so."""
        if hears:
            if self._is_untold:
                logger.warning("This worker hears of new work after all.")
            self._is_untold = False
        elif not self._is_untold and time.monotonic() >= self._hear_by and is_told(self.using):
            self._is_untold = True
            logger.warning(HEARS_NOTHING, _seconds_between_looks(hears))
        if self._is_untold:
            with paused():
                heartbeats.beat(Heartbeat.Kind.UNTOLD)

    def _look(self, until_next: float) -> Collection[str]:
        now = time.monotonic()
        self._look_at = now + until_next
        if now >= self._sweep_at:
            self._sweep_at = now + conf.sweep_seconds()
            return tasks.look_for_work()
        with paused():
            return tasks.due_queues()

    def _disconnect(self) -> None:
        if self._listener is not None:
            with suppress(DatabaseError, InterfaceError):  # it is gone already
                self._listener.close()
        self._listener = None
        connections.close_all()


def is_told(using: str) -> bool:
    """Say whether those who save announce new work by the database."""
    return database_of(using).can_announce and conf.runner() == "worker" and conf.hints()


def _seconds_between_looks(hears: bool) -> float:
    return conf.sweep_seconds() if hears else min(POLL_SECONDS, conf.sweep_seconds())
