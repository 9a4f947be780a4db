"""Commands that need the engine's tables, and say so in a sentence where those are not there."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, router

from rules_engine.live.migrated import is_migrated
from rules_engine.models import Rule

NOT_MIGRATED = 'The tables of the rules are not here, or not as this release has them: run "manage.py migrate".'


class TablesCommand(BaseCommand):
    """A command of ours. On a database that was not migrated it fails with what to do, and no traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it as Django does. Raises ``CommandError`` where migrations of ours are missing."""
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            if is_migrated(router.db_for_write(Rule)):
                raise
            raise CommandError(NOT_MIGRATED) from error
