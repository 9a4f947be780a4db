"""Whether the tables are those of this release."""

from __future__ import annotations

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

APP = "rules_engine"


def is_migrated(using: str) -> bool:
    """Say whether all our migrations were applied; also where that cannot be asked, as the database does not answer."""
    try:
        executor = MigrationExecutor(connections[using])
        wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
        return not executor.migration_plan(wanted)
    except DatabaseError:
        return True
