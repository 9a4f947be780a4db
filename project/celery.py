"""The demo's Celery app: ``celery -A project worker -Q celery,rules,webhooks``."""

from __future__ import annotations

import os

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# What "filesystem://" stands for here; see there why.
TRANSPORT_ALIASES["filesystem"] = "project.broker:Transport"

app = Celery("project")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
