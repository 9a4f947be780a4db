"""Settings of a site that is told of trouble soon: few retries, at once, and breakers that open after little."""

from __future__ import annotations

from project.settings import *  # noqa: F403
from project.settings import RULES_ENGINE as RULES
from project.settings import WEBHOOKS as HOOKS

RULES_ENGINE = {
    **RULES,
    "RETRY_SCHEDULE": [0.1],
    "SWEEP_SECONDS": 0.5,
    "BREAKER": {"in_a_row": 3, "percent": 0, "mail": "both"},
    "MAX_DEPTH": 1,
    "SITE_URL": "https://clinic.example",
}
WEBHOOKS = {**HOOKS, "RETRY_SCHEDULE": [0.1]}
