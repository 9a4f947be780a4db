"""Where a change comes from, as JSON, for whoever tells rules of it later."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rules_engine.context import actor


@dataclass(frozen=True, slots=True)
class KnownActor:
    """Whoever acted, as the row of a change tells it."""

    pk: Any
    username: str
    is_authenticated: bool = True

    def get_username(self) -> str:
        """Return the name."""
        return self.username


def stored_origin(origin: actor.Origin) -> dict[str, Any]:
    """Return it as JSON has it. May load the request's user, as ``Origin.actor`` does."""
    cause = origin.cause
    return {
        "actor": origin.actor(),
        "request": origin.told,
        "is_loading": origin.is_loading,
        "cause": None
        if cause is None
        else {
            "root_id": str(cause.root_id),
            "depth": cause.depth,
            "rule_slug": cause.rule_slug,
            "author_id": cause.author_id,
            "execution_id": str(cause.execution_id) if cause.execution_id else None,
        },
    }


def origin_from(stored: Mapping[str, Any]) -> actor.Origin:
    """Return where a change came from, as it was when it was made."""
    told, cause = stored["actor"], stored["cause"]
    return actor.Origin(
        user=None if told is None else KnownActor(told["id"], told["username"]),
        told=stored["request"],
        is_loading=stored["is_loading"],
        cause=None if cause is None else _cause_of(**cause),
    )


def _cause_of(root_id: str, execution_id: str | None, **others: Any) -> actor.Cause:
    return actor.Cause(
        root_id=uuid.UUID(root_id), execution_id=uuid.UUID(execution_id) if execution_id else None, **others
    )
