"""PostgreSQL: triggers for each statement, over its transition tables.

Their one function runs as its owner, for whoever writes may have no right to our table, and with a search path of its
own. Types of extensions have their operators in schemas that are not on it, and some types have none to compare by:
those are compared as texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Field, Model

from rules_engine.databases import database_of
from rules_engine.databases.triggers.converting import converters_of
from rules_engine.databases.triggers.protocol import Definition, Execute, Saying, Written
from rules_engine.databases.triggers.running import OneByOne, rows_of
from rules_engine.databases.triggers.tables import PREFIX, TableCapture, literal

#: The setting that says where a transaction's changes come from.
ORIGIN = "rules_engine.origin"
SET_ORIGIN = f"SELECT set_config('{ORIGIN}', %s, true)"
#: json_build_object takes a hundred arguments, and a column is two.
MOST_BUILT = 50
#: Rows of one name are those that both transition tables have at the same place: they are filled row by row.
PLACE = "rules_engine_place"
#: Types of pg_catalog that have no equality, or none that tells all differences.
COMPARED_AS_TEXT = frozenset(("json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"))
NOT_FOR_OTHERS = "REVOKE ALL ON FUNCTION {}() FROM PUBLIC"
KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "c": "a type", "S": "a sequence"}

_RELATION = """
    SELECT n.nspname, c.relname, c.relkind, c.relpersistence
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%s)
"""
_COLUMNS = """
    SELECT a.attname, t.typname, n.nspname, coalesce(l.collisdeterministic, true), EXISTS (
        SELECT FROM pg_cast c
        WHERE c.castsource IN (t.oid, t.typbasetype, t.typelem, b.typelem) AND c.casttarget = 'json'::regtype
        AND c.castfunc <> 0
    )
    FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid JOIN pg_namespace n ON n.oid = t.typnamespace
    LEFT JOIN pg_collation l ON l.oid = a.attcollation LEFT JOIN pg_type b ON b.oid = t.typbasetype
    WHERE a.attrelid = to_regclass(%s) AND a.attnum > 0 AND NOT a.attisdropped
"""
_INSTALLED = """
    SELECT tgname FROM pg_trigger
    WHERE tgrelid = to_regclass(%s) AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND starts_with(tgname, %s)
"""


class Relation(NamedTuple):
    """A table as the catalogue has it."""

    schema: str
    name: str
    kind: str
    persistence: str


class PostgreSQLTriggers(OneByOne):
    """Statement triggers of PostgreSQL 14 and later."""

    def file(self, statements: Sequence[str]) -> str:
        """Make it one transaction that waits for no lock for long. See ``Triggers``."""
        return "\n".join(["BEGIN;", "SET LOCAL lock_timeout = '3s';", *(f"{one};" for one in statements), "COMMIT;"])

    def trouble(self, table: str, using: str) -> str | None:
        """See that it is a table that is there and stays. See ``Triggers``."""
        relation = _relation(table, using)
        if relation is None:
            return "there is no such table"
        if relation.kind in KINDS:
            return f"it is {KINDS[relation.kind]}"
        return "it is a temporary table" if relation.persistence == "t" else None

    def definition(self, capture: TableCapture, captured: type[Model], using: str) -> Definition:
        """Return a function, and a trigger for each operation that is captured. See ``Triggers``."""
        table, target = _qualified(capture.table, using), _qualified(captured._meta.db_table, using)
        found = rows_of(_COLUMNS, [connections[using].ops.quote_name(capture.table)], using)
        # As JSON it has another form than it reads: hstore an object, and an array of them a list of such.
        written = frozenset(name for name, *_, has_json in found if has_json)
        body = _body(capture, table, target, _compared_as_text(found), written)
        # What makes it another one than earlier releases made is a part of its name, so that it is made anew.
        name = capture.name(body + NOT_FOR_OTHERS)
        schema = _quoted(_relation_of(captured._meta.db_table, using).schema)
        tag = f"${name}$"
        statements = [
            f"CREATE OR REPLACE FUNCTION {schema}.{_quoted(name)}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER "
            f"SET search_path = pg_catalog, pg_temp AS {tag}{body}{tag}",
            # Asked when a trigger is made with it, not when that fires: nobody is to put it on a table of theirs.
            NOT_FOR_OTHERS.format(f"{schema}.{_quoted(name)}"),
        ]
        names = []
        for letter, event in _events(capture):
            names.append(f"{name}_{letter}")
            statements.append(
                f"CREATE TRIGGER {_quoted(names[-1])} {event % {'table': table}} FOR EACH STATEMENT "
                f"EXECUTE FUNCTION {schema}.{_quoted(name)}()"
            )
        return Definition(statements, names)

    def removal(self, table: str, names: Sequence[str], using: str) -> Sequence[str]:
        """Drop the triggers, then their functions. See ``Triggers``."""
        relation = _relation(table, using)
        dropped = []
        if relation is not None:
            qualified = f"{_quoted(relation.schema)}.{_quoted(relation.name)}"
            dropped = [f"DROP TRIGGER IF EXISTS {_quoted(name)} ON {qualified}" for name in names]
        functions = dict.fromkeys(name.rpartition("_")[0] for name in names)
        schemas = _schemas_of(list(functions), using)
        return [*dropped, *(f"DROP FUNCTION {_quoted(schema)}.{_quoted(name)}()" for schema, name in schemas)]

    def columns(self, table: str, using: str) -> frozenset[str]:
        """Look into the catalogue. See ``Triggers``."""
        return frozenset(row[0] for row in rows_of(_COLUMNS, [connections[using].ops.quote_name(table)], using))

    def installed(self, table: str, using: str) -> frozenset[str]:
        """Look into the catalogue. See ``Triggers``."""
        quoted = connections[using].ops.quote_name(table)
        return frozenset(name for [name] in rows_of(_INSTALLED, [quoted, PREFIX], using))

    @contextmanager
    def patient(self, seconds: float, using: str) -> Iterator[None]:
        """Bound what is waited for each lock in a transaction. See ``Triggers``."""
        with transaction.atomic(using=using):
            self.run([f"SET LOCAL lock_timeout = '{int(seconds * 1_000)}ms'"], using)
            yield

    def values(
        self, model: type[Model], fields: Sequence[Field[Any, Any]], rows: Sequence[Written], using: str
    ) -> Iterator[Sequence[Any]]:
        """Have the database make rows of its table of what the trigger wrote: one statement. See ``Triggers``."""
        connection = connections[using]
        quote = connection.ops.quote_name
        names = ", ".join(f"r.{quote(str(field.column))}" for field in fields)
        table = quote(model._meta.db_table)
        statement = (
            f"SELECT {names} FROM json_array_elements(%s::json) WITH ORDINALITY AS e (data, place), "  # noqa: S608
            f"json_populate_record(NULL::{table}, e.data) AS r ORDER BY e.place"
        )
        convert = converters_of(model, fields, connection)
        for row in rows_of(statement, [f"[{', '.join(rows)}]"], using):
            yield convert(row)

    def saying(self, origin: str, using: str, execute: Execute, arguments: Sequence[Any], said: Saying) -> Any:
        """Set it for the transaction, in one trip with the statement where that can be. See ``Triggers``."""
        connection = connections[using]
        sql, params, many, context = arguments
        if said.is_known:
            return execute(sql, params, many, context)
        if not many and database_of(using).sends_several(using):
            return _in_one_trip(origin, execute, sql, params, context)
        if connection.in_atomic_block or not connection.get_autocommit():
            _set_origin(origin, connection)
            return execute(sql, params, many, context)
        with transaction.atomic(using=using):
            _set_origin(origin, connection)
            return execute(sql, params, many, context)


def _in_one_trip(origin: str, execute: Execute, sql: str, params: Any, context: Any) -> Any:
    said = f"SELECT set_config('{ORIGIN}', {_literal(origin)}, true); "
    # Without parameters nobody looks for their marks.
    done = execute((said if params is None else said.replace("%", "%%")) + sql, params, False, context)
    context["cursor"].cursor.nextset()  # past what set_config answered
    return done


def _literal(text: str) -> str:
    return " E'" + text.replace("\\", "\\\\").replace("'", "''").replace("\x00", "") + "'"


def _set_origin(origin: str, connection: BaseDatabaseWrapper) -> None:
    with connection.cursor() as cursor:
        cursor.execute(SET_ORIGIN, [origin])


def _relation(table: str, using: str) -> Relation | None:
    found = rows_of(_RELATION, [connections[using].ops.quote_name(table)], using)
    return Relation(*found[0]) if found else None


def _relation_of(table: str, using: str) -> Relation:
    relation = _relation(table, using)
    if relation is None:
        raise LookupError(f"There is no table {table}.")
    return relation


def _qualified(table: str, using: str) -> str:
    relation = _relation_of(table, using)
    return f"{_quoted(relation.schema)}.{_quoted(relation.name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _schemas_of(functions: Sequence[str], using: str) -> Sequence[tuple[str, str]]:
    statement = (
        "SELECT n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
        "WHERE p.proname = ANY(%s) AND p.pronargs = 0"
    )
    return [(schema, name) for schema, name in rows_of(statement, [functions], using)]


def _compared_as_text(rows: Sequence[Any]) -> frozenset[str]:
    """Return those of the table's columns that are compared as texts."""
    return frozenset(
        name
        for name, kind, schema, is_deterministic, _ in rows
        if schema != "pg_catalog" or kind.lstrip("_") in COMPARED_AS_TEXT or not is_deterministic
    )


def _events(capture: TableCapture) -> Iterator[tuple[str, str]]:
    """Yield a letter, and when such a trigger fires, for each that the table needs."""
    if capture.inserts:
        yield "i", "AFTER INSERT ON %(table)s REFERENCING NEW TABLE AS rules_new"
    if capture.updates:
        yield "u", "AFTER UPDATE ON %(table)s REFERENCING OLD TABLE AS rules_old NEW TABLE AS rules_new"
    if capture.deletes:
        yield "d", "AFTER DELETE ON %(table)s REFERENCING OLD TABLE AS rules_old"
        yield "t", "BEFORE TRUNCATE ON %(table)s"


def _body(capture: TableCapture, table: str, target: str, as_text: frozenset[str], written: frozenset[str]) -> str:
    """Return what the function does: only the branches of what is captured. The columns of ``written`` are told as the
    texts of their values."""
    branches = []
    old, new, gone = (
        _json(row, columns, written) for row, columns in (("o", capture.old), ("n", capture.new), ("o", capture.gone))
    )
    if capture.inserts:
        told = _insert(capture, target, "create", "n", old="''", new=new)
        branches.append(("INSERT", f"{told} FROM rules_new n"))
    if capture.updates:
        told = _insert(capture, target, "update", "n", old=old, new=new)
        changed = _changed(capture, as_text)
        branches.append(("UPDATE", f"{told} FROM {_pairs(capture)}{changed}"))
    if capture.deletes:
        told = _insert(capture, target, "delete", "o", old=gone, new="''")
        branches.append(("DELETE", f"{told} FROM rules_old o"))
        branches.append(("TRUNCATE", f"{told} FROM {table} o"))
    lines = [f"IF TG_OP = '{event}' THEN\n  {statement};\nEND IF;" for event, statement in branches]
    origin = f"coalesce(nullif(current_setting('{ORIGIN}', true), ''), "
    origin += "json_build_object('database_user', session_user)::text)"
    return "\nDECLARE rules_origin text := {};\nBEGIN\n{}\nRETURN NULL;\nEND\n".format(origin, "\n".join(lines))


def _insert(capture: TableCapture, target: str, operation: str, row: str, *, old: str, new: str) -> str:
    key = " || ',' || ".join(f"{row}.{_quoted(column)}::text" for column in capture.keys)
    return (
        f"INSERT INTO {target} (model, operation, object_pk, old, new, origin, captured_at) "
        f"SELECT {literal(capture.label)}, '{operation}', left({key}, 255), {old}, {new}, rules_origin, "
        "statement_timestamp()"
    )


def _pairs(capture: TableCapture) -> str:
    """Return the rows before and after an update, side by side: by their places, for a key may change."""
    looked_at = {column for columns in capture.updates for column in columns}
    sides = []
    for table, name, columns in (
        ("rules_old", "o", {*capture.old, *looked_at}),
        ("rules_new", "n", {*capture.new, *looked_at, *capture.keys}),
    ):
        listed = "".join(f", {_quoted(column)}" for column in sorted(columns))
        sides.append(f"(SELECT row_number() OVER () AS {PLACE}{listed} FROM {table}) {name}")  # noqa: S608
    return f"{sides[0]} JOIN {sides[1]} ON o.{PLACE} = n.{PLACE}"


def _changed(capture: TableCapture, as_text: frozenset[str]) -> str:
    """Return the condition of an update; nothing where every one is captured."""
    if any(not columns for columns in capture.updates):
        return ""
    ways = [" AND ".join(_differs(column, column in as_text) for column in columns) for columns in capture.updates]
    return f" WHERE {' OR '.join(f'({way})' for way in ways)}"


def _differs(column: str, as_text: bool) -> str:
    cast = "::text" if as_text else ""
    return f"o.{_quoted(column)}{cast} IS DISTINCT FROM n.{_quoted(column)}{cast}"


def _json(row: str, columns: Sequence[str], written: frozenset[str]) -> str:
    """Return the JSON of these columns of a row, as a text."""
    values = {
        column: f"{row}.{_quoted(column)}{'::text' if column in written else ''}" for column in dict.fromkeys(columns)
    }
    if len(columns) > MOST_BUILT:
        listed = ", ".join(f"{value} AS {_quoted(column)}" for column, value in values.items())
        return f"(SELECT row_to_json(r)::text FROM (SELECT {listed}) r)"  # noqa: S608
    pairs = ", ".join(f"{literal(column)}, {value}" for column, value in values.items())
    return f"json_build_object({pairs})::text"
