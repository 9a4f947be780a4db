"""``QuerySet.update``, told to the rules row by row.

The rows are locked and their columns read as far as rules ask for them, by one SELECT; then the statement is carried
out as it is. Of rows that a rule can match (``screening``) the objects are read as they are stored by then, and told as
if each had been saved with these ``update_fields``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db import connections, models, transaction
from django.utils import timezone
from django.utils.translation import gettext

from rules_engine.capture import receiver
from rules_engine.capture.bulk import telling
from rules_engine.capture.bulk.driver_values import DriverValues, Row
from rules_engine.capture.bulk.hearing import Hearing, hearing_of, told_already
from rules_engine.capture.bulk.locking import ask_locking
from rules_engine.capture.bulk.screening import Heard, Screen, safe_form
from rules_engine.capture.bulk.telling import Own
from rules_engine.capture.bulk.unique import unique_of
from rules_engine.capture.watches import Reading, columns_read
from rules_engine.context.columns import with_generated
from rules_engine.context.paths import ModelClass
from rules_engine.context.stored_form import column_value
from rules_engine.context.subject import Field
from rules_engine.databases import database_of
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.errors import RulesEngineError
from rules_engine.live.plan import UNSETTLED
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import Unread, ask

#: Rows that the database hands over at a time.
CHUNK = 2_000
#: Numbers from the first key to the last, to a key, up to which rows are read by the first and the last.
DENSE = 3


class RowsNotFollowed(RulesEngineError):
    """A statement of which it cannot be said which row became which."""


class _RowsMoved(Exception):
    """The statement found other rows than were locked before it."""


class _NotLocked(Exception):
    """The rows could not be read, and so not be locked."""

    def __init__(self, unread: Unread) -> None:
        super().__init__(unread)
        self.unread = unread


@dataclass(frozen=True, slots=True)
class Write:
    """What a statement writes, and what rules ask about it."""

    written: frozenset[str]
    heard: Sequence[Heard]
    #: The columns that are told as what was there; they come first of those that are read before.
    old: Mapping[str, Field]
    screen: Screen
    rules: Sequence[CompiledRule] = ()
    writes_key: bool = False
    #: Whether other rows may point to what is written.
    writes_unique: bool = False


@dataclass(slots=True)
class Locked:
    """The rows that a statement is about: their number, and those that rules can match, as they were, by their keys."""

    count: int = 0
    before: dict[Any, Row] = field(default_factory=dict)


def update(rows: models.QuerySet[Any], own: Own, values: Mapping[str, Any]) -> int:
    """Carry out an update by ``own``, and tell the rules of each row. Returns the number of rows.

    Raises what ``own`` raises, ``Rejected`` where a rule does not allow it for one of the rows, and ``ChangeUndone``.
    """
    hearing = hearing_of(rows)
    if hearing is None or rows.query.is_sliced or rows.query.combinator:
        return _carried_out(own, values, hearing)
    try:
        write = _write_of(hearing, values)
    except FieldDoesNotExist:
        write = None
    if write is None:
        return _carried_out(own, values, hearing)
    with telling.as_one(hearing, write.rules):
        count, locked = _written(rows, own, values, hearing, write)
        heard = [(one.signal, one.rules) for one in write.heard]
        if isinstance(locked, Unread):
            telling.tell_unread(hearing, heard, "update", locked.error)
        else:
            telling.tell(hearing, _readings(hearing, write, locked), heard, "update")
    return count


def _carried_out(own: Own, values: Mapping[str, Any], hearing: Hearing | None = None) -> int:
    with told_already(hearing.table.number if hearing is not None else None):
        count: int = own(**values)
    return count


def _write_of(hearing: Hearing, values: Mapping[str, Any]) -> Write | None:
    """Return what is written; None where no rule can match that. Raises ``FieldDoesNotExist``."""
    watch, model = hearing.watch, hearing.watch.model
    fields = {_field_of(model, name): value for name, value in values.items()}
    written = with_generated(model, frozenset(column.name for column in fields))
    constants = {}
    for column, value in fields.items():
        told = UNSETTLED if hasattr(value, "resolve_expression") else ask(_stored_form, column, value)
        if told is not UNSETTLED and not isinstance(told, Unread):
            constants[column.attname] = told

    def value_of(name: str) -> Any:
        return constants.get(name, UNSETTLED)

    heard = []
    for signal in hearing.signals:
        if (plan := watch.plans.get(signal)) is not None:
            rules = [rule for rule in plan.possible(value_of, written) if _hears_updates(rule)]
            heard += [Heard(signal, plan, rules)] if rules else []
    if not heard:
        return None
    rules = [rule for one in heard for rule in one.rules]
    wants_old = any(one.plan.wants_old(value_of, written) for one in heard)
    old = watch.old if wants_old else {}
    # What actions read is read of the objects that a rule may match.
    columns = {**old, **columns_read(model, [replace(rule, action_reads=frozenset()) for rule in rules])}
    for one in heard:
        columns.update(one.plan.columns())
    opened = {name: column for name, column in columns.items() if column.name in written and name not in constants}
    before, after = (DriverValues(model, some, hearing.using) for some in (columns, opened))
    screen = Screen(watch, heard, before, constants, after, written)
    keys = getattr(model._meta, "pk_fields", ())
    writes_key = any(column.primary_key or column in keys for column in fields)
    writes_unique = any(column.name in written for columns in unique_of(model) for column in columns)
    return Write(written, heard, old, screen, rules, writes_key, writes_unique)


def _field_of(model: ModelClass, name: str) -> Field:
    found = model._meta.get_field(name)
    if not isinstance(found, models.Field) or not found.concrete:
        raise FieldDoesNotExist(name)  # which Django says in its own words
    return found


def _stored_form(column: Field, value: Any) -> Any:
    if isinstance(value, models.Model) and isinstance(column, models.ForeignKey):
        value = getattr(value, column.target_field.attname)
    return column_value(column, value)


def _hears_updates(rule: CompiledRule) -> bool:
    return not rule.operations or "update" in rule.operations


def _written(
    rows: models.QuerySet[Any], own: Own, values: Mapping[str, Any], hearing: Hearing, write: Write
) -> tuple[int, Locked | Unread]:
    """Carry the statement out. Returns the number of its rows, and those that rules can match; or what keeps from
    saying which these are."""
    using = hearing.using
    if using != hearing.table.alias:
        error = receiver.stored_elsewhere(hearing.watch.model, using, hearing.table.alias)
        return _carried_out(own, values, hearing), Unread(error)
    if write.writes_key:
        message = gettext("A bulk write gave its rows another key, and so it cannot be said which row is which.")
        return _carried_out(own, values, hearing), Unread(RowsNotFollowed(message))
    if not connections[using].features.has_select_for_update:
        locked = ask_locking(using, _locked_alone, rows, write, using)
        return _carried_out(own, values, hearing), locked
    try:
        # One savepoint for both: to PostgreSQL, whoever updates what another savepoint locked is one more locker.
        with transaction.atomic(using=using):
            locked = ask_locking(using, _locked, rows, write, using)
            if isinstance(locked, Unread):
                raise _NotLocked(locked)
            count = _carried_out(own, values, hearing)
            if count != locked.count:
                raise _RowsMoved
    except _NotLocked as error:
        return _carried_out(own, values, hearing), error.unread
    except _RowsMoved:
        # Rows came, or went, while others were waited for. Just those are written that are locked.
        return _written_by_keys(rows, own, values, hearing, write)
    return count, locked


def _written_by_keys(
    rows: models.QuerySet[Any], own: Own, values: Mapping[str, Any], hearing: Hearing, write: Write
) -> tuple[int, Locked | Unread]:
    using, count = hearing.using, 0
    locked = ask_locking(using, _locked_alone, rows, write, using, every=True)
    if isinstance(locked, Unread):
        return _carried_out(own, values, hearing), locked
    for keys in telling.in_parts(locked.before):
        count += _carried_out(rows.filter(pk__in=keys).update, values, hearing)
    return count, locked


def _locked_alone(rows: models.QuerySet[Any], write: Write, using: str, *, every: bool = False) -> Locked:
    with confined(using):
        return _locked(rows, write, using, every=every)


def _locked(rows: models.QuerySet[Any], write: Write, using: str, *, every: bool = False) -> Locked:
    """Lock the rows and read of each what rules ask about; keep of those that can match, or of ``every`` one."""
    locked, screen = Locked(), write.screen
    for part in screen.before.read(_plain(rows, write, using), CHUNK):
        locked.count += len(part)
        found = part if every else screen.of_before(part)
        if not (every or screen.is_all or screen.after.columns):
            found = [row for row in found if screen.may_match(row)]
        locked.before |= {row[0]: row for row in found}
    return locked


def _plain(rows: models.QuerySet[Any], write: Write, using: str) -> models.QuerySet[Any]:
    """Return the same rows, locked, with nothing beside them."""
    query = rows.query.chain()
    plain: models.QuerySet[Any] = UncachedQuerySet(rows.model, query=query, using=using).order_by()
    joined = len(query.alias_map) > 1 or query.annotations or query.distinct or query.extra or query.group_by
    if joined:
        # Only the rows themselves are locked, and no database locks grouped ones, or those of an outer join.
        plain = UncachedQuerySet(rows.model, using=using).filter(pk__in=plain.values("pk")).order_by()
    features = connections[using].features
    if not features.has_select_for_update:
        return plain
    # As the statement itself, which keeps nobody from adding rows that point to these.
    return plain.select_for_update(no_key=features.has_select_for_no_key_update and not write.writes_unique)


def _readings(hearing: Hearing, write: Write, locked: Locked) -> Iterator[Reading]:
    """Yield each row that rules can match, as it is by now, for each signal that such rules hear."""
    model, using, now = hearing.watch.model, hearing.using, timezone.now()
    forms = [(index, name, safe_form(column)) for index, (name, column) in enumerate(write.old.items())]
    for part in telling.in_parts(_candidates(write, locked, model, using)):
        objects = telling.stored(model, [row[0] for row in part], using, write.rules)
        for before in part:
            if (row := objects.get(before[0])) is not None:
                values = write.screen.before.told(before)
                old = {name: form(values[index]) for index, name, form in forms} if write.old else None
                for heard in write.heard:
                    yield from telling.reading_of_copy(
                        hearing.watch, heard.signal, row, old, now=now, written=write.written
                    )


def _candidates(write: Write, locked: Locked, model: ModelClass, using: str) -> Iterator[Row]:
    """Yield the rows that rules can match, as they were."""
    if not write.screen.after.columns:
        yield from locked.before.values()
        return
    for keys in telling.in_parts(locked.before, CHUNK):
        yield from _of_candidates(keys, write, locked, model, using)


def _of_candidates(keys: Sequence[Any], write: Write, locked: Locked, model: ModelClass, using: str) -> Sequence[Row]:
    """Return those of the rows that rules can match, now that it is known what was written."""
    rows: models.QuerySet[Any] = UncachedQuerySet(model, using=using).order_by().filter(**_filter_of(keys))
    if database_of(using).shows_older_rows(using):
        rows = rows.select_for_update()
    with confined(using):
        return write.screen.of_after(write.screen.after.read_all(rows), locked.before)


def _filter_of(keys: Sequence[Any]) -> dict[str, Any]:
    """Return what finds these keys, and perhaps a few between them: numbers that are nearly all there are by the first
    and the last, which a database reads quicker than a list of them."""
    if set(map(type, keys)) == {int}:
        first, last = min(keys), max(keys)
        if last - first < DENSE * len(keys):
            return {"pk__gte": first, "pk__lte": last}  # a key that is a relation has no range
    return {"pk__in": keys}
