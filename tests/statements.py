"""The statements that a piece of code makes the database carry out."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

#: Between statements of ours that go to the database in one trip.
BETWEEN = re.compile(r"; (?=INSERT INTO|SELECT|RELEASE)")


def trips_of(work: Callable[[], Any]) -> list[str]:
    """Return what the work sends, as it is sent: one text may be several statements."""
    with CaptureQueriesContext(connection) as queries:
        work()
    return [one["sql"] for one in queries]


def statements_of(work: Callable[[], Any]) -> list[str]:
    """Return the statements that the work comes to, without savepoints."""
    statements = [statement for trip in trips_of(work) for statement in BETWEEN.split(trip)]
    return [statement for statement in statements if not statement.startswith(("SAVEPOINT", "RELEASE"))]
