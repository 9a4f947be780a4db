"""Actions whose effects are lines of files, each line one write, so that no crash can hide or halve one."""

from __future__ import annotations

import datetime
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rules_engine.actions import ActionContext, ActionResult, TransientError
from rules_engine.rules.contract import Action

#: How long an action stands at its gate before it gives up; longer than any test waits.
GATE_SECONDS = 60.0


def note(file: Path, context: ActionContext) -> None:
    """Append who does what for which execution, in one write that other processes' lines cannot break."""
    line = {
        "execution": str(context.execution_id),
        "attempt": context.attempt,
        "pid": os.getpid(),
        "time": time.time(),
        "now": datetime.datetime.now(datetime.UTC).isoformat(),
    }
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, (json.dumps(line) + "\n").encode())
    finally:
        os.close(descriptor)


def stand_at(gate: Path) -> None:
    """Wait until the test makes the file."""
    end = time.monotonic() + GATE_SECONDS
    while not gate.exists():
        if time.monotonic() > end:
            raise TransientError(f"Nobody opened {gate.name}.")
        time.sleep(0.01)


class Probe(Action):
    """The effect is a line in ``ledger``; ``began`` tells the test that it has come to the place it waits for."""

    label = "Probe"
    schema = {
        "type": "object",
        "keys": {
            "folder": {"type": "string", "title": "Folder"},
            "seconds": {"type": "number", "title": "Seconds it takes"},
        },
    }

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        self.act(context, Path(config["folder"]), float(config.get("seconds", 0)))
        return ActionResult(f"attempt {context.attempt}")

    def act(self, context: ActionContext, folder: Path, seconds: float) -> None:
        raise NotImplementedError


class Ledger(Probe):
    """Writes its line, then takes some time before it returns."""

    kind = "probe_ledger"

    def act(self, context: ActionContext, folder: Path, seconds: float) -> None:
        note(folder / "began", context)
        note(folder / "ledger", context)
        time.sleep(seconds)


class ManyLedgers(Ledger):
    """The same, for many at once."""

    kind = "probe_many"

    def run_many(
        self, contexts: Sequence[ActionContext], configs: Sequence[Mapping[str, Any]]
    ) -> Sequence[ActionResult | Exception]:
        return [self.run(context, config) for context, config in zip(contexts, configs, strict=True)]


class Before(Probe):
    """Stands at the gate before its effect."""

    kind = "probe_before"

    def act(self, context: ActionContext, folder: Path, seconds: float) -> None:
        note(folder / "began", context)
        stand_at(folder / "gate")
        note(folder / "ledger", context)


class After(Probe):
    """Stands at the gate between its effect and the record of it."""

    kind = "probe_after"

    def act(self, context: ActionContext, folder: Path, seconds: float) -> None:
        note(folder / "ledger", context)
        note(folder / "began", context)
        stand_at(folder / "gate")


class Crash(Probe):
    """Takes its process down, each time."""

    kind = "probe_crash"

    def act(self, context: ActionContext, folder: Path, seconds: float) -> None:
        note(folder / "crashes", context)
        os.kill(os.getpid(), signal.SIGKILL)


class Flaky(Probe):
    """Fails once, then does its work."""

    kind = "probe_flaky"

    def act(self, context: ActionContext, folder: Path, seconds: float) -> None:
        if context.attempt == 1:
            raise TransientError("not at the first attempt")
        note(folder / "ledger", context)


ACTIONS: tuple[type[Probe], ...] = (Ledger, ManyLedgers, Before, After, Crash, Flaky)
