"""Whether the tables are those of this release."""

from __future__ import annotations

import sys
import time
from typing import Any

from django.db import DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor

APP = "rules_engine"
#: Seconds after which nobody is taken to migrate any more: one that was broken off never says that it ended.
LONGEST_SECONDS = 600.0

_since: float | None = None


def begins(**_sent: Any) -> None:
    """Receive ``pre_migrate``: this process migrates, as the demo and a test runner do beside the command."""
    global _since
    _since = time.monotonic()


def ends(**_sent: Any) -> None:
    """Receive ``post_migrate``."""
    global _since
    _since = None


def is_under_way() -> bool:
    """Say whether this process migrates: whoever does knows that tables are missing."""
    is_asked_for = sys.argv[1:2] == ["migrate"]
    return is_asked_for or (_since is not None and time.monotonic() - _since < LONGEST_SECONDS)


def is_migrated(using: str) -> bool:
    """Say whether all our migrations were applied; also where that cannot be asked, as the database does not answer."""
    try:
        executor = MigrationExecutor(connections[using])
        wanted = [node for node in executor.loader.graph.leaf_nodes() if node[0] == APP]
        return not executor.migration_plan(wanted)
    except DatabaseError:
        return True
