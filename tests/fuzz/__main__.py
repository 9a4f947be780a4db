"""``python -m tests.fuzz --minutes 60``: each surface for its part of the time, with figures.

``--surface`` names one; ``--seed`` is another seed than the one made of the clock. What an input needs in the database
is undone after it. Ends with 1 where an input raised, took more than ``--most-seconds`` (1) of the processor, or memory
grew past ``--most-megabytes`` (300 beyond what the process has when the rules are made). By the processor: the clock
also counts what else the machine does in an hour.
"""

from __future__ import annotations

import argparse
import logging
import os
import resource
import sys
import time
from importlib import import_module
from typing import Any

import django

SURFACES = ("conditions", "texts", "packs", "admin_forms", "signals", "middleware")


def main() -> int:
    """Run what the command line asks for. Returns the exit status."""
    asked = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    asked.add_argument("--minutes", type=float, default=6, help="for all surfaces together")
    asked.add_argument("--surface", choices=SURFACES, action="append")
    asked.add_argument("--seed", default=str(int(time.time())))
    asked.add_argument("--most-seconds", type=float, default=1)
    asked.add_argument("--most-megabytes", type=float, default=300)
    options = asked.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    os.environ.setdefault("FUZZ_SEED", options.seed)
    django.setup()
    logging.disable(logging.CRITICAL)
    from django.test.utils import setup_databases, setup_test_environment, teardown_databases

    setup_test_environment()
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        names = options.surface or SURFACES
        return max([_run(name, 60 * options.minutes / len(names), options) for name in names])
    finally:
        teardown_databases(databases, verbosity=0)


def _run(name: str, seconds: float, options: Any) -> int:
    from tests.fuzz.running import chances

    module = import_module(f"tests.fuzz.test_{name}")
    if hasattr(module, "prepare"):
        module.prepare()
    end, begun = time.monotonic() + seconds, _megabytes()
    count, slowest, slow = 0, 0.0, ""
    for each, chance in chances():
        started = time.process_time()
        try:
            module.surface(chance)
        except BaseException:
            print(f"{name}: FUZZ_SEED={each} raised:", file=sys.stderr)
            raise
        count, took = count + 1, time.process_time() - started
        if took > slowest:
            slowest, slow = took, each
        if time.monotonic() > end:
            break
    grown = _megabytes() - begun
    print(
        f"{name}: {count:,} inputs, slowest {slowest:.2f} s ({slow}), peak {_megabytes():.0f} MB, {grown:+.0f} MB",
        flush=True,
    )
    return int(slowest > options.most_seconds or grown > options.most_megabytes)


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


sys.exit(main())
