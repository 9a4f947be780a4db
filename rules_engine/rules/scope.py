"""Which paths a rule's conditions, expressions and texts may read, and the sentence for one that they may not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from rules_engine.errors import UnknownPath, did_you_mean
from rules_engine.events.aggregates import BETWEEN
from rules_engine.events.names import MODEL_SIGNALS
from rules_engine.events.paths import ModelClass, field_of, find_model, label_of, readable_fields, resolve, steps
from rules_engine.rules.signals import argument_problem
from rules_engine.types import EVERY_FIELD, Path, RuleSpec

#: The keys of DESIGN §6, and what each one holds; None is free, or checked elsewhere.
ROOTS: dict[str, tuple[str, ...] | None] = {
    "event": ("id", "signal", "operation", "model", "pk", "occurred_at", "root_id", "depth"),
    "instance": None,
    "old": None,
    "changed": None,
    "changes": None,
    "created": (),
    "actor": ("id", "username"),
    "request": ("id", "method", "path", "status"),
    "m2m": ("field", "action", "side", "pks", "count", "objects"),
    "signal": None,
    "held": ("count", "together", "throttled"),
}
M2M_OBJECTS: Path = ("m2m", "objects")
OF_A_MODEL = ("instance", "old", "changed", "changes")


def path_problem(rule: RuleSpec, path: Path, within: Path | None = None) -> str | None:
    """Why the rule cannot read the path, as a sentence, or None when it can.

    ``within`` is the to-many path whose rows ``path`` is read from, as inside JSONLogic's ``some``.
    """
    if within is not None:
        if within[:1] == ("each",) and rule.each:
            within = (*rule.each, *within[1:])
        return _row_problem(rule, within, path)
    if not path:
        return "This names nothing; name a field, such as instance.status."
    root, *rest = path
    if root == "each" and rule.each is not None:
        return path_problem(replace(rule, each=None), (*rule.each, *rest)) if rule.each else None
    if root not in ROOTS:
        return _unknown_root(rule, root)
    if root in OF_A_MODEL:
        return _model_problem(rule, root, tuple(rest))
    if root == "signal":
        return argument_problem(rule, tuple(rest))
    return _part_problem(rule, root, tuple(rest))


def _part_problem(rule: RuleSpec, root: str, rest: Path) -> str | None:
    """For the roots that are the same for every model and signal."""
    if root == "held" and rule.throttle_count is None and rule.coalesce_seconds is None:
        return 'This rule holds nothing back, so there is no "held"; it goes with a throttle, or with a wait for more.'
    if root == "request" and rest[:1] == ("status",) and "request_finished" not in rule.signals:
        return "The status of a request is known when it is finished, to rules on request_finished."
    if (root, *rest[:1]) == M2M_OBJECTS:
        return _others_problem(rule, rest[1:])
    known = ROOTS[root]
    if rest and known is not None and rest[0] not in known:
        return f'"{root}" has no "{rest[0]}".{did_you_mean(rest[0], known)}'
    return None


def is_of_rows(rule: RuleSpec, path: Path) -> bool:
    """Whether the path leads to a list, as far as that can be said beforehand."""
    model = find_model(rule.model) if rule.model else None
    if path[:1] != ("instance",):
        return path in (("m2m", "pks"), M2M_OBJECTS) or path[:1] in (("signal",), ("changed",))
    return model is not None and len(path) > 1 and resolve(model, path[1:]).kind == "to_many"


def _unknown_root(rule: RuleSpec, root: str) -> str:
    if root == "each":
        return 'There is no "each" here: the action is carried out once. Say what it is to be done for in "for_each".'
    model = find_model(rule.model) if rule.model else None
    if model is not None:
        try:
            resolve(model, (root,))
        except UnknownPath:
            pass
        else:
            return f'"{root}" is not known here. Did you mean "instance.{root}"?'
    known = ", ".join(ROOTS)
    return f'"{root}" is not known here.{did_you_mean(root, list(ROOTS))} A path begins with one of: {known}.'


def _model_problem(rule: RuleSpec, root: str, rest: Path) -> str | None:
    if not rule.model:
        return f'This rule listens to no model, so there is no "{root}"; the signal\'s arguments are under "signal".'
    if root != "instance" and rule.signals and not set(rule.signals) & set(MODEL_SIGNALS):
        return f'{rule.signals[0]} does not tell what changed, so there is no "{root}".'
    model = find_model(rule.model)
    if model is None or not rest:
        return None
    try:
        if root == "instance":
            resolve(model, rest)
        elif root != "changed" and rest[0] != EVERY_FIELD:
            field = field_of(model, rest[0])
            if root == "old" and rest[0] != field.attname:
                return f'Old values are kept by column: write "old.{field.attname}".'
            if root == "changes" and rest[0] != field.name:
                return f'Changes are kept by field name: write "changes.{field.name}".'
            if root == "changes" and rest[1:] and rest[1] not in ("old", "new"):
                return f'A change has "old" and "new", not "{rest[1]}".'
    except UnknownPath as error:
        return str(error)
    return None


def m2m_models(rule: RuleSpec) -> list[ModelClass]:
    """What may be at the other end of the many-to-many changes that a rule hears; its change conditions narrow it."""
    model = find_model(rule.model) if rule.model else None
    if model is None or (rule.signals and "m2m_changed" not in rule.signals):
        return []
    named = {change.get("field") for change in rule.changes}
    relations = {name: step for name, step in steps(model).items() if step.model and step.field.many_to_many}
    wanted = relations.keys() & named or relations
    return list(dict.fromkeys(step.model for name, step in relations.items() if name in wanted and step.model))


def _others_problem(rule: RuleSpec, rest: Path) -> str | None:
    found = m2m_models(rule)
    if not found:
        return 'Only rules on m2m_changed have "m2m.objects".'
    if len(found) > 1:
        titles = ", ".join(str(model._meta.verbose_name_plural) for model in found)
        return f'"m2m.objects" may be of several kinds here ({titles}); name the relation among the changes.'
    try:
        resolve(found[0], rest)
    except UnknownPath as error:
        return str(error)
    return None


def _model_of_rows(rule: RuleSpec, within: Path) -> ModelClass | None:
    """Raises ``UnknownPath``."""
    if within == M2M_OBJECTS:
        return next(iter(m2m_models(rule)), None)
    model = find_model(rule.model) if rule.model else None
    if model is None or within[:1] != ("instance",):
        return None
    rows = resolve(model, within[1:])
    return rows.model if rows.kind == "to_many" else None


def _row_problem(rule: RuleSpec, within: Path, path: Path) -> str | None:
    try:
        model = _model_of_rows(rule, within)
        if model is None or path in ((), ("pk",)):
            return None
        if len(path) > 1:
            return _beyond_row_problem(model, path)
        field = field_of(model, path[0])
        if field.attname != path[0]:
            return f'Rows hold their own columns: write "{field.attname}".'
    except UnknownPath as error:
        return str(error)
    return None


def _beyond_row_problem(model: ModelClass, path: Path) -> str | None:
    """A row may lead to what it belongs to, as an appointment to its patient. Raises ``UnknownPath``."""
    for end in range(1, len(path)):
        step = resolve(model, path[:end])
        if step.kind == "to_many":
            return f'"{".".join(path[:end])}" leads to many rows of its own, and only one can be read here.'
        if step.model is not None and BETWEEN in path[end]:
            return f'"{path[end]}" would be a query for each of the rows; aggregates are read of one object.'
    step = resolve(model, path)
    leads = step.kind in ("to_one", "to_many")
    return f'"{".".join(path)}" leads to an object; name the field that you want of it.' if leads else None


def view_permissions(rule: RuleSpec, reads: Iterable[Path]) -> set[str]:
    """The ``view`` permissions, such as ``"clinic.view_doctor"``, that reading these paths takes."""
    model = find_model(rule.model) if rule.model else None
    if model is None:
        return set()
    seen = {model}
    for path in reads:
        if path[:1] == ("each",) and rule.each:
            path = (*rule.each, *path[1:])
        if path[:1] == ("instance",):
            seen |= _seen_on(model, path[1:])
        elif path[:2] == M2M_OBJECTS:
            for other in m2m_models(rule):
                seen |= {other, *_seen_on(other, path[2:])}
    return {_view_codename(label_of(one)) for one in seen}


def _seen_on(model: ModelClass, path: Path) -> set[ModelClass]:
    """The models that a path leads to on its way."""
    found: set[ModelClass] = set()
    for end in range(1, len(path) + 1):
        try:
            step = resolve(model, path[:end])
        except UnknownPath:
            break
        if other := step.aggregate.model if step.aggregate else step.model:
            found.add(other)
    return found


def _view_codename(label: str) -> str:
    app, _, name = label.partition(".")
    return f"{app}.view_{name}"


def all_fields(rule: RuleSpec) -> list[str]:
    """The names of the fields that a rule's own model lets it read; empty where there is no such model."""
    model = find_model(rule.model) if rule.model else None
    return [] if model is None else [field.name for field in readable_fields(model)]
