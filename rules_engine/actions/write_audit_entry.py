"""``write_audit_entry``: who changed what, when, in which request; exactly once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import find_model, readable_fields
from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.context.snapshot import Tree, clean_text, plain, tree_of
from rules_engine.errors import Problem
from rules_engine.models import AuditEntry
from rules_engine.rules import values
from rules_engine.rules.contract import Action, Clause, Preview
from rules_engine.rules.registry import register_action
from rules_engine.rules.scope import path_problem
from rules_engine.types import EVERY_FIELD, ActionContext, ActionResult, Event, Path, RuleSpec, Unread, ask


@register_action
class WriteAuditEntry(Action):
    """Add an entry to the audit trail."""

    kind = "write_audit_entry"
    label = _("Write an audit entry")
    crash_safe = True
    timings = ("after_commit", "in_transaction")
    schema = {
        "type": "object",
        "keys": {
            "fields": {
                "type": "array",
                "title": _("Fields"),
                "items": {"type": "string", "plain": True},
                "helpText": _("Fields to keep with the entry, such as email; none keeps them all."),
            },
            "operation": {
                "type": "string",
                "title": _("Operation"),
                "helpText": _("Empty: what happened, such as CREATE, UPDATE or DELETE."),
            },
            "name": {
                "type": "string",
                "title": _("Object's name"),
                "helpText": _("Such as {{ instance.first_name }} {{ instance.last_name }}"),
            },
            "note": {"type": "string", "widget": "textarea", "title": _("Note")},
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        fields = config.get("fields") or []
        if not isinstance(fields, list):
            yield Problem(
                "/fields", gettext("Expected a list of field names, and got %(names)s.") % {"names": repr(fields)}
            )
            return
        for index, name in enumerate(fields):
            trouble = path_problem(rule, ("instance", *str(name).split(".")))
            if trouble is not None:
                yield Problem(f"/fields/{index}", trouble)
        for key in ("operation", "name", "note"):
            yield from values.problems(config.get(key), rule, f"/{key}")

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        texts = {path for key in ("operation", "name", "note") for path in values.reads(config.get(key))}
        if not rule.model:
            return texts | {("signal",)}
        if not MODEL_SIGNALS.keys() & set(rule.signals):
            return texts | {("signal",)} | _kept(config)
        changes: set[Path] = {("changes", EVERY_FIELD)}
        return texts | _kept(config) | changes

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        if config.get("operation"):
            return Clause(_("write %(operation)s to the audit trail"), {"operation": config["operation"]})
        return Clause(_("write it to the audit trail"))

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        entry = _entry(context, config)
        details = {
            gettext("Object"): f"{entry.object_text} ({entry.model} {entry.object_pk})".strip(),
            gettext("Who"): entry.actor_name,
            gettext("Note"): entry.note,
            gettext("Changes"): entry.changes,
            gettext("Fields"): entry.fields,
        }
        summary = gettext("Writes %(operation)s to the audit trail") % {"operation": entry.operation}
        return Preview(summary, {name: value for name, value in details.items() if value})

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        entry = _entry(context, config)
        AuditEntry.objects.add(entry)
        return _written(entry, context.event)

    def run_many(
        self, contexts: Sequence[ActionContext], configs: Sequence[Mapping[str, Any]]
    ) -> Sequence[ActionResult | Exception]:
        entries = [ask(_entry, context, config) for context, config in zip(contexts, configs, strict=True)]
        AuditEntry.objects.add(*(entry for entry in entries if isinstance(entry, AuditEntry)))
        return [
            entry.error if isinstance(entry, Unread) else _written(entry, context.event)
            for entry, context in zip(entries, contexts, strict=True)
        ]


def _written(entry: AuditEntry, event: Event) -> ActionResult:
    about = f" of {event.model} {event.pk}" if event.model else ""
    return ActionResult(f"Wrote {entry.operation}{about}", {"changed": list(entry.changes)})


def _entry(context: ActionContext, config: Mapping[str, Any]) -> AuditEntry:
    event, data = context.event, context.data
    actor, request = data.get("actor") or {}, data.get("request") or {}
    operation = values.text(config.get("operation"), data) or _happened(event).upper()
    changes = data.get("changes") or {}
    return AuditEntry(
        id=context.execution_id,
        at=event.occurred_at,
        operation=clean_text(operation, 19),
        model=event.model,
        object_pk="" if event.pk is None else str(event.pk)[:255],
        object_text=clean_text(values.text(config.get("name"), data), 250),
        actor_id=str(actor.get("id", "")),
        actor_name=actor.get("username", ""),
        request_id=request.get("id", ""),
        request_path=clean_text(request.get("path", ""), 490),
        fields=plain(_chosen(config, event)),
        changes=plain(changes),
        note=values.text(config.get("note"), data),
        rule_slug=context.rule_slug,
        rule_version=context.rule_version,
        event_id=event.id,
    )


def _kept(config: Mapping[str, Any]) -> set[Path]:
    names: Sequence[str] = config.get("fields") or [EVERY_FIELD]
    return {("instance", *str(name).split(".")) for name in names}


def _chosen(config: Mapping[str, Any], event: Event) -> Any:
    """Return the fields to keep: what else stands in the event was read for other rules."""
    instance = event.context.get("instance")
    if not instance:
        return event.context.get("signal") or {}
    if config.get("fields"):
        return _part(instance, tree_of(frozenset(path[1:] for path in _kept(config))))
    model = find_model(event.model)
    own = {"pk", *(field.attname for field in readable_fields(model))} if model else instance.keys()
    return {name: value for name, value in instance.items() if name in own}


def _part(value: Any, tree: Tree) -> Any:
    if isinstance(value, list):
        # A number names no field: it asks for whole rows.
        of_rows = {name: below for name, below in tree.items() if not name.isdigit()}
        return [_part(row, of_rows) for row in value]
    if not isinstance(value, Mapping) or not tree:
        return value
    return {
        name: _part(part, tree.get(name, {})) for name, part in value.items() if name in tree or EVERY_FIELD in tree
    }


def _happened(event: Event) -> str:
    """Return the operation, or the signal without the app that it is of."""
    return event.operation or event.signal.rpartition(".")[2]
