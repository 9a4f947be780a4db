"""The tests' settings with the peers that are installed, and a table that each variant sees through a class of its own.

``python -m tests.benchmarks`` says by the environment which database and broker; a worker that it starts is told more:

| variable          | what it sets                                                                          |
|-------------------|---------------------------------------------------------------------------------------|
| BENCH_QUEUE       | the engine's queue: one of a run's own, since a broker may be shared                  |
| BENCH_RUNNER      | who carries out what is due: celery, or worker for ``rules_worker``                   |
| BENCH_KEPT        | 1: Celery keeps a connection for 100,000 tasks; its default closes it around each     |
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from tests.settings import *  # noqa: F403
from tests.settings import DATABASES, INSTALLED_APPS, RULES_ENGINE, VAR

#: Packages that the engine is put beside, by the app that they are.
PEERS = [name for name in ("django_lifecycle", "django_webhook") if find_spec(name)]
if DATABASES["default"]["ENGINE"].endswith("postgresql") and find_spec("pghistory"):
    PEERS.append("pghistory")
    INSTALLED_APPS += ["pgtrigger", "pghistory"]
INSTALLED_APPS = [*INSTALLED_APPS, *(name for name in PEERS if name == "django_webhook"), "tests.benchmarks"]
RULES_ENGINE = {
    **RULES_ENGINE,
    "OLD_VALUES_AT_LOAD": ["benchmarks.unchangedatloadorder", "benchmarks.oneruleatloadorder"],
    "QUEUE": os.environ.get("BENCH_QUEUE", "rules"),
    "RUNNER": os.environ.get("BENCH_RUNNER", "celery"),
}
DJANGO_WEBHOOK = {"MODELS": ["benchmarks.WebhookOrder"]}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # A connection of before the test database is made is closed; one to a database in memory would stay.
    DATABASES["default"]["NAME"] = str(VAR / "before.sqlite3")
    # What a site has, and the demo: a commit does not wait for the disk, a checkpoint does.
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
if os.environ.get("BENCH_KEPT") == "1":
    CELERY_DB_REUSE_MAX = 100_000
LOGGING = {"version": 1, "disable_existing_loggers": False}
