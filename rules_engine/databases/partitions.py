"""PostgreSQL's tables partitioned by time: turning a table into such a one, adding partitions, dropping them.

Rows have keys that begin with their time (``types.new_id``), so a range of keys is a range of time, and the key alone
says which partition a row is in: what asks by key looks at one. Statements only; what is kept is decided above.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import OperationalError, connections, transaction

from rules_engine.errors import RulesEngineError

#: Characters of a name in PostgreSQL.
LONGEST_NAME = 63
#: Seconds for which a lock is waited for with another in hand: less than PostgreSQL's ``deadlock_timeout``, a second.
HAND_SECONDS = 0.3
#: Seconds before the end from which one is waited for all the same: PostgreSQL calls off a VACUUM after a second.
AT_THE_END = 3.0
_BOUNDS = re.compile(r"FROM \((MINVALUE|'[^']+')\) TO \((MAXVALUE|'[^']+')\)")


class NotPartitioned(RulesEngineError):
    """A table that cannot be partitioned; says why."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of a table. ``low`` is its first key and ``high`` the first key after it; None where it has no such
    end. What no other takes is in the one ``is_rest``."""

    name: str
    low: UUID | None
    high: UUID | None
    is_rest: bool = False


def first_key(at: datetime) -> UUID:
    """Return the least key that a row of that moment can have (RFC 9562: milliseconds in the first 48 bits)."""
    return UUID(int=max(0, int(at.timestamp() * 1000)) << 80)


def moment(key: UUID) -> datetime:
    """Return when the rows with that key, or the next greater, are from."""
    return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)


def is_partitioned(table: str, using: str) -> bool:
    """Say whether the table is one that is partitioned."""
    return bool(
        _rows(using, "SELECT 1 FROM pg_partitioned_table WHERE partrelid = %s::regclass", [_quoted(table, using)])
    )


def partitions(table: str, using: str) -> list[Partition]:
    """Return the partitions of a table, the oldest first and the rest last."""
    found = _rows(
        using,
        "SELECT child.relname, pg_get_expr(child.relpartbound, child.oid) FROM pg_inherits"
        " JOIN pg_class child ON child.oid = inhrelid WHERE inhparent = %s::regclass",
        [_quoted(table, using)],
    )
    read = [_partition(name, bound) for name, bound in found]
    return sorted(read, key=lambda partition: (partition.is_rest, partition.high or UUID(int=2**128 - 1)))


def _partition(name: str, bound: str) -> Partition:
    ends = _BOUNDS.search(bound)
    if ends is None:
        return Partition(name, None, None, is_rest=True)
    low, high = (None if end.endswith("VALUE") else UUID(end.strip("'")) for end in ends.groups())
    return Partition(name, low, high)


def size(name: str, using: str) -> tuple[int, int]:
    """Return about how many rows a table has, as its last ANALYZE or VACUUM found, and its bytes with all indexes."""
    [(rows, size)] = _rows(
        using,
        "SELECT greatest(reltuples, 0)::bigint, pg_total_relation_size(oid) FROM pg_class WHERE oid = %s::regclass",
        [_quoted(name, using)],
    )
    return rows, size


@contextmanager
def waiting(seconds: float, using: str) -> Iterator[None]:
    """Make a transaction whose statements wait for a lock so long and no longer, so that nobody waits behind them."""
    with transaction.atomic(using=using):
        _wait_for_locks(seconds, using)
        yield


def lock(table: str, using: str) -> None:
    """Keep everybody else from the table until the transaction ends. Raises ``OperationalError`` where somebody is in
    the way for longer than it may wait."""
    _run(using, f"LOCK TABLE {_quoted(table, using)} IN ACCESS EXCLUSIVE MODE")


def lock_all(tables: Sequence[str], seconds: float, using: str) -> None:
    """Keep everybody else from all these tables until the transaction ends. Raises ``OperationalError`` where somebody
    is in the way for longer than that.

    Whoever has a later one and wants an earlier one would wait for this, and this for them, until PostgreSQL undoes one
    of the two. So with one table in hand this waits a moment for the next, less than PostgreSQL takes to look for a
    deadlock, then lets all go and begins anew. At the end it waits long enough for a VACUUM to be called off.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            with transaction.atomic(using=using):
                for number, table in enumerate(tables):
                    left = max(until - time.monotonic(), 0.001)
                    _wait_for_locks(left if not number or left <= AT_THE_END else HAND_SECONDS, using)
                    lock(table, using)
                _wait_for_locks(seconds, using)
            return
        except OperationalError:
            if time.monotonic() >= until:
                raise


def _wait_for_locks(seconds: float, using: str) -> None:
    _run(using, f"SET LOCAL lock_timeout = {math.ceil(seconds * 1000)}")


def add(table: str, low: UUID, high: UUID, using: str) -> Partition:
    """Add a partition for the keys from ``low`` up to ``high``; what the rest holds of these moves there."""
    name = _name(table, moment(low).strftime("%Y%m%d%H%M"))
    new, parent = _quoted(name, using), _quoted(table, using)
    key = _key(table, using)
    between = f"{key} >= '{low}' AND {key} < '{high}'"
    rest = [partition for partition in partitions(table, using) if partition.is_rest]
    _run(using, f"CREATE TABLE {new} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
    _same_rights(table, name, using)
    for partition in rest:
        taken = f"WITH taken AS (DELETE FROM {_quoted(partition.name, using)} WHERE {between} RETURNING *)"  # noqa: S608
        _run(using, f"{taken} INSERT INTO {new} SELECT * FROM taken")  # noqa: S608 - names of ours, quoted, and UUIDs
    _run(using, f"ALTER TABLE {parent} ATTACH PARTITION {new} FOR VALUES FROM ('{low}') TO ('{high}')")
    return Partition(name, low, high)


def drop(partition: Partition, using: str) -> None:
    """Drop a partition with its rows."""
    _run(using, f"DROP TABLE {_quoted(partition.name, using)}")


def prepare(table: str, key: str, using: str) -> None:
    """Build, while everybody goes on, the indexes that a partitioned table needs and this one lacks.

    Outside of a transaction.
    """
    for constraint in _unique(table, using):
        if key not in constraint.columns:
            name, columns = _quoted(_spare(constraint.name), using), _list([*constraint.columns, key], using)
            _run(using, f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            _run(using, f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {_quoted(table, using)} ({columns})")


def convert(table: str, key: str, boundary: UUID, using: str) -> None:
    """Make of a table one partitioned by that key. All that is there becomes its first partition, up to ``boundary``.

    In a transaction, after ``prepare``; nobody else uses the table meanwhile, while PostgreSQL looks through it. Names
    of indexes and constraints stay the table's, so that later migrations find them. Raises ``NotPartitioned`` where
    something hangs on the table that would not come along.
    """
    lock(table, using)
    if troubles := list(_in_the_way(table, using)):
        raise NotPartitioned(f"{table} cannot be partitioned: {'; '.join(troubles)}.")
    constraints, indexes = _unique(table, using), _indexes(table, using)
    first = _name(table, f"until_{moment(boundary):%Y%m%d%H%M}")
    old, new = _quoted(first, using), _quoted(table, using)
    # A name is one index's in a schema: those of the first partition make room.
    for name, _definition in indexes:
        _run(using, f"ALTER INDEX {_quoted(name, using)} RENAME TO {_quoted(_spare(name), using)}")
    for constraint in constraints:
        name = _quoted(constraint.name, using)
        if key in constraint.columns:
            _run(using, f"ALTER TABLE {new} RENAME CONSTRAINT {name} TO {_quoted(_spare(constraint.name), using)}")
            continue
        _run(using, f"ALTER TABLE {new} DROP CONSTRAINT {name}")
        spare = _quoted(_spare(constraint.name), using)
        _run(using, f"ALTER TABLE {new} ADD CONSTRAINT {spare} {constraint.kind} USING INDEX {spare}")
    counters = _counters(table, using)
    _run(using, f"ALTER TABLE {new} RENAME TO {old}")
    for column, _next in counters:
        _run(using, f"ALTER TABLE {old} ALTER COLUMN {_quoted(column, using)} DROP IDENTITY")
    by = f"PARTITION BY RANGE ({_quoted(key, using)})"
    _run(using, f"CREATE TABLE {new} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS) {by}")
    _same_rights(first, table, using)
    for column, start in counters:
        counted = f"ADD GENERATED BY DEFAULT AS IDENTITY (START WITH {start})"
        _run(using, f"ALTER TABLE {new} ALTER COLUMN {_quoted(column, using)} {counted}")
    for constraint in constraints:
        columns = _list(dict.fromkeys([*constraint.columns, key]), using)
        _run(using, f"ALTER TABLE {new} ADD CONSTRAINT {_quoted(constraint.name, using)} {constraint.kind} ({columns})")
    for _index, definition in indexes:
        _run(using, definition)
    _run(using, f"ALTER TABLE {new} ATTACH PARTITION {old} FOR VALUES FROM (MINVALUE) TO ('{boundary}')")
    rest = _name(table, "rest")
    _run(using, f"CREATE TABLE {_quoted(rest, using)} PARTITION OF {new} DEFAULT")
    _same_rights(table, rest, using)


@dataclass(frozen=True, slots=True)
class _Constraint:
    name: str
    #: ``PRIMARY KEY`` or ``UNIQUE``.
    kind: str
    columns: Sequence[str]


def _unique(table: str, using: str) -> list[_Constraint]:
    found = _rows(
        using,
        "SELECT conname, CASE contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END,"
        " ARRAY(SELECT attname::text FROM unnest(conkey) WITH ORDINALITY AS keys (number, place)"
        " JOIN pg_attribute ON attrelid = conrelid AND attnum = keys.number ORDER BY place)"
        " FROM pg_constraint WHERE conrelid = %s::regclass AND contype IN ('p', 'u') ORDER BY conname",
        [_quoted(table, using)],
    )
    return [_Constraint(*row) for row in found]


def _indexes(table: str, using: str) -> list[tuple[str, str]]:
    """Return the indexes that no constraint made, with the statement that makes each."""
    return _rows(
        using,
        "SELECT relname, pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE indrelid = %s::regclass AND NOT EXISTS (SELECT 1 FROM pg_constraint WHERE conindid = indexrelid)"
        " AND indisvalid AND relname NOT LIKE %s",
        [_quoted(table, using), f"%{SPARE}"],
    )


def _counters(table: str, using: str) -> list[tuple[str, int]]:
    """Return the columns that count by themselves, and what each would give next."""
    columns = _rows(
        using,
        "SELECT attname, pg_get_serial_sequence(%s, attname) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attidentity <> ''",
        [_quoted(table, using), _quoted(table, using)],
    )
    return [(name, _rows(using, f"SELECT nextval('{sequence}')")[0][0]) for name, sequence in columns]


def _in_the_way(table: str, using: str) -> Iterator[str]:
    named = [_quoted(table, using)]
    for what, query in {
        "foreign keys point to it, of": "SELECT conrelid::regclass::text FROM pg_constraint"
        " WHERE confrelid = %s::regclass AND contype = 'f'",
        "it has foreign keys": "SELECT conname FROM pg_constraint WHERE conrelid = %s::regclass AND contype = 'f'",
        "it has triggers": "SELECT tgname FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal",
        "it has policies": "SELECT polname FROM pg_policy WHERE polrelid = %s::regclass",
        "views read it": "SELECT DISTINCT ev_class::regclass::text FROM pg_rewrite"
        " JOIN pg_depend ON objid = pg_rewrite.oid"
        " WHERE refobjid = %s::regclass AND deptype = 'n' AND ev_class <> refobjid",
    }.items():
        if found := [str(name) for (name,) in _rows(using, query, named)]:
            yield f"{what} {', '.join(found)}"


def _same_rights(of: str, to: str, using: str) -> None:
    """Give a table the owner and the rights of another one."""
    [(owner,)] = _rows(
        using, "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass", [_quoted(of, using)]
    )
    rights = _rows(
        using,
        "SELECT CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type"
        " FROM pg_class, aclexplode(relacl) WHERE oid = %s::regclass AND grantee <> relowner",
        [_quoted(of, using)],
    )
    _run(using, f"ALTER TABLE {_quoted(to, using)} OWNER TO {owner}")
    for grantee, right in rights:
        _run(using, f"GRANT {right} ON {_quoted(to, using)} TO {grantee}")


def _key(table: str, using: str) -> str:
    [(key,)] = _rows(
        using,
        "SELECT attname FROM pg_partitioned_table JOIN pg_attribute ON attrelid = partrelid AND attnum = partattrs[0]"
        " WHERE partrelid = %s::regclass",
        [_quoted(table, using)],
    )
    return _quoted(key, using)


#: What the names of indexes end with that have made room for those of the whole table.
SPARE = "_1st"


def _spare(name: str) -> str:
    return f"{name[: LONGEST_NAME - len(SPARE)]}{SPARE}"


def _name(table: str, ending: str) -> str:
    return f"{table[: LONGEST_NAME - 1 - len(ending)]}_{ending}"


def _list(columns: Iterable[str], using: str) -> str:
    return ", ".join(_quoted(column, using) for column in columns)


def _quoted(name: str, using: str) -> str:
    return connections[using].ops.quote_name(name)


def _run(using: str, sql: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(sql)


def _rows(using: str, sql: str, params: Sequence[Any] | None = None) -> list[Any]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall())
