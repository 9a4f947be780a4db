"""``delete_files``: the files of what was deleted, and those that were replaced, once nothing uses them any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.actions.files import stored_files
from rules_engine.actions.files.stored_files import FileField
from rules_engine.context.paths import ModelClass, find_model, resolve, steps
from rules_engine.context.signals import DELETE_SIGNALS, SAVE_SIGNALS
from rules_engine.errors import PermanentError, Problem, UnknownPath, did_you_mean
from rules_engine.rules.contract import Action, Clause, FieldName, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec


@register_action
class DeleteFiles(Action):
    """Delete the files that the event names. On an update these are the ones that were there before."""

    kind = "delete_files"
    label = _("Delete files")
    schema = {
        "type": "object",
        "keys": {
            "fields": {
                "type": "array",
                "title": _("File fields"),
                "items": {"type": "string", "plain": True},
                "minItems": 1,
                "helpText": _("Such as image, or images.image for the files of related rows (on pre_delete)."),
            },
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        model = find_model(rule.model) if rule.model else None
        yield from _signal_problems(rule)
        if not _written(config):
            yield Problem("/fields", gettext("Name at least one file field."))
        elif model is not None:
            for index, path in enumerate(_written(config)):
                if trouble := _field_problem(model, path) or _relation_problem(rule, path):
                    yield Problem(f"/fields/{index}" if isinstance(config["fields"], list) else "/fields", trouble)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        model = find_model(rule.model) if rule.model else None
        paths: set[Path] = set()
        for path in _usable(model, config):
            paths.add(("instance", *path))
            if len(path) == 1 and SAVE_SIGNALS & set(rule.signals):
                paths.add(("old", *path))
        return paths

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        """Ask for what deleting or changing the object takes: its files go along, or are replaced."""
        model = find_model(rule.model) if rule.model else None
        if model is None:
            return
        for path in _usable(model, config):
            owner = model if len(path) == 1 else resolve(model, path[:1]).model
            for right, signals in (("change", SAVE_SIGNALS), ("delete", DELETE_SIGNALS)):
                if owner is not None and signals & set(rule.signals) and (right == "delete" or owner is model):
                    yield f"{owner._meta.app_label}.{right}_{owner._meta.model_name}"

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return Clause(
            _("delete the files of %(fields)s"), {"fields": [FieldName(rule.model, path) for path in _written(config)]}
        )

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        files = _permitted(context, config)
        # Whether another row uses it is asked when the object is gone, or has another file; by now it would find it.
        names = "\n".join(name for _field, name in files)
        summary = gettext("Deletes files that nothing else uses") if files else gettext("No file to delete")
        return Preview(summary, {gettext("Files"): names} if names else {})

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        files = _permitted(context, config)
        done: dict[str, list[str]] = {"deleted": [], "kept": [], "gone": []}
        for field, name in files:
            if user := stored_files.user_of(field, name):
                done["kept"].append(f"{name} (in use by {user})")
            else:
                done["deleted" if stored_files.remove(field, name) else "gone"].append(name)
        return ActionResult(_summary(done), done)


def _permitted(context: ActionContext, config: Mapping[str, Any]) -> list[tuple[FileField, str]]:
    files = _files(context, config)
    for _field, name in files:
        stored_files.permit(name)
    return files


def _written(config: Mapping[str, Any]) -> list[Any]:
    """Return the config's fields; one plain name stands for a list of one."""
    fields = config.get("fields")
    return [name for name in (fields if isinstance(fields, list) else [fields]) if name not in (None, "")]


def _usable(model: ModelClass | None, config: Mapping[str, Any]) -> Iterator[Path]:
    if model is not None:
        yield from (tuple(path.split(".")) for path in _written(config) if _field_problem(model, path) is None)


def _signal_problems(rule: RuleSpec) -> Iterator[Problem]:
    if not rule.model:
        yield Problem("/fields", gettext("This rule listens to no model, so there are no files to delete."))
    elif others := [str(name) for name in rule.signals if name not in SAVE_SIGNALS | DELETE_SIGNALS]:
        yield Problem(
            "/fields",
            gettext("%(signal)s tells of no file; use post_save for replaced files, or post_delete.")
            % {"signal": others[0]},
        )


def _field_problem(model: ModelClass, path: Any) -> str | None:
    if not isinstance(path, str):
        return gettext("Expected the name of a file field, and got %(path)s.") % {"path": repr(path)}
    if path in _known(model):
        return None
    known = ", ".join(_known(model)) or "none"
    hint = did_you_mean(path, _known(model))
    return gettext('"%(path)s" is no file field of %(model)s.%(hint)s The file fields are: %(known)s.') % {
        "path": path,
        "model": model._meta.verbose_name,
        "hint": hint,
        "known": known,
    }


def _known(model: ModelClass) -> list[str]:
    """Return the model's file fields, and those at the other end of its to-many relations."""
    fields = _file_fields(model)
    for step in steps(model).values():
        if step.kind == "to_many" and step.model is not None:
            fields += [f"{step.name}.{name}" for name in _file_fields(step.model)]
    return fields


def _file_fields(model: ModelClass) -> list[str]:
    return [name for name, step in steps(model).items() if isinstance(step.field, FileField)]


def _relation_problem(rule: RuleSpec, path: str) -> str | None:
    if "." not in path or "pre_delete" in rule.signals:
        return None
    return gettext(
        'The rows of "%(relation)s" can be read before they are deleted, not afterwards: use pre_delete.'
    ) % {"relation": path.split(".")[0]}


def _files(context: ActionContext, config: Mapping[str, Any]) -> list[tuple[FileField, str]]:
    """Return the files that are to go, each with its field, each once."""
    model = find_model(context.event.model)
    if model is None:
        raise PermanentError(gettext('There is no model "%(model)s" any more.') % {"model": context.event.model})
    files: dict[tuple[FileField, str], None] = {}
    for written in _written(config):
        path = tuple(str(written).split("."))
        files.update(((_field(model, path), name), None) for name in _names(context, path) if name)
    return list(files)


def _field(model: ModelClass, path: Path) -> FileField:
    try:
        field = resolve(model, path).field
    except UnknownPath as error:
        raise PermanentError(str(error)) from error
    if not isinstance(field, models.FileField):
        raise PermanentError(gettext('"%(path)s" is no file field any more.') % {"path": ".".join(path)})
    return field


def _names(context: ActionContext, path: Path) -> list[str]:
    """Return the names that the object, or its rows, had; of an update, those that it has no longer."""
    now: Mapping[str, Any] = context.data.get("instance") or {}
    if context.event.operation == "delete":
        rows = [now] if len(path) == 1 else now.get(path[0]) or []
        return [_name(row, path) for row in rows]
    old: Mapping[str, Any] = context.data.get("old") or {}
    return [] if len(path) > 1 or old.get(path[0]) == now.get(path[0]) else [str(old.get(path[0]) or "")]


def _name(row: Mapping[str, Any], path: Path) -> str:
    name = row.get(path[-1])
    if name is None:
        raise PermanentError(
            gettext('The object was deleted without its field "%(path)s" having been loaded, so its file is not known.')
            % {"path": ".".join(path)}
        )
    return str(name)


def _summary(done: Mapping[str, list[str]]) -> str:
    said = {"deleted": "Deleted {}", "kept": "Kept {}", "gone": "Already gone: {}"}
    parts = [said[what].format(", ".join(names)) for what, names in done.items() if names]
    return "; ".join(parts) or "No file to delete"
