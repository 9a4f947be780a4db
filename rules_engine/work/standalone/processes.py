"""Several such processes: begun, begun anew where one dies, and told to end together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import select
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.context import ForkProcess

from rules_engine.work.standalone.stop import Stop

logger = logging.getLogger("rules_engine")

#: Seconds between two looks whether all live.
LOOK_SECONDS = 0.2
#: Seconds until one that died is replaced, doubled each time up to the longest; one that lived longer begins anew.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


@dataclass
class Place:
    """One of the processes, and whoever takes its place."""

    number: int
    process: ForkProcess | None = None
    began: float = 0.0
    pause: float = FIRST_PAUSE
    begin_at: float = 0.0


@dataclass
class Processes:
    """Keeps ``count`` children at ``work`` until it is told to stop. They are forked: nothing may be connected yet."""

    count: int
    work: Callable[[Stop], None]
    stop: Stop
    places: list[Place] = field(default_factory=list)

    def run(self) -> None:
        """Go on until told to stop, and until the children have ended what they had begun."""
        self.places = [Place(number) for number in range(self.count)]
        self._lifeline, self._held = os.pipe()
        while not self.stop.is_asked:
            for place in self.places:
                self._look_after(place)
            select.select([self.stop.file], [], [], LOOK_SECONDS)
        for process in self._living():
            process.terminate()
        for process in self._living():
            process.join()

    def _living(self) -> list[ForkProcess]:
        return [place.process for place in self.places if place.process is not None]

    def _look_after(self, place: Place) -> None:
        now = time.monotonic()
        if place.process is not None and not place.process.is_alive():
            place.pause = FIRST_PAUSE if now - place.began > LONGEST_PAUSE else min(place.pause * 2, LONGEST_PAUSE)
            place.begin_at = now + place.pause
            said = "Process %d of this worker ended (%s); it is replaced in %.1f s. What it had claimed is done again."
            logger.error(said, place.number, _how(place.process.exitcode), place.pause)
            place.process = None
        if place.process is None and now >= place.begin_at:
            place.began = now
            place.process = multiprocessing.get_context("fork").Process(target=self._child)
            place.process.start()

    def _child(self) -> None:
        os.close(self._held)
        stop = Stop()
        # A terminal sends Ctrl-C, and that it is closed, to all at once; the parent then tells the children.
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        stop.listen_to_signals(signal.SIGTERM)
        stop.listen_to_parent(self._lifeline)
        self.work(stop)


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit status {code}"
    names = {known.value: known.name for known in signal.Signals}
    return names.get(-code, f"signal {-code}")  # most real-time signals have no name
