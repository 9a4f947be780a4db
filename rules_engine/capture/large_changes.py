"""Many-to-many changes of very many objects: kept as keys while the save waits, and told by a worker.

What a rule asks of each object has to be read and recorded, which takes longer for 100,000 than anybody waits for a
save. Up to ``AT_ONCE`` are told in the process of the change; of more, their keys are written, some hundred a row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine import conf, types
from rules_engine.capture.origins.as_json import stored_origin
from rules_engine.capture.watches import Reading, RelationWatch, Table
from rules_engine.context import actor, snapshot
from rules_engine.context.paths import find_model, label_of
from rules_engine.context.stored_form import key_of
from rules_engine.context.subject import Subject
from rules_engine.databases.prepared.inserts import insert
from rules_engine.errors import RulesEngineError
from rules_engine.models import LargeChange
from rules_engine.outbox.writing import announce
from rules_engine.rules.matching import CompiledRule
from rules_engine.surroundings.state import here
from rules_engine.types import Operation, Unread

#: Objects of one change that rules are told of while the save waits: some ten milliseconds.
AT_ONCE = 100
#: Keys in one row, which a worker tells in one transaction.
PART = 500


class ActsTooEarly(RulesEngineError):
    """A rule acts in the transaction, and its objects are told after it."""


def hearing(watch: RelationWatch, operation: Operation) -> list[CompiledRule]:
    """Return the rules that may hear such a change of this relation."""
    return [
        rule
        for rule in watch.rules
        if (not rule.operations or operation in rule.operations)
        and all(change.field == watch.name for change in rule.changes)
    ]


def put_off(
    watch: RelationWatch, sent: Mapping[str, Any], operation: Operation, pks: Sequence[Any], now: datetime
) -> Iterator[Reading]:
    """Write the keys for workers to tell, and yield the error of the rules that would have to act before that.

    Raises ``DatabaseError``.
    """
    rules = hearing(watch, operation)
    if early := [rule for rule in rules if _acts_in_transaction(rule)]:
        yield _too_early(len(pks), operation, now), early
    if len(early) == len(rules):
        return
    key, other, using = watch.model._meta.pk, sent["instance"], sent["using"]
    change = {
        "model": label_of(watch.model),
        "relation": watch.name,
        "is_target": watch.is_target,
        "operation": operation,
        "other_model": other._meta.label_lower,
        "other_pk": snapshot.key_value(other),
        "origin": stored_origin(actor.origin()),
        "surroundings": here(),
        "occurred_at": now,
    }
    told = [snapshot.plain(snapshot.column_value(key, pk)) for pk in pks]
    parts = [told[start : start + PART] for start in range(0, len(told), PART)]
    insert(LargeChange, [{"id": types.new_id(), **change, "keys": part} for part in parts], using)
    announce({conf.queue()}, using)


def _acts_in_transaction(rule: CompiledRule) -> bool:
    return not rule.shadow and any(action.timing == "in_transaction" for action in rule.actions)


def _too_early(count: int, operation: Operation, now: datetime) -> Subject:
    message = gettext(
        "This change concerns %(count)s objects. More than %(most)s are told by a worker, after the commit, and this "
        "rule acts in the transaction: have its actions act after the commit, or change fewer objects at once."
    )
    counted = {name: number_format(n, force_grouping=True) for name, n in (("count", count), ("most", AT_ONCE))}
    error = ActsTooEarly(message % counted)
    return Subject("m2m_changed", operation, knows_changes=False, occurred_at=now, unread=Unread(error))


@dataclass(frozen=True, slots=True)
class Part:
    """What a row says, with the models and keys that it names."""

    watch: RelationWatch
    operation: Operation
    other: models.Model
    pks: Sequence[Any]


def part_of(change: LargeChange, table: Table) -> Part | None:
    """Return what the row says, to the rules of this table; None where none of them hears it any more."""
    model, other_model = find_model(change.model), find_model(change.other_model)
    watches = (watch for of_relation in table.relations.values() for watch in of_relation)
    for watch in watches:
        if (watch.model, watch.name, watch.is_target) == (model, change.relation, change.is_target):
            break
    else:
        return None
    if model is None or other_model is None:
        return None
    rules = tuple(rule for rule in watch.rules if not _acts_in_transaction(rule))
    other = other_model(pk=key_of(other_model, change.other_pk))
    other._state.adding, other._state.db = False, table.alias
    pks = [key_of(model, key) for key in change.keys]
    watch = RelationWatch(watch.model, watch.name, watch.is_target, rules)
    return Part(watch, change.operation, other, pks)  # type: ignore[arg-type]
