"""``manage.py rules_prune``: forgets what is older than the retention settings."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from rules_engine import conf
from rules_engine.management.tables import TablesCommand
from rules_engine.management.terminal import progress
from rules_engine.work import retention


class Command(TablesCommand):
    """Removes old records in batches that hold up nobody."""

    help = (
        'Removes events, executions and attempts older than RULES_ENGINE["RETENTION_DAYS"], and audit entries older '
        'than RULES_ENGINE["AUDIT_RETENTION_DAYS"]. What has not ended is kept however old it is. Safe at any time.'
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only count what would be removed.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        """Remove, or count."""
        for what, days in (("Events", conf.retention_days()), ("Audit entries", conf.audit_retention_days())):
            kept = "for ever" if days is None else f"for {days:g} days"
            self.stdout.write(f"{what} are kept {kept}.")
        progress(self, "Looking for old records…")
        counts = retention.prune(dry_run=dry_run)
        progress(self, "")
        for name, count in counts.items():
            self.stdout.write(f"{name}: {count:,} {'would be removed' if dry_run else 'removed'}")
