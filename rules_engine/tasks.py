"""Where Celery looks for the tasks of an app; they live in ``work.tasks``."""

from __future__ import annotations

from rules_engine.work.tasks import drain, prune, sweep

__all__ = ["drain", "prune", "sweep"]
