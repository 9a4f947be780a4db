"""The settings of workers that tests beside django-tenants kill: what they had leased is soon taken over."""

from __future__ import annotations

from tests.tenants.settings import *  # noqa: F403
from tests.tenants.settings import RULES_ENGINE

RULES_ENGINE = {
    **RULES_ENGINE,
    "RUNNER": "worker",
    "LEASE_SECONDS": 2.0,
    "SWEEP_SECONDS": 0.3,
    "RETRY_SCHEDULE": [0.2, 0.2, 0.2],
    "RETRY_JITTER": 0,
}
# Tests make the tables without migrations, which takes a second.
MIGRATION_MODULES = {"rules_engine": None, "webhooks": None}
