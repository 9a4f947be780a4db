"""The demo's settings for worker processes of fault tests: the probe app, and what a test sets."""

from __future__ import annotations

import json
import os

from project.settings import *  # noqa: F403
from project.settings import INSTALLED_APPS

INSTALLED_APPS += ["tests.faults.probe_app.apps.ProbeConfig"]
RULES_ENGINE = json.loads(os.environ["PROBE_RULES_ENGINE"])
WEBHOOKS = json.loads(os.environ["PROBE_WEBHOOKS"])
if RULES_ENGINE["RUNNER"] == "tasks":
    INSTALLED_APPS += ["django_tasks_db"]
    TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": []}}
