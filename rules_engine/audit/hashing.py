"""What is hashed of an entry and of a seal: SHA-256 over canonical JSON, the same on every database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast

from rules_engine.models import AuditEntry, AuditSeal

#: What is sealed of an entry. A column that is added later is not, or every entry would count as changed.
COLUMNS = (
    *("id", "at", "operation", "model", "object_pk", "object_text", "actor_id", "actor_name"),
    *("request_id", "request_path", "fields", "changes", "note", "rule_slug", "rule_version", "event_id", "created_at"),
)
#: What a row that was written past Django may raise as it is read: text that is no JSON, no time, no number.
UNREADABLE = (ValueError, TypeError, AttributeError, OverflowError, RecursionError)

#: A row's columns, and ``seal``.
Row = Mapping[str, Any]


def digest(content: Any) -> str:
    """Return the SHA-256 of plain data, moments and keys as canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=_text)
    return hashlib.sha256(text.encode()).hexdigest()


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat(timespec="microseconds")
    return str(value)


def entry_hash(row: Row) -> str:
    """Return the hash of an entry as ``rows_of`` reads it."""
    return digest({name: row.get(name) for name in COLUMNS})


def seal_hash(seal: AuditSeal) -> str:
    """Return the hash that a seal should have: of all it says, the last seal's hash included."""
    names = ("number", "sealed_at", "entries", "removed", "reason", "until", "total", "previous")
    return digest({name: getattr(seal, name) for name in names})


def keys_of(entries: QuerySet[AuditEntry], limit: int) -> list[UUID]:
    """Return the keys of the first rows. One that was written past Django and is no key is left out."""
    texts = entries.annotate(key=Cast("pk", CharField(max_length=255))).values_list("key", flat=True)[:limit]
    return [key for text in texts if (key := _key(text)) is not None]


def _key(text: Any) -> UUID | None:
    try:
        return UUID(str(text))
    except ValueError:
        return None


def rows_of(keys: Collection[Any], using: str) -> dict[str, Row]:
    """Return the rows with these keys, by key. One that cannot be read has nothing but its key and its seal."""
    entries = AuditEntry.objects.using(using).filter(pk__in=keys).order_by()
    try:
        return {str(row["id"]): row for row in entries.values(*COLUMNS, "seal")}
    except UNREADABLE:
        return dict(_one_by_one(keys, using))


def _one_by_one(keys: Collection[Any], using: str) -> Iterator[tuple[str, Row]]:
    for key in keys:
        entry = AuditEntry.objects.using(using).filter(pk=key).order_by()
        try:
            row: Row | None = entry.values(*COLUMNS, "seal").first()
        except UNREADABLE:
            row = entry.values("id", "seal").first()
        if row is not None:
            yield str(key), row
