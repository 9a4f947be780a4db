"""What went wrong where rules are told of a change and nobody may be hurt by it: logged, and put on record later.

What cannot be recorded is mostly what keeps from recording: a disk that is full, a table that is not there yet. So it
is counted in the process, and written down as soon as the database takes it, by the thread that looks for changed
rules.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime

from django.db import router
from django.utils import timezone
from django.utils.translation import ngettext

from rules_engine.context.snapshot import clean_text
from rules_engine.models import RuleError
from rules_engine.models.tallies import counting

logger = logging.getLogger("rules_engine")

#: Seconds in which one traceback of a kind of error stands for all of them: a full disk fails every save alike.
QUIET_SECONDS = 60.0
#: Kinds that are remembered; of more, all are told anew.
MOST_KINDS = 1_000
#: Characters of an error that are kept.
LONGEST = 500


@dataclass
class Faults:
    """The faults of this process. ``unreported`` are those that are on no record yet."""

    total: int = 0
    unreported: int = 0
    since: datetime | None = None
    last: str = ""
    #: By what is alike: when one was last logged with its traceback (monotonic), and how many have come since.
    _told: dict[tuple[str, ...], tuple[float, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, error: Exception, message: str, *values: object) -> None:
        """Count a fault and log it: with its traceback, unless one of its type was a moment ago."""
        with self._lock:
            self.total += 1
            self.unreported += 1
            self.since = self.since or timezone.now()
            self.last = f"{type(error).__name__}: {error}"[:LONGEST]
        counting.add("rules_engine_faults")
        self.log((type(error).__name__,), error, message, *values)

    def log(self, kind: tuple[str, ...], error: BaseException, message: str, *values: object) -> None:
        """Log an error that is on record elsewhere: with its traceback, unless one of its kind was a moment ago."""
        with self._lock:
            at, more = self._told.get(kind, (float("-inf"), 0))
            is_quiet = time.monotonic() - at < QUIET_SECONDS
            if not is_quiet and len(self._told) >= MOST_KINDS:
                self._told.clear()
            self._told[kind] = (at, more + 1) if is_quiet else (time.monotonic(), 0)
        if is_quiet:
            return
        if more:
            logger.error("%s more errors like the next one came within a minute of the last that was told.", more)
        logger.error(message, *values, exc_info=error)

    def report(self) -> None:
        """Write down what is on no record yet, on this thread's connection. Raises ``DatabaseError``."""
        with self._lock:
            count, since, last = self.unreported, self.since, self.last
        if not count or since is None:
            return
        message = ngettext(
            "Since %(since)s %(count)s change was made that rules could not be told of, or whose matches could not be "
            "written, in process %(pid)s on %(host)s. The last error: %(error)s",
            "Since %(since)s %(count)s changes were made that rules could not be told of, or whose matches could not "
            "be written, in process %(pid)s on %(host)s. The last error: %(error)s",
            count,
        )
        said = {"count": count, "since": since.isoformat(timespec="seconds"), "pid": os.getpid(), "error": last}
        message %= {**said, "host": socket.gethostname()[:100]}
        using = router.db_for_write(RuleError)
        RuleError.objects.using(using).create(rule_slug="", rule_version=0, message=clean_text(message))
        with self._lock:
            self.unreported -= count
            self.since = timezone.now() if self.unreported else None


def _after_fork() -> None:
    # What the parent counted, the parent tells.
    of_process.__init__()  # type: ignore[misc]


of_process = Faults()
os.register_at_fork(after_in_child=_after_fork)
