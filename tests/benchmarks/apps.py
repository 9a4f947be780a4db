"""The app of the benchmarks: a table, and the receivers that others write by hand."""

from __future__ import annotations

from django.apps import AppConfig


class BenchmarksConfig(AppConfig):
    name = "tests.benchmarks"
    label = "benchmarks"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the receivers."""
        from tests.benchmarks import by_hand, ideal

        by_hand.connect()
        ideal.connect()
