"""The demo's settings for tests: nothing is shared with the demo's ``var/`` or with another run of the tests.

PostgreSQL is the database where one is found; ``DATABASE_URL=sqlite://`` asks for SQLite all the same. A process that
a test starts inherits ``DEMO_VAR``, and so the same broker, cache and media folders.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

from tests import services

if "DEMO_VAR" not in os.environ:
    os.environ["DEMO_VAR"] = tempfile.mkdtemp(prefix="signal-rules-tests-")
    atexit.register(shutil.rmtree, os.environ["DEMO_VAR"], ignore_errors=True)
# What is said of each event would be kept with its objects until a test ends, and takes a tenth of its time.
os.environ.setdefault("LOG_LEVEL", "WARNING")
if worker := os.environ.get("PYTEST_XDIST_WORKER"):
    # One of the processes that a run of all tests is shared out to: a broker, a cache and media of its own.
    os.environ["DEMO_VAR"] = os.path.join(os.environ["DEMO_VAR"], worker)
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    # Each process that tests start would compile Django and Celery anew, which takes it two of its three seconds.
    os.environ["PYTHONPYCACHEPREFIX"] = os.path.join(os.environ["DEMO_VAR"], "pycache")
if "DATABASE_URL" not in os.environ and (found := services.postgres_url()):
    os.environ["DATABASE_URL"] = found

from project.settings import *  # noqa: F403
from project.settings import DATABASES, INSTALLED_APPS, VAR

_database = DATABASES["default"]
if "TEST" not in _database:
    _is_sqlite = _database["ENGINE"].endswith("sqlite3")
    # A file, not memory: a worker process looks at it too.
    _database["TEST"] = {"NAME": str(VAR / "test.sqlite3") if _is_sqlite else f"test_signal_rules_{os.getpid()}"}
if _database["ENGINE"].endswith("postgresql"):
    # A commit does not wait for the disk: a test database need not outlive a crash of its server.
    _database["OPTIONS"] = {**_database.get("OPTIONS", {}), "options": "-c synchronous_commit=off"}
elif _database["ENGINE"].endswith("sqlite3"):
    _database["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS += ["tests.zoo"]
