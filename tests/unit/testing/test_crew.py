"""The processes of an ordeal: who ends without being killed is begun anew, and told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from rules_engine.testing.faults.crew import Crew
from rules_engine.testing.faults.waiting import SECONDS


def test_a_worker_that_ended_by_itself_is_begun_anew(tmp_path: Path) -> None:
    crew = Crew(os.environ, tmp_path)
    try:
        ends = crew.add("worker", [sys.executable, "-c", ""])
        stays = crew.add("worker", [sys.executable, "-c", "import time; time.sleep(600)"])
        saves = crew.add("producer", [sys.executable, "-c", ""])  # has saved all it had to
        before = [member.worker for member in (ends, stays, saves)]
        for worker in (before[0], before[2]):
            assert worker is not None
            worker.process.wait(SECONDS)
        assert crew.revive() == ["worker-0"]
        assert ends.worker is not before[0]
        assert [stays.worker, saves.worker] == before[1:]
    finally:
        crew.end()
