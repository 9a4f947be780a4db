"""The demo's settings for an ordeal: the ledger's action and address, and leases that end while one looks."""

from __future__ import annotations

import os

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS += ["rules_engine.testing.faults"]
RULES_ENGINE = {
    "RUNNER": os.environ["ORDEAL_RUNNER"],
    "LEASE_SECONDS": 5.0,
    "SWEEP_SECONDS": 1.0,
    # Nothing else dies as often as what is in an ordeal.
    "MAX_CRASHES": 100,
    "RETRY_SCHEDULE": [0.5] * 20,
}
WEBHOOKS = {
    "ALLOW_HTTP": True,
    "ALLOWED_NETWORKS": ["127.0.0.0/8"],
    "ALLOWED_PORTS": [int(os.environ["ORDEAL_LEDGER_PORT"])],
}
