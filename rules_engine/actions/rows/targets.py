"""Which rows ``update_objects`` is about: the rule's own object, those a relation leads to, or those of a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import models, router
from django.utils.translation import gettext

from rules_engine.actions.rows import field_rows
from rules_engine.actions.rows.conversion import computed, convert
from rules_engine.actions.rows.writing import writable_model
from rules_engine.context.paths import ModelClass, Step, find_model, label_of, steps, unknown_name
from rules_engine.context.signals import DELETE_SIGNALS
from rules_engine.context.stored_form import holds_json, key_of
from rules_engine.context.subject import Field
from rules_engine.errors import PermanentError, Problem, UnknownPath, did_you_mean
from rules_engine.hidden.fields import is_hidden
from rules_engine.rules.scope import view_permissions
from rules_engine.types import ActionContext, Event, Path, RuleSpec

INSTANCE, QUERY = "instance", "query"
TEXT_LOOKUPS = ("iexact", "contains", "icontains", "startswith", "istartswith", "endswith", "iendswith")
LOOKUPS = ("exact", "lt", "lte", "gt", "gte", "in", "isnull", *TEXT_LOOKUPS)

Rows = models.QuerySet[models.Model]


@dataclass(frozen=True, slots=True)
class Filter:
    """A row of ``filter``: ``status__in`` is the name ``status``, the field behind it and the lookup ``in``."""

    name: str
    field: Field
    lookup: str
    #: The names on the way, for the permissions that reading them takes.
    path: Path


def name_of(config: Mapping[str, Any]) -> str:
    """Return the target as written; the rule's own object when nothing is."""
    return str(config.get("target") or INSTANCE)


def model_of(config: Mapping[str, Any], label: str) -> ModelClass:
    """Return the model that is written by a rule on the model ``label``. Raises ``UnknownPath`` or ``Refused``."""
    target = name_of(config)
    if target == QUERY:
        if not config.get("model"):
            raise UnknownPath(gettext('Name the model to look in, such as "shop.product".'))
        return writable_model(str(config["model"]))
    return writable_model(label if target == INSTANCE else label_of(_hops(_own_model(label), target)[-1][1]))


def saved_models(config: Mapping[str, Any], model: ModelClass) -> list[ModelClass]:
    """Say what the objects may be when they are saved. A rule's own object may be of a descendant, and is then saved as
    that; seen by way of a proxy it is what the proxy stands for."""
    if name_of(config) != INSTANCE:
        return [model]
    descendants = [
        candidate for candidate in apps.get_models() if issubclass(candidate, model) and not candidate._meta.proxy
    ]
    concrete = model._meta.concrete_model
    return list(dict.fromkeys([concrete, *descendants] if concrete else descendants))


def _own_model(label: str) -> ModelClass:
    model = find_model(label) if label else None
    if model is None:
        raise UnknownPath(gettext('This rule listens to no model, so there is no object to start from; use "query".'))
    return model


def _hops(model: ModelClass, target: str) -> list[tuple[Step, ModelClass]]:
    """Return the relations on the way from the model to the target, each with where it leads. Raises
    ``UnknownPath``."""
    hops: list[tuple[Step, ModelClass]] = []
    for name in target.split("."):
        here = hops[-1][1] if hops else model
        relations = {name: step for name, step in steps(here).items() if step.model is not None}
        step = relations.get(name)
        if step is None or step.model is None:
            hint = did_you_mean(name, [*relations, *(() if hops else (INSTANCE, QUERY))])
            raise UnknownPath(
                gettext('%(model)s has no relation "%(name)s".%(hint)s')
                % {"model": str(here._meta.verbose_name).capitalize(), "name": name, "hint": hint}
            )
        hops.append((step, step.model))
    return hops


def filter_of(model: ModelClass, written: str) -> Filter:
    """Return a row of ``filter`` by its name. Raises ``UnknownPath`` with a suggestion."""
    parts = written.split("__")
    lookup = parts.pop() if len(parts) > 1 and parts[-1] in LOOKUPS else "exact"
    here: ModelClass | None = model
    names: list[str] = []
    step = None
    for part in parts:
        if here is None:
            hint = did_you_mean(part, LOOKUPS)
            raise UnknownPath(
                gettext('"%(part)s" is no lookup.%(hint)s The lookups are: %(lookups)s.')
                % {"part": part, "hint": hint, "lookups": ", ".join(LOOKUPS)}
            )
        step = steps(here).get(part)
        if step is None:
            raise UnknownPath(unknown_name(here, part))
        names.append(step.field.name if step.model else part)
        here = step.model
    if step is None:  # split() gives at least one part
        raise UnknownPath(gettext("Name a field."))
    field: Field = step.field
    if step.model is not None and not isinstance(field, models.ForeignKey):
        field = step.model._meta.pk
    if is_hidden(field) and lookup != "isnull":
        raise UnknownPath(unknown_name(field.model, field.name))
    if field.get_lookup(lookup) is None or (isinstance(field, models.ForeignKey) and lookup in TEXT_LOOKUPS):
        raise UnknownPath(
            gettext('"%(path)s" cannot be looked up by "%(lookup)s".') % {"path": ".".join(parts), "lookup": lookup}
        )
    return Filter("__".join(names), field, lookup, tuple(parts))


def problems(config: Mapping[str, Any], rule: RuleSpec, model: ModelClass) -> Iterator[Problem]:
    """Say what is wrong with target and filter, once the model is known."""
    target = name_of(config)
    if target == INSTANCE and rule.signals and DELETE_SIGNALS.issuperset(rule.signals):
        yield Problem(
            "/target", gettext("The object of this rule is gone when the action runs; name a relation of it.")
        )
    if target == QUERY and not field_rows.rows(config, "filter"):
        yield Problem(
            "/filter", gettext('Say which rows, or write {"field": "pk__isnull", "value": "false"} for all of them.')
        )
    if target != QUERY and config.get("model"):
        yield Problem("/model", gettext('A model is named for the target "query" alone; elsewhere the target says it.'))
    for index, row in field_rows.rows(config, "filter"):
        try:
            filter_of(model, str(row.get("field") or "pk"))
        except UnknownPath as error:
            yield Problem(f"/filter/{index}/field", str(error))


def reads(config: Mapping[str, Any], rule: RuleSpec) -> set[Path]:
    """Say what must be captured to find the rows later: of a deleted object, where its relations led."""
    target = name_of(config)
    if target in (INSTANCE, QUERY) or not DELETE_SIGNALS.intersection(rule.signals):
        return set()
    try:
        return {_key_path(_hops(_own_model(rule.model), target)[0][0])}
    except UnknownPath:
        return set()


def _key_path(step: Step) -> Path:
    if step.kind == "to_one" and getattr(step.field, "attname", None):
        return ("instance", step.field.attname)
    return ("instance", step.name, "pk")


def view_needs(config: Mapping[str, Any], rule: RuleSpec, model: ModelClass) -> set[str]:
    """Return the ``view`` permissions that finding the rows takes."""
    target = name_of(config)
    on_the_way = set() if target in (INSTANCE, QUERY) else view_permissions(rule, [("instance", *target.split("."))])
    paths: list[Path] = [("instance",)] if target == QUERY else []
    for _, row in field_rows.rows(config, "filter"):
        try:
            paths.append(("instance", *filter_of(model, str(row.get("field"))).path))
        except UnknownPath:
            continue
    looked_at = RuleSpec(slug=rule.slug, model=label_of(model))
    return on_the_way | (view_permissions(looked_at, paths) if paths else set())


def is_gone(context: ActionContext, model: ModelClass) -> bool:
    """Say whether the rule's own object is no longer there, or hidden as if it were not."""
    return not _own_row(context.event, model._default_manager).exists()


def find(context: ActionContext, config: Mapping[str, Any], model: ModelClass) -> Rows:
    """Return the rows as they are now. Raises ``PermanentError`` for a filter whose value cannot be used.

    What the default manager hides, as it does soft-deleted rows, is gone: saving it could bring it back.
    """
    target = name_of(config)
    if target == INSTANCE:
        rows = _own_row(context.event, model._default_manager)
    elif target == QUERY:
        rows = model._default_manager.using(router.db_for_write(model)).all()
    else:
        rows = _related(context.event, target)
    for _, row in field_rows.rows(config, "filter"):
        rows = _filtered(rows, model, row, context.data)
    return rows


def _own_row(event: Event, manager: models.Manager[Any]) -> Rows:
    model = manager.model
    rows: Rows = manager.using(router.db_for_write(model))
    return rows.none() if event.pk is None else rows.filter(pk=key_of(model, event.pk))


def _related(event: Event, target: str) -> Rows:
    start = _own_model(event.model)
    hops = _hops(start, target)
    first, near = hops[0]
    end = hops[-1][1]
    using = router.db_for_write(end)
    if event.operation == "delete":
        keys, rest = _keys_then(event, first), hops[1:]
        column = first.field.target_field.attname if len(_key_path(first)) == 2 else "pk"
        found = near._base_manager.using(using).filter(**{f"{column}__in": keys})
    else:
        # An object that was hidden by the very change still leads to what it hangs on.
        found, rest = _own_row(event, start._base_manager), hops
    if not rest:
        return end._default_manager.using(using).filter(pk__in=[row.pk for row in found])
    lookup = "__".join([*(step.field.name for step, _ in rest), "pk"])
    return end._default_manager.using(using).filter(pk__in=found.order_by().values(lookup))


def _keys_then(event: Event, step: Step) -> list[Any]:
    """Return where the relation of a deleted object led, as the event has it."""
    path = _key_path(step)
    value = (event.context.get("instance") or {}).get(path[1])
    if len(path) == 2:
        return [] if value is None else [value]
    return [row["pk"] for row in ([value] if isinstance(value, Mapping) else value or ())]


def _filtered(rows: Rows, model: ModelClass, row: Mapping[str, Any], data: Mapping[str, Any]) -> Rows:
    written = filter_of(model, str(row.get("field")))
    try:
        value = _operand(written, computed(row.get("value"), data))
    except ValidationError:
        raise PermanentError(
            gettext('The filter "%(field)s" cannot take the value that it was given.') % {"field": row.get("field")}
        ) from None
    if value is None:
        return rows.none()  # as in conditions, null equals nothing by accident: isnull asks for it
    condition = {f"{written.name}__{written.lookup}": value}
    if "__" not in written.name:
        return rows.filter(**condition)
    # In a subquery, so that a path through many rows does not double a row.
    return rows.filter(pk__in=model._base_manager.using(rows.db).filter(**condition).order_by().values("pk"))


def _operand(written: Filter, value: Any) -> Any:
    """Return the value as the lookup takes it; None where there is none."""
    if value is None:
        return None
    if written.lookup == "isnull":
        return convert(models.BooleanField(), value)
    if written.lookup == "in":
        listed = value if isinstance(value, list) else [item.strip() for item in str(value).split(",")]
        converted = [convert(written.field, item) for item in listed]
        return [item for item in converted if item is not None]
    # What JSON contains is JSON: a text of it would be looked for as a text.
    if written.lookup in TEXT_LOOKUPS and not (written.lookup == "contains" and holds_json(written.field)):
        return str(value) or None
    return convert(written.field, value)
