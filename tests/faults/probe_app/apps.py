"""Lets a test shorten what is not a setting."""

from __future__ import annotations

import os

from django.apps import AppConfig


class ProbeConfig(AppConfig):
    """The probe app, in worker processes only."""

    name = "tests.faults.probe_app"
    label = "probe_app"

    def ready(self) -> None:
        """A drain may be made short, so that a test sees what is left over."""
        from rules_engine.work import tasks

        tasks.DRAIN_SECONDS = float(os.environ.get("PROBE_DRAIN_SECONDS", tasks.DRAIN_SECONDS))
