"""Settings of a site that gives up soon: two retries, at once."""

from __future__ import annotations

from project.settings import *  # noqa: F403

RULES_ENGINE = {"RETRY_SCHEDULE": [0.2, 0.2], "SWEEP_SECONDS": 0.5}
