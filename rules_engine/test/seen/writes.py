"""The ways of writing a row, and by which means each is seen: one table, which a test holds to what really happens.

Signals are what Django sends of what it saves and deletes. *Bulk* is a model whose manager is a ``RulesManager``, or a
block of ``watching_bulk``. Triggers are those of ``rules_triggers``.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from typing import Any, Literal

from django.utils.translation import gettext_lazy as _

Means = Literal["signals", "bulk", "triggers"]
#: What a write is heard as: rules that listen to nothing of it need not see it.
Kind = Literal["create", "update", "delete", "relation"]

ALL: frozenset[Means] = frozenset({"signals", "bulk", "triggers"})
IN_BULK: frozenset[Means] = frozenset({"bulk", "triggers"})
BY_TRIGGERS: frozenset[Means] = frozenset({"triggers"})


@dataclass(frozen=True, slots=True)
class Write:
    """One way of writing: its name, what it is called in words, what it is heard as, and by which means it is seen."""

    name: str
    title: Any
    kinds: Set[Kind]
    by: frozenset[Means]
    #: Where it is seen by no means, although triggers are there: databases by their names in Django.
    unseen_on: frozenset[str] = frozenset()
    #: Whether a block of ``watching_bulk`` sees it, though the model's manager does not.
    is_seen_in_block: bool = False
    #: Where there is no such write at all.
    absent_on: frozenset[str] = frozenset()
    #: Whether it is one of Django's bulk operations, which are named together.
    is_bulk: bool = False


WRITES: tuple[Write, ...] = (
    Write("save", _("save(), create()"), {"create", "update"}, ALL),
    Write("delete", _("delete(), of an object or a queryset"), {"delete"}, ALL),
    Write("relation", _("add(), remove(), set(), clear() of a relation"), {"relation"}, ALL),
    Write("update", _("update() of a queryset"), {"update"}, IN_BULK, is_bulk=True),
    Write("bulk_create", _("bulk_create()"), {"create"}, IN_BULK, is_bulk=True),
    Write("bulk_conflicts", _("bulk_create() with conflicts"), {"create", "update"}, IN_BULK, is_bulk=True),
    Write("bulk_update", _("bulk_update()"), {"update"}, IN_BULK, is_bulk=True),
    Write("set_null", _("a column that a delete empties (SET_NULL)"), {"update"}, BY_TRIGGERS, is_seen_in_block=True),
    Write("cascade", _("rows that the database deletes with others"), {"delete"}, BY_TRIGGERS, frozenset({"mysql"})),
    Write("lost_relation", _("a relation's rows that go with a deleted object"), {"relation"}, BY_TRIGGERS),
    Write("sql", _("raw SQL"), {"create", "update", "delete", "relation"}, BY_TRIGGERS),
    Write("file", _("COPY, LOAD DATA"), {"create", "relation"}, BY_TRIGGERS, absent_on=frozenset({"sqlite"})),
    Write("program", _("other programs"), {"create", "update", "delete", "relation"}, BY_TRIGGERS),
)


def is_seen(write: Write, means: Means, vendor: str) -> bool:
    """Say whether a write is seen by these means on such a database (``connection.vendor``)."""
    return means in write.by and vendor not in write.unseen_on
