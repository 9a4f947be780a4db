"""Whether the condition of a match still holds, asked of its object as it is now.

Of what the event tells, the object alone is read anew: what it was before, what changed and who did it stay as they
were. A change condition that names the value after is asked as well: the field is to hold that value still.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any

from django.db import DatabaseError, InterfaceError, models, router
from django.utils.translation import gettext

from rules_engine.context import snapshot
from rules_engine.context.paths import ModelClass, field_of, find_model
from rules_engine.context.plain_data import same
from rules_engine.context.stored_form import key_of, key_value
from rules_engine.context.subject import Subject
from rules_engine.databases.uncached import UncachedQuerySet
from rules_engine.errors import ConditionError, NotEntered
from rules_engine.logic import jsonlogic
from rules_engine.models import Execution, RuleVersion
from rules_engine.rules.changes import compile_changes
from rules_engine.rules.schedules.later import NO_LONGER, OBJECT_GONE
from rules_engine.surroundings.state import within
from rules_engine.types import Event, Unread, ask

#: Where an execution's change was made.
PLACE = attrgetter("event.surroundings")
#: Why one does not act: a sentence; or what keeps from saying so.
Answer = str | Exception | None
Content = Mapping[str, Any]


def asks_again(execution: Execution) -> bool:
    """Say whether the execution acts only if its rule's condition holds when it is due."""
    return bool((execution.given or {}).get("asks_again"))


def answers(executions: Iterable[Execution]) -> dict[Any, Answer]:
    """Return, by key, why each of these is not to act: None where its condition still holds.

    Asked by the version of the rule that matched, of the object where it was: elsewhere its key is another object's.
    Raises what the database says of being asked at all.
    """
    told: dict[Any, Answer] = {}
    for surroundings, of_place in groupby(sorted(executions, key=PLACE), PLACE):
        group = list(of_place)
        try:
            with within(surroundings):
                told |= _answers_here(group)
        except NotEntered as error:
            told |= dict.fromkeys((execution.pk for execution in group), error)
    return told


def _answers_here(executions: Iterable[Execution]) -> dict[Any, Answer]:
    asked = [_Asked(execution, execution.event.captured()) for execution in executions]
    contents, objects = _contents(asked), _objects(asked)
    known: dict[Any, Answer] = {}
    told: dict[Any, Answer] = {}
    for each in asked:
        key = (each.event.id, each.execution.rule_slug, each.execution.rule_version)
        if key not in known:
            content = contents.get((each.execution.rule_slug, each.execution.rule_version))
            known[key] = _answer(each.event, content, objects)
        told[each.execution.pk] = known[key]
    return told


@dataclass(frozen=True, slots=True)
class _Asked:
    """An execution that asks again, with its event as plain data."""

    execution: Execution
    event: Event


def _contents(asked: Sequence[_Asked]) -> dict[tuple[str, int], Content]:
    slugs = {each.execution.rule_slug for each in asked}
    numbers = {each.execution.rule_version for each in asked}
    versions = RuleVersion.objects.using(router.db_for_write(RuleVersion)).filter(rule_slug__in=slugs)
    return {(row.rule_slug, row.number): row.content for row in versions.filter(number__in=numbers)}


def _objects(asked: Sequence[_Asked]) -> dict[tuple[str, str], models.Model]:
    """Return the objects that are still there, by their model's label and their key as a text: one query a model."""
    keys: dict[str, list[Any]] = {}
    for each in asked:
        keys.setdefault(each.event.model, []).append(each.event.pk)
    return {
        (label, str(key_value(instance))): instance
        for label, wanted in keys.items()
        for instance in objects_of(find_model(label), wanted)
    }


def objects_of(model: ModelClass | None, keys: Collection[Any]) -> Sequence[models.Model]:
    """Return the stored objects of these keys, told as events have them, those that are there. All come from where the
    engine's tables are, past whatever the model's managers leave out."""
    if model is None:
        return []
    wanted = [key for key in (ask(key_of, model, key) for key in keys) if not isinstance(key, Unread)]
    rows: models.QuerySet[Any] = UncachedQuerySet(model, using=router.db_for_write(Execution))
    return list(rows.filter(pk__in=wanted))


def _answer(event: Event, content: Content | None, objects: Mapping[tuple[str, str], models.Model]) -> Answer:
    model = find_model(event.model)
    if model is None or content is None:
        return ConditionError(gettext("What the rule asked for when it matched is not on record any more."))
    instance = objects.get((event.model, str(event.pk)))
    if instance is None:
        return OBJECT_GONE
    holds = ask(still_holds, content, event, instance)
    if not isinstance(holds, Unread):
        return None if holds else NO_LONGER
    if isinstance(holds.error, DatabaseError | InterfaceError):
        raise holds.error
    return holds.error


def still_holds(content: Content, event: Event, instance: models.Model) -> bool:
    """Say whether what a version of a rule asks for holds for the object as it is now. Raises ``ConditionError``, and
    what reading raises."""
    model = type(instance)
    for change in compile_changes(model, content.get("changes") or ()):
        if change.has_new and not same(_value(instance, change.field), change.new):
            return False
    if content.get("condition") is None:
        return True
    condition = jsonlogic.compile_checked(content["condition"])
    of_object = {path for path in condition.reads if path[0] == "instance"}
    now = Subject(event.signal, event.operation, instance).context(of_object)
    return condition.matches(jsonlogic.data_handle({**event.context, **now}))


def _value(instance: models.Model, name: str) -> Any:
    field = field_of(type(instance), name)
    value = snapshot.values_on(instance, [field])[field.attname]
    if isinstance(value, Unread):
        raise value.error
    return value
