"""``manage.py webhooks_reencrypt``: stored secrets under the first key."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from rules_engine.actions import SettingsError
from webhooks.endpoints.reencryption import reencrypt
from webhooks.errors import MissingExtra


class Command(BaseCommand):
    """Encrypt stored secrets and headers again, with the first of the keys."""

    help = (
        "Encrypts the stored secrets and headers of all endpoints with the first key of "
        'WEBHOOKS["ENCRYPTION_KEYS"] (without any: the one derived from SECRET_KEY), so that older keys can be '
        "removed. Safe while workers send. Exits with 1 where no key opens a value; the others are done."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only count what would be changed.")

    def handle(self, *args: Any, dry_run: bool, **options: Any) -> None:
        """Change, or count. Raises ``CommandError`` where nothing can be encrypted at all."""
        try:
            outcome = reencrypt(dry_run=dry_run)
        except (MissingExtra, SettingsError) as error:
            raise CommandError(str(error)) from None
        done = "would be encrypted again" if dry_run else "encrypted again"
        self.stdout.write(f"{outcome.changed} {done}; {outcome.current} under the first key already.")
        for sentence in outcome.unreadable:
            self.stderr.write(sentence)
        if outcome.unreadable:
            sys.exit(1)
