"""Commands that need the engine's tables, and say so in a sentence where those are not there."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, router

from rules_engine.live.migrated import is_migrated
from rules_engine.management.terminal import shown
from rules_engine.models import Rule

NOT_MIGRATED = 'The tables of the rules are not here, or not as this release has them: run "manage.py migrate".'


#: Arguments that name files, which may be called by any bytes.
FILES = ("pack", "output", "head")


class TablesCommand(BaseCommand):
    """A command of ours. On a database that was not migrated it fails with what to do, and no traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it as Django does. Raises ``CommandError`` where migrations of ours are missing, and for an argument of
        bytes that are no text."""
        for name, value in options.items():
            for text in value if isinstance(value, list) else [value]:
                if isinstance(text, str) and name not in FILES and not _is_text(text):
                    raise CommandError(f"Expected text in UTF-8, and got {shown(text)}.")
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            if is_migrated(router.db_for_write(Rule)):
                raise
            raise CommandError(NOT_MIGRATED) from error


def _is_text(argument: str) -> bool:
    # Python keeps what it cannot read of a command line as halves of characters, which no database takes.
    return not any("\ud800" <= character <= "\udfff" for character in argument)
