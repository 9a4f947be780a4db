"""Actions as the body of a function. What a kind here has no form for may have one of its own: ``Action.python``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rules_engine.context.paths import readable_fields
from rules_engine.context.signals import SAVE_SIGNALS, find_signal
from rules_engine.rules import registry
from rules_engine.source import rows
from rules_engine.source.literals import call, comment, indented, keywords, literal, mapping, quoted
from rules_engine.source.names import context_value
from rules_engine.source.signals import signal_name
from rules_engine.source.texts import text_of, value_of
from rules_engine.source.writer import Value, Writer
from rules_engine.types import ActionSpec

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """What one action does. ``before`` runs at once, to keep what is gone by the commit."""

    lines: tuple[str, ...]
    before: tuple[str, ...] = ()


def step_of(writer: Writer, action: ActionSpec) -> Step:
    """Return the action in Python, in a loop where it is carried out for each of some rows."""
    if action.for_each is None:
        return _once(writer, action)
    written = action.for_each
    rows = context_value(writer, tuple(written.split("."))) if isinstance(written, str) else value_of(writer, written)
    if writer.deletes and rows.kind == "rows":
        return Step((*comment("For each row, and those are gone by now; the rule kept them."), "pass"))
    step = _once(replace(writer, each=rows.model), action)
    return Step((f"for each in {rows.code}:", *indented(step.lines)), step.before)


def _once(writer: Writer, action: ActionSpec) -> Step:
    build = KINDS.get(action.kind)
    if build is not None:
        return build(writer, action.config)
    known = registry.find(action.kind)
    if known is None:
        return Step((*comment(registry.unknown(action.kind)), "pass"))
    return Step(tuple(_own(known.python(action.config, writer.rule), action)))


def _own(lines: Any, action: ActionSpec) -> list[str]:
    """Return the action's own lines, as code where they are code, else as comments."""
    written = [line for piece in lines for line in str(piece).split("\n")]
    source = "\n".join(["def step(instance):", *indented([*written, "pass"])])
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return [*(line for code in written for line in comment(code)), "pass"]
    only = len(tree.body) == 1 and isinstance(tree.body[0], ast.FunctionDef)
    if not only:
        return [*(line for code in written for line in comment(code)), "pass"]
    has_code = len(tree.body[0].body) > 1  # type: ignore[attr-defined]
    return written if has_code else [*written, "pass"]


def _send_email(writer: Writer, config: Config) -> Step:
    to = config.get("to")
    written_to = to if isinstance(to, list) else [to]
    addresses = [value_of(writer, address) for address in written_to if address not in (None, "")]
    listed = call("", [address.code for address in addresses], "[]")
    subject = text_of(writer, config.get("subject"))
    written = subject.constant[0] if subject.constant else "\n"
    one_line = (
        subject.code
        if " ".join(written.split()) == written
        else call(writer.module.function("one_line"), [subject.code])
    )
    lines = [f"subject = {one_line}", f"body = {text_of(writer, config.get('body')).code}"]
    html = bool(config.get("html")) or config.get("html_from_text") is True
    if config.get("html"):
        lines.append(f"html = {text_of(writer, config['html'], autoescape=True).code}")
    elif html:
        lines.append(
            f"html = {writer.module.use('django.utils.html', 'linebreaks')}"
            f"({writer.module.use('django.utils.html', 'urlize')}(body, autoescape=True))"
        )
    if all(address.constant for address in addresses):
        lines.append(f"for address in {listed}:")
    else:
        lines.append(f"for address in dict.fromkeys(filter(None, {listed})):")
    return Step((*lines, *indented(_message(writer, config, html))))


def _message(writer: Writer, config: Config, html: bool) -> list[str]:
    if not config.get("reply_to"):
        send = writer.module.use("django.core.mail", "send_mail")
        arguments = ["subject", "body", "None", "[address]"]
        return [call(send, [*arguments, "html_message=html"] if html else arguments)]
    message = writer.module.use("django.core.mail", "EmailMultiAlternatives")
    reply_to = f"reply_to=[{text_of(writer, config['reply_to']).code}]"
    lines = ["message = " + call(message, ["subject", "body", "None", "[address]", reply_to])]
    if html:
        lines.append('message.attach_alternative(html, "text/html")')
    return [*lines, "message.send()"]


def _delete_cache_keys(writer: Writer, config: Config) -> Step:
    keys = call("", [text_of(writer, key).code for key in config.get("keys") or ()], "[]")
    alias = config.get("cache") or "default"
    if alias == "default":
        return Step((f"{writer.module.use('django.core.cache', 'cache')}.delete_many({keys})",))
    return Step((f"{writer.module.use('django.core.cache', 'caches')}[{quoted(alias)}].delete_many({keys})",))


def _log_message(writer: Writer, config: Config) -> Step:
    writer.module.use_module("logging")
    fields = {
        str(row.get("name")): text_of(writer, row.get("value")).code
        for row in config.get("fields") or ()
        if isinstance(row, Mapping)
    }
    extra = mapping({"rule": quoted(writer.rule.slug), "fields": mapping(fields)})
    message = text_of(writer, config.get("message")).code
    return Step((call(f"logger.{config.get('level') or 'info'}", ['"%s"', message, f"extra={extra}"]),))


def _write_audit_entry(writer: Writer, config: Config) -> Step:
    entry = writer.module.use("rules_engine.models", "AuditEntry")
    model = writer.model
    names = config.get("fields") or ([field.name for field in readable_fields(model)] if model else [])
    kept = {str(name): context_value(writer, ("instance", *_column(writer, str(name)))).code for name in names}
    operation = text_of(writer, config.get("operation"))
    if not config.get("operation"):
        operation = context_value(writer, ("event", "operation"))
        operation = Value(
            quoted(str(operation.constant[0] or writer.signals[0]).upper())
            if operation.constant
            else f"{operation.at(12)}.upper()"
        )
    plain = writer.module.function("plain")
    columns = {
        "at": f"{writer.module.use('django.utils', 'timezone')}.now()",
        "operation": operation.code,
        "model": quoted(writer.rule.model),
        "object_pk": "str(instance.pk)" if model else '""',
        "object_text": text_of(writer, config.get("name")).code,
        "fields": call(plain, [mapping(kept)]) if model else f"{plain}(kwargs)",
        "changes": f"{plain}(changes)" if _has_changes(writer) else "{}",
        "note": text_of(writer, config.get("note")).code,
        "rule_slug": quoted(writer.rule.slug),
        "rule_version": "0",
    }
    return Step((call(f"{entry}.objects.create", keywords(columns)),))


def _column(writer: Writer, name: str) -> tuple[str, ...]:
    fields = {field.name: field.attname for field in readable_fields(writer.model)} if writer.model else {}
    return tuple(fields.get(name, name).split("."))


def _has_changes(writer: Writer) -> bool:
    return bool({"pre_save", "post_save"} & set(writer.signals))


def _set_fields(writer: Writer, config: Config) -> Step:
    """Work out all values before any is set, as the rule does it."""
    lines, last = [], []
    listed = [row for row in config.get("fields") or () if isinstance(row, Mapping)]
    for number, row in enumerate(listed):
        name = f"instance.{row['field']}"
        code = rows.field_value(writer, writer.model, str(row["field"]), row.get("value"))
        later = [f"{name} = {code}"]
        if len(listed) > 1 and any(f"instance.{other['field']}" in code for other in listed[:number]):
            lines.append(f"new_{row['field']} = {code}")
            later = [f"{name} = new_{row['field']}"]
        if row.get("only_if_empty"):
            empty = f"if {name} in (None, {literal('')}, [], {{}}):"
            later = [f"if not {name}:" if rows.is_text(writer.model, str(row["field"])) else empty, *indented(later)]
        last += later
    return Step((*lines, *last))


def _delete_files(writer: Writer, config: Config) -> Step:
    fields = config.get("fields")
    before, lines = [], []
    for index, path in enumerate(fields if isinstance(fields, list) else [fields]):
        keep, delete = _one_file(writer, str(path).split("."), index)
        before += keep
        lines += delete
    return Step(tuple(lines), tuple(before))


def _one_file(writer: Writer, path: list[str], index: int) -> tuple[list[str], list[str]]:
    delete = writer.module.function("delete_unused")
    own = writer.model
    model = writer.module.model(own) if own is not None else "None"
    if len(path) > 1:
        related = context_value(writer, ("instance", path[0]))
        owner = writer.module.model(related.model) if related.model is not None else "None"
        name = f"{path[0]}_files" if not index else f"{path[0]}_files_{index}"
        before = [f"{name} = [row.{path[1]}.name for row in {related.code}]"]
        return before, [f"for name in {name}:", *indented([f"{delete}({owner}, {quoted(path[1])}, name)"])]
    if SAVE_SIGNALS & set(writer.signals):
        test = f"if old and old[{quoted(path[0])}] != instance.{path[0]}.name:"
        return [], [test, *indented([f"{delete}({model}, {quoted(path[0])}, old[{quoted(path[0])}])"])]
    return [], [f"{delete}({model}, {quoted(path[0])}, instance.{path[0]}.name)"]


def _arguments(writer: Writer, config: Config) -> dict[str, str]:
    listed = [row for row in config.get("arguments") or () if isinstance(row, Mapping)]
    return {str(row["name"]): value_of(writer, row.get("value")).code for row in listed}


def _send_signal(writer: Writer, config: Config) -> Step:
    name = str(config.get("signal"))
    named = find_signal(name)
    sender = writer.module.model(writer.model) if writer.model is not None else "None"
    sent = {"sender": sender}
    if config.get("with_object"):
        sent["instance"] = f"{sender}._base_manager.get(pk=instance.pk)"
    sent |= _arguments(writer, config)
    signal = signal_name(writer.module, name, named.signal if named else None)
    return Step((call(f"{signal}.send_robust", keywords(sent)),))


def _run_task(writer: Writer, config: Config) -> Step:
    app = writer.module.use("celery", "current_app")
    sent = _arguments(writer, config)
    arguments = [quoted(str(config.get("task")))]
    if sent:
        arguments.append(f"kwargs={mapping(sent)}")
    if config.get("queue"):
        arguments.append(f"queue={quoted(config['queue'])}")
    return Step((call(f"{app}.send_task", arguments),))


def _reject(writer: Writer, config: Config) -> Step:
    error = writer.module.use("django.core.exceptions", "ValidationError")
    message = text_of(writer, config.get("message")).code
    field = str(config.get("field") or "")
    return Step((call(f"raise {error}", [mapping({field: message}) if field else message]),))


KINDS: Mapping[str, Callable[[Writer, Config], Step]] = {
    "send_email": _send_email,
    "delete_cache_keys": _delete_cache_keys,
    "log_message": _log_message,
    "write_audit_entry": _write_audit_entry,
    "set_fields": _set_fields,
    "delete_files": _delete_files,
    "reject": _reject,
    "send_signal": _send_signal,
    "run_task": _run_task,
    "create_object": lambda writer, config: Step(tuple(rows.create_lines(writer, config))),
    "update_objects": lambda writer, config: Step(
        tuple(rows.update_lines(writer, config)), tuple(rows.kept_lines(writer, config))
    ),
}
