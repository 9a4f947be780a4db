"""Which paths a rule's conditions, expressions and texts may read, and the sentence for one that they may not."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from django.utils.translation import gettext

from rules_engine.context.aggregates import BETWEEN
from rules_engine.context.paths import ModelClass, field_of, find_model, label_of, resolve, steps
from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.errors import UnknownPath, did_you_mean
from rules_engine.logic.variables import Variable, variables
from rules_engine.rules.schedules import kinds as schedules
from rules_engine.rules.schedules.listed import EVENTS, of_each, with_each
from rules_engine.rules.signals import argument_problem, quoted_by
from rules_engine.texts.happened import READS as DERIVED
from rules_engine.types import EVERY_FIELD, Path, RuleSpec

#: The parts of a context, and what each one holds; None is free, or checked elsewhere.
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
    "held": ("count", "together", "throttled", "more"),
    "due": ("at", "date", "count"),
    "rows": None,
    "events": None,
}
M2M_OBJECTS: Path = ("m2m", "objects")
#: The objects of a schedule, all at once.
ROWS: Path = ("rows",)
OF_A_MODEL = ("instance", "old", "changed", "changes")


def path_problem(rule: RuleSpec, path: Path, within: Path | None = None) -> str | None:
    """Say why the rule cannot read the path, as a sentence, or None when it can.

    ``within`` is the to-many path whose rows ``path`` is read from, as inside JSONLogic's ``some``.
    """
    if within is not None:
        return _within_problem(rule, within, path)
    if not path:
        return gettext("This names nothing; name a field, such as instance.status.")
    root, *rest = path
    if root == "each" and rule.each is not None:
        return path_problem(replace(rule, each=None), (*rule.each, *rest)) if rule.each else None
    if root not in ROOTS:
        return _unknown_root(rule, root)
    if trouble := schedules.root_problem(rule, root):
        return trouble
    if (of_event := of_each(path)) is not None:
        return path_problem(rule, of_event)
    if root in OF_A_MODEL:
        return _model_problem(rule, root, tuple(rest))
    if root == ROWS[0]:
        return _rows_problem(rule, tuple(rest))
    if root == "signal":
        return argument_problem(rule, tuple(rest))
    return _part_problem(rule, root, tuple(rest))


def _within_problem(rule: RuleSpec, within: Path, path: Path) -> str | None:
    if within == (EVENTS,):
        return path_problem(rule, within) or path_problem(rule, path)
    if within[:1] == ("each",) and rule.each:
        within = (*rule.each, *within[1:])
    return _row_problem(rule, within, path)


def _part_problem(rule: RuleSpec, root: str, rest: Path) -> str | None:
    """Look at the roots that are alike for every model and signal."""
    if root == "held" and not schedules.holds_several(rule):
        return gettext(
            'This rule holds nothing back, so there is no "held"; it goes with a throttle, or with a wait for more.'
        )
    if root == "request" and rest[:1] == ("status",) and "request_finished" not in rule.signals:
        return gettext("The status of a request is known when it is finished, to rules on request_finished.")
    if (root, *rest[:1]) == M2M_OBJECTS:
        return _others_problem(rule, rest[1:])
    known = ROOTS[root]
    if rest and known is not None and rest[0] not in known:
        message = gettext('"%(root)s" has no "%(name)s".') % {"root": root, "name": rest[0]}
        return message + did_you_mean(rest[0], known)
    return None


def is_of_rows(rule: RuleSpec, path: Path) -> bool:
    """Say whether the path leads to a list, as far as that can be said beforehand."""
    model = find_model(rule.model) if rule.model else None
    if path[:1] != ("instance",):
        return path in (("m2m", "pks"), M2M_OBJECTS, ROWS) or path[:1] in (("signal",), ("changed",))
    return model is not None and len(path) > 1 and resolve(model, path[1:]).kind == "to_many"


def _unknown_root(rule: RuleSpec, root: str) -> str:
    if root == "each":
        return gettext(
            'There is no "each" here: the action is carried out once. Say what it is to be done for in "for_each".'
        )
    if root in DERIVED:
        return gettext('"%(name)s" stands in texts alone: write {{ %(name)s }} there.') % {"name": root}
    model = find_model(rule.model) if rule.model else None
    if model is not None:
        try:
            resolve(model, (root,))
        except UnknownPath:
            pass
        else:
            return gettext('"%(name)s" is not known here. Did you mean "instance.%(name)s"?') % {"name": root}
    message = gettext('"%(name)s" is not known here.%(hint)s A path begins with one of: %(known)s.')
    return message % {"name": root, "hint": did_you_mean(root, [*ROOTS, *DERIVED]), "known": ", ".join(ROOTS)}


def _model_problem(rule: RuleSpec, root: str, rest: Path) -> str | None:
    if not rule.model:
        message = gettext(
            'This rule listens to no model, so there is no "%(name)s"; the signal\'s arguments are under "signal".'
        )
        return message % {"name": root}
    if root != "instance" and rule.signals and not set(rule.signals) & set(MODEL_SIGNALS):
        message = gettext('%(signal)s does not tell what changed, so there is no "%(name)s".')
        return message % {"signal": rule.signals[0], "name": root}
    model = find_model(rule.model)
    if model is None or not rest:
        return None
    try:
        if root == "instance":
            resolve(model, rest)
        elif root != "changed" and rest[0] != EVERY_FIELD:
            return _past_problem(model, root, rest)
    except UnknownPath as error:
        return str(error)
    return None


def _past_problem(model: ModelClass, root: str, rest: Path) -> str | None:
    """Look at what is told of a field's change, under ``old`` and ``changes``. Raises ``UnknownPath``."""
    field = field_of(model, rest[0])
    if root == "old" and rest[0] != field.attname:
        return gettext('Old values are kept by column: write "%(path)s".') % {"path": f"old.{field.attname}"}
    if root == "changes" and rest[0] != field.name:
        return gettext('Changes are kept by field name: write "%(path)s".') % {"path": f"changes.{field.name}"}
    if root == "changes" and rest[1:] and rest[1] not in ("old", "new"):
        return gettext('A change has "old" and "new", not "%(name)s".') % {"name": rest[1]}
    return None


def m2m_models(rule: RuleSpec) -> list[ModelClass]:
    """Return what may be at the other end of the many-to-many changes that a rule hears; its change conditions narrow
    it."""
    model = find_model(rule.model) if rule.model else None
    if model is None or (rule.signals and "m2m_changed" not in rule.signals):
        return []
    named = {change.get("field") for change in rule.changes}
    relations = {name: step for name, step in steps(model).items() if step.model and step.field.many_to_many}
    wanted = relations.keys() & named or relations
    return list(dict.fromkeys(step.model for name, step in relations.items() if name in wanted and step.model))


def _rows_problem(rule: RuleSpec, rest: Path) -> str | None:
    """Look at a path into the objects of a schedule."""
    model = find_model(rule.model) if rule.model else None
    try:
        if model is not None:
            resolve(model, tuple(name for name in rest if not name.isdigit()))
    except UnknownPath as error:
        return str(error)
    return None


def _others_problem(rule: RuleSpec, rest: Path) -> str | None:
    models = m2m_models(rule)
    if not models:
        return gettext('Only rules on m2m_changed have "m2m.objects".')
    if len(models) > 1:
        titles = ", ".join(str(model._meta.verbose_name_plural) for model in models)
        message = gettext(
            '"m2m.objects" may be of several kinds here (%(kinds)s); name the relation among the changes.'
        )
        return message % {"kinds": titles}
    try:
        resolve(models[0], rest)
    except UnknownPath as error:
        return str(error)
    return None


def _model_of_rows(rule: RuleSpec, within: Path) -> ModelClass | None:
    """Find the model that rows read within the path are of; None for rows of no model. Raises ``UnknownPath``."""
    if within == ROWS:
        return find_model(rule.model) if rule.model else None
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
            return gettext('Rows hold their own columns: write "%(column)s".') % {"column": field.attname}
    except UnknownPath as error:
        return str(error)
    return None


def _beyond_row_problem(model: ModelClass, path: Path) -> str | None:
    """Return a row may lead to what it belongs to, as an appointment to its patient. Raises ``UnknownPath``."""
    for end in range(1, len(path)):
        step = resolve(model, path[:end])
        if step.kind == "to_many":
            message = gettext('"%(path)s" leads to many rows of its own, and only one can be read here.')
            return message % {"path": ".".join(path[:end])}
        if step.model is not None and BETWEEN in path[end]:
            message = gettext('"%(name)s" would be a query for each of the rows; aggregates are read of one object.')
            return message % {"name": path[end]}
    step = resolve(model, path)
    if step.kind not in ("to_one", "to_many"):
        return None
    return gettext('"%(path)s" leads to an object; name the field that you want of it.') % {"path": ".".join(path)}


#: Operators that ask of an object, or of rows, only whether there are any.
ASKING_WHETHER = ("!", "!!", "!/0", "!!/0")
_GROUPED_OBJECT = re.compile(r"/group_by/0/\d+$")
#: Operators that ask how many rows there are, or name what they read of each; an object is no rows: they would take
#: what it holds for them.
LOOKING_AT_ROWS = ("some/0", "all/0", "none/0", "map/0", "length", "length/0")


def reads_whole(rule: RuleSpec) -> bool:
    """Say whether the condition takes an object, or a row, as a whole: ``{"cat": [{"var": "instance.customer"}]}``."""
    if rule.condition is None:
        return False
    return any(_is_whole(rule, variable) for variable in variables(rule.condition))


def grouped_object_problem(rule: RuleSpec, variable: Variable) -> str | None:
    """Say that an object is grouped as if it were rows: ``{"group_by": [[{"var": "instance"}], …]}``.

    One object is always one group, whatever its fields hold.
    """
    if variable.within is not None or not _GROUPED_OBJECT.search(variable.pointer) or not _is_whole(rule, variable):
        return None
    text = gettext('"%(path)s" is an object and no list of rows; name the field that you want of it.')
    return text % {"path": ".".join(variable.path)}


def _is_whole(rule: RuleSpec, variable: Variable) -> bool:
    if _stands_in(variable, ASKING_WHETHER):
        return False
    if variable.within is not None:
        return not variable.path
    if variable.path[:1] == M2M_OBJECTS[:1]:
        return _is_whole_end(rule, variable)
    model = find_model(rule.model) if rule.model else None
    if model is None or variable.path[:1] != ("instance",):
        return False
    kind = resolve(model, variable.path[1:]).kind
    return kind != "value" and not (_is_of_rows(kind, variable.path) and _stands_in(variable, LOOKING_AT_ROWS))


def _is_of_rows(kind: str, path: Path) -> bool:
    return kind == "to_many" and not path[-1].isdigit()


def _stands_in(variable: Variable, places: Iterable[str]) -> bool:
    return variable.pointer.endswith(tuple(f"/{place}" for place in places))


def _is_whole_end(rule: RuleSpec, variable: Variable) -> bool:
    """Say whether a path into ``m2m`` takes objects as wholes."""
    if variable.path == M2M_OBJECTS:
        return not _stands_in(variable, LOOKING_AT_ROWS)
    if variable.path[:2] != M2M_OBJECTS:
        return len(variable.path) == 1
    return any(resolve(model, variable.path[2:]).kind != "value" for model in m2m_models(rule))


def view_permissions(rule: RuleSpec, reads: Iterable[Path]) -> set[str]:
    """Return the ``view`` permissions, such as ``"clinic.view_doctor"``, that reading these paths takes."""
    model = find_model(rule.model) if rule.model else None
    seen = {model} if model is not None else set()
    for path in with_each(reads):
        if path[:1] == ("signal",):
            seen |= _sent(rule, path[1:])
        if model is None:
            continue
        if path[:1] == ("each",) and rule.each:
            path = (*rule.each, *path[1:])
        if path[:1] in (("instance",), ROWS):
            seen |= _seen_on(model, path[1:])
        elif path[:2] == M2M_OBJECTS:
            for other in m2m_models(rule):
                seen |= {other, *_seen_on(other, path[2:])}
    return {_view_codename(label_of(model)) for model in seen}


def _sent(rule: RuleSpec, path: Path) -> set[ModelClass]:
    """Return the model of the object that a signal sent, where a path below ``signal`` reads more than which it is, and
    of the records that an argument quotes."""
    if not path or path[1:2] in (("model",), ("pk",)):
        return set()
    labels = [(rule.objects or {}).get(path[0], ""), *quoted_by(rule.signals, path[0])]
    return {model for label in labels if (model := find_model(label)) is not None}


def _seen_on(model: ModelClass, path: Path) -> set[ModelClass]:
    """Return the models that a path leads to on its way."""
    models: set[ModelClass] = set()
    for end in range(1, len(path) + 1):
        try:
            step = resolve(model, path[:end])
        except UnknownPath:
            break
        if other := step.aggregate.model if step.aggregate else step.model:
            models.add(other)
    return models


def _view_codename(label: str) -> str:
    app, _, name = label.partition(".")
    return f"{app}.view_{name}"
