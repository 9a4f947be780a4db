"""Time that passes for what waits, without waiting."""

from __future__ import annotations

from django.db.models import F

from rules_engine.models import Execution


def make_due() -> None:
    """Let every action that is to be carried out be so now."""
    Execution.objects.live().update(next_attempt_at=F("created_at"))
