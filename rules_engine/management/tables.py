"""Commands that need the engine's tables, and say so in a sentence where those are not there."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connections, router
from django.db.migrations.executor import MigrationExecutor

from rules_engine.models import Rule


class TablesCommand(BaseCommand):
    """A command of ours. On a database that was not migrated it fails with what to do, and no traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Run it as Django does. Raises ``CommandError`` where migrations of ours are missing."""
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            if is_migrated(router.db_for_write(Rule)):
                raise
            message = 'The tables of the rules are not here, or not as this release has them: run "manage.py migrate".'
            raise CommandError(message) from error


def is_migrated(using: str) -> bool:
    """Say whether all our migrations were applied; also where that cannot be asked, as the database does not answer."""
    try:
        executor = MigrationExecutor(connections[using])
        wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == "rules_engine"]
        return not executor.migration_plan(wanted)
    except DatabaseError:
        return True
