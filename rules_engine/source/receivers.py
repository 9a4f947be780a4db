"""A rule as receivers: what they hear, the gates in the rule's order, and what they do after the commit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.apps import apps

from rules_engine.context.paths import ModelClass
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS, SAVE_SIGNALS, find_signal
from rules_engine.source import gates
from rules_engine.source.literals import call, comment, docstring, identifier, indented, quoted
from rules_engine.source.names import columns_wanted
from rules_engine.source.signals import signal_name
from rules_engine.source.steps import Step, step_of
from rules_engine.source.writer import Module, Writer
from rules_engine.types import RuleSpec

#: Kinds whose code is another one for a save than for a delete.
APART = frozenset({"write_audit_entry", "delete_files", "update_objects"})


def receivers(module: Module, rule: RuleSpec) -> list[list[str]]:
    """Return the functions of a rule, each as lines. The rule has no problems."""
    whole = Writer(module, rule, rule.signals)
    groups = _groups(rule)
    functions = []
    for signals in groups:
        writer = replace(whole, signals=signals)
        if signals == ("m2m_changed",):
            functions += [_receiver(replace(writer, relation=name), f"_{name}") for name in _relations(writer)]
            continue
        if "post_save" in signals and columns_wanted(writer, gates.reads_of(rule)):
            functions.append(_remember(writer))
        functions.append(_receiver(writer, f"_on_{identifier(signals[0])}" if len(groups) > 1 else ""))
    return functions


def _groups(rule: RuleSpec) -> list[tuple[str, ...]]:
    """Yield signals that one function can hear, in the rule's order."""
    wanted = [
        name
        for name in dict.fromkeys(rule.signals)
        if not rule.operations or not OPERATIONS.get(name) or set(OPERATIONS[name]) & set(rule.operations)
    ]
    named = tuple(name for name in wanted if name not in MODEL_SIGNALS)
    groups: list[tuple[str, ...]]
    own = [name for name in wanted if name in MODEL_SIGNALS]
    if len(own) > 1 and set(own) <= {"post_save", "post_delete"} and _is_alike(rule):
        groups = [tuple(own)]
    else:
        groups = [(name,) for name in own]
    if named:
        groups.append(named)
    return groups


def _is_alike(rule: RuleSpec) -> bool:
    roots = {path[0] if path[0] != "event" else ".".join(path) for path in gates.reads_of(rule)}
    apart = {"old", "changed", "changes", "created", "m2m", "event.operation", "event.signal", "event"}
    kinds = {action.kind for action in gates.actions_of(rule)}
    return not (roots & apart or rule.changes or rule.operations or kinds & APART)


def _relations(writer: Writer) -> list[str]:
    """Return the many-to-many relations of the model by their names there, those of others' fields that lead to it
    too."""
    if writer.model is None:
        return []
    own = [field.name for field in writer.model._meta.many_to_many]
    named = [str(change.get("field")) for change in writer.rule.changes]
    return [name for name in [*own, *gates.relations_from_others(writer.model)] if not named or name in named]


def _heard(writer: Writer) -> list[ModelClass]:
    """Return the senders: for saves the model's descendants too, for deletes its proxies, as the rule hears them."""
    model = writer.model
    if model is None:
        return []
    senders = [sender for sender in apps.get_models() if issubclass(sender, model)]
    if not SAVE_SIGNALS & set(writer.signals):
        senders = [sender for sender in senders if sender._meta.concrete_model is model._meta.concrete_model]
    return sorted(senders, key=lambda sender: (sender is not model, sender._meta.label_lower))


def _decorators(writer: Writer, uid: str) -> list[str]:
    module = writer.module
    receiver = module.use("django.dispatch", "receiver")
    names = []
    for name in writer.signals:
        named = find_signal(name) if name not in MODEL_SIGNALS else None
        names.append(signal_name(module, name, named.signal if named else None))
    signals = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    if writer.relation and writer.model is not None:
        senders = [f"{module.model(writer.model)}.{writer.relation}.through"]
    else:
        is_models = set(writer.signals) & set(MODEL_SIGNALS)
        senders = [module.model(sender) for sender in _heard(writer)] if is_models else []
    uid = f"dispatch_uid={quoted(uid)}"
    if not senders:
        return ["@" + call(receiver, [signals, uid])]
    return ["@" + call(receiver, [signals, f"sender={sender}", uid]) for sender in senders]


def _parameters(writer: Writer) -> str:
    if writer.signals == ("post_save",):
        return "sender, instance, created, **kwargs"
    if writer.signals == ("m2m_changed",):
        return "sender, instance, action, reverse, pk_set, **kwargs"
    return "sender, instance, **kwargs" if set(writer.signals) <= set(MODEL_SIGNALS) else "sender, **kwargs"


def _remember(writer: Writer) -> list[str]:
    before = replace(writer, signals=("pre_save",))
    uid = f"{writer.rule.slug}.before"
    name = writer.module.free(f"{identifier(writer.rule.slug)}_before")
    keep = [f"instance.{gates.kept(writer)} = {gates.stored(writer)}"]
    return [
        *_decorators(before, uid),
        f"def {name}(sender, instance, **kwargs):",
        '    """Keep the stored values for the receiver of post_save."""',
        *indented(keep if writer.rule.raw else ['if not kwargs.get("raw"):', *indented(keep)]),
    ]


def _receiver(writer: Writer, ending: str) -> list[str]:
    rule = writer.rule
    name = writer.module.free(identifier(rule.slug) + ending)
    does = [*gates.lines(writer), *doing(writer)]
    is_sent_along = not set(writer.signals) & set(MODEL_SIGNALS) and writer.model is not None
    sent = ['instance = kwargs.get("instance")'] if is_sent_along and _reads_instance(does) else []
    body = [docstring(rule.name or rule.slug), *sent, *does]
    uid = rule.slug + (f".{writer.relation}" if writer.relation else "")
    return [*_decorators(writer, uid), f"def {name}({_parameters(writer)}):", *indented(body)]


def doing(writer: Writer) -> list[str]:
    """Return the lines that do what the rule does, those of after the commit in functions of their own."""
    lines: list[str] = []
    later: list[tuple[str, Step]] = []
    for action in gates.actions_of(writer.rule):
        step = step_of(writer, action)
        lines += step.before
        if action.timing == "after_commit":
            later.append((action.kind, step))
        else:
            lines += step.lines
    return [*lines, *_after_commit(writer, later)] or ["pass"]


def _after_commit(writer: Writer, steps: Sequence[tuple[str, Step]]) -> list[str]:
    if not steps:
        return []
    transaction = writer.module.use("django.db", "transaction")
    lines = []
    if set(writer.signals) & {"pre_save", "pre_delete"}:
        lines += comment("Outside of a transaction this happens before the change itself; the rule waits for that.")
    if "instance" in _parameters(writer) and any(_reads_instance(step.lines) for _, step in steps):
        lines += [*comment("As it is now: by the commit its fields may be others, and its key gone.")]
        lines.append(f"instance = {writer.module.use('copy', 'copy')}(instance)")
    taken: set[str] = set()
    for kind, step in steps:
        name = _free(f"then_{identifier(kind)}", taken)
        lines += ["", f"def {name}():", *indented(step.lines), ""]
        lines.append(f"{transaction}.on_commit({name}, robust=True)")
    return lines


def _reads_instance(lines: Iterable[str]) -> bool:
    return any(re.search(r"\binstance\b", line) for line in lines)


def _free(name: str, taken: set[str]) -> str:
    number, candidate = 1, name
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate
