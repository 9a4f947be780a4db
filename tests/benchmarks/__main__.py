"""Measure the engine beside peers, and print what each goal asks and what was found.

``uv run --group bench python -m tests.benchmarks``, perhaps with ``--only P6,P7``, ``--quick`` or ``--full``, and
``--database sqlite`` or ``postgresql``.

It makes databases of its own and removes them, takes an empty database of Redis, and says which service it did not
find. Nothing else is to run on the machine meanwhile. docs/explanation/performance.md says how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis

from tests import services
from tests.benchmarks import machine, one_database
from tests.benchmarks.goals import BOTH, GOALS, POSTGRESQL, SQLITE
from tests.benchmarks.tables import summary


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measures on each database, in a process each; returns 1 where one of those failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    one_database.options(parser)
    parser.add_argument("--database", choices=(*BOTH, "both"), default="both")
    asked = parser.parse_args(arguments)
    keys = one_database.wanted(asked.only)
    print(machine.line(), flush=True)
    redis_url = own_redis()
    urls = {SQLITE: "sqlite://", POSTGRESQL: services.postgres_url()}
    figures: dict[str, Mapping[str, Mapping[str, float]]] = {}
    failed = False
    for vendor in BOTH if asked.database == "both" else (asked.database,):
        if (url := urls[vendor]) is None:
            print("PostgreSQL was not found; DATABASE_URL may say where it is. What is measured there is left out.")
            continue
        passed_on = ["--only", ",".join(keys), *(f"--{name}" for name in ("quick", "full") if getattr(asked, name))]
        status, figures[vendor] = measured_on(url, redis_url, passed_on)
        failed = failed or bool(status)
    if redis_url:
        # It was empty, and what Celery leaves there would have the next run take another one.
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()
    print(f"\n{summary(GOALS, figures)}\n\n{machine.line()}")
    return int(failed)


def measured_on(url: str, redis_url: str, arguments: Sequence[str]) -> tuple[int, Mapping[str, Mapping[str, float]]]:
    """Run the measures in a process of its own on that database; returns its exit status and the figures."""
    with tempfile.TemporaryDirectory(prefix="signal-rules-benchmarks-") as folder:
        path = Path(folder) / "figures.json"
        environment = {
            **{name: value for name, value in os.environ.items() if name not in ("CELERY_BROKER_URL", "AMQP_URL")},
            "DATABASE_URL": url,
            "REDIS_URL": redis_url,
            "DEMO_VAR": folder,
            "LOG_LEVEL": "WARNING",
            "TEST_DATABASE_NAME": "" if url == "sqlite://" else f"benchmarks_{os.getpid()}",
        }
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.one_database", *arguments]
        status = subprocess.run([*command, "--figures", str(path)], env=environment, check=False).returncode
        return status, json.loads(path.read_text()) if path.exists() else {}


def own_redis() -> str:
    """Return the address of an empty database of the Redis that is there; "" where there is none, which is said."""
    if (url := services.redis_url()) is None:
        print("Redis was not found; REDIS_URL may say where it is. What needs a broker is left out.")
        return ""
    for number in range(15, 0, -1):
        address = f"{url.rsplit('/', 1)[0]}/{number}" if url.count("/") > 2 else f"{url}/{number}"
        with redis.Redis.from_url(address) as client:
            if not client.dbsize():
                return address
    print("Redis has no empty database among 1 to 15. What needs a broker is left out.")
    return ""


if __name__ == "__main__":
    sys.exit(main())
