"""What ``autodiscover`` finds in a worker process. The test process registers the same ones for a test at a time."""

from __future__ import annotations

from rules_engine.actions import register_action
from tests.faults.probe_app.actions import ACTIONS

for action in ACTIONS:
    register_action(action)
