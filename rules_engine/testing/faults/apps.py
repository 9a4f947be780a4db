"""The app, for the settings of an ordeal: it brings the action that books in the ledger, and no tables."""

from __future__ import annotations

from django.apps import AppConfig


class FaultsConfig(AppConfig):
    """Found by its module in INSTALLED_APPS."""

    name = "rules_engine.testing.faults"
    label = "rules_engine_faults"
    verbose_name = "Faults"
