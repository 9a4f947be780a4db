"""The measures on one database: a test database of its own is made, and removed at the end.

``python -m tests.benchmarks`` starts this once for each database, with ``DATABASE_URL`` and ``REDIS_URL`` for it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.goals import GOALS
from tests.benchmarks.tables import Found, of_goal

if TYPE_CHECKING:
    from tests.benchmarks.site import Scale


def set_up() -> None:
    """Set Django up with the settings of the benchmarks, unless a module that is run by itself has done so."""
    from django.apps import apps

    if apps.ready:
        return
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.benchmarks.settings"
    os.environ.setdefault("DEMO_VAR", tempfile.mkdtemp(prefix="signal-rules-benchmarks-"))
    from django.test.utils import setup_test_environment

    # Before an app may open a connection, which would have this process watch the rules of another database.
    setup_test_environment()
    import django

    django.setup()
    django.db.connections.close_all()


def measures() -> Mapping[str, Callable[[Scale], Found]]:
    """Return what measures each goal."""
    from tests.benchmarks import (
        arming,
        backlog,
        bulk,
        looks,
        many_rules,
        monitored,
        on_time,
        saves,
        starts,
        triggers,
        webhooks,
        workers,
    )

    return {
        "P1": saves.unwatched_statements,
        "P2": saves.unwatched_save,
        "P3": saves.nothing_matches,
        "P4": saves.old_value,
        "P5": many_rules.measure,
        "P6": saves.matched,
        "P7": saves.ten_actions,
        "P8": workers.measure,
        "P9": webhooks.goal,
        "P10": saves.beside_peers,
        "P11": starts.measure,
        "P12": backlog.measure,
        "P13": bulk.measure,
        "P14": triggers.measure,
        "P15": looks.measure,
        "P16": on_time.lateness,
        "P17": on_time.run_on_all,
        "P18": arming.measure,
        "P19": monitored.measure,
    }


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options that a run on one database has, too."""
    parser.add_argument("--only", default="", help="the goals to measure, with commas: P6,P7")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and rows: a look, in a few minutes")
    parser.add_argument("--full", action="store_true", help="P12 with 10 million executions")


def wanted(only: str) -> list[str]:
    """Return the goals that are asked for, in their order. Raises ``SystemExit`` for one that there is not."""
    keys = [goal.key for goal in GOALS]
    asked = [part.strip().upper() for part in only.split(",") if part.strip()]
    if unknown := [part for part in asked if part not in keys]:
        raise SystemExit(f"There is no goal {', '.join(unknown)}; there are {', '.join(keys)}.")
    return [key for key in keys if not asked or key in asked]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for, print it, and write the figures where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.one_database", description=__doc__)
    options(parser)
    parser.add_argument("--figures", type=Path, help="a file to write the figures to, as JSON")
    asked = parser.parse_args(arguments)
    keys = wanted(asked.only)
    set_up()
    from django.db import connection
    from django.test.utils import setup_databases, teardown_databases

    from tests.benchmarks import machine
    from tests.benchmarks.site import Scale

    before = setup_databases(verbosity=0, interactive=False)
    figures: dict[str, Mapping[str, float]] = {}
    try:
        print(machine.database_line(), flush=True)
        for goal in (goal for goal in GOALS if goal.key in keys):
            began = time.monotonic()
            found = measures()[goal.key](Scale(quick=asked.quick, full=asked.full))
            figures[goal.key] = found.figures
            took = f"  {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}"
            print(f"\n{of_goal(goal, found, connection.vendor)}\n{took}", flush=True)
            if asked.figures:
                asked.figures.write_text(json.dumps(figures))
    finally:
        teardown_databases(before, verbosity=0)


if __name__ == "__main__":
    main()
