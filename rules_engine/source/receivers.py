"""A rule as receivers: what they hear, the gates in the rule's order, and what they do after the commit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from django.apps import apps

from rules_engine.context.paths import ModelClass
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS, find_signal
from rules_engine.logic.variables import variables
from rules_engine.rules import registry
from rules_engine.source import logic
from rules_engine.source.comparing import equal, negated
from rules_engine.source.literals import call, comment, docstring, identifier, indented, literal, mapping, quoted
from rules_engine.source.names import columns_wanted, kind_of
from rules_engine.source.signals import signal_name
from rules_engine.source.steps import KINDS, Step, step_of
from rules_engine.source.writer import Module, Value, Writer
from rules_engine.types import ActionSpec, Path, RuleSpec

SAVES = frozenset({"pre_save", "post_save"})
DELETES = frozenset({"pre_delete", "post_delete"})
#: Kinds whose code is another one for a save than for a delete.
APART = frozenset({"write_audit_entry", "delete_files", "update_objects"})


def receivers(module: Module, rule: RuleSpec) -> list[list[str]]:
    """The functions of a rule, each as lines. The rule has no problems."""
    writer = Writer(module, rule, rule.signals)
    found = []
    for signals in _groups(rule):
        one = replace(writer, signals=signals)
        if signals == ("m2m_changed",):
            found += [_receiver(replace(one, relation=name), f"_{name}") for name in _relations(one)]
            continue
        if "post_save" in signals and columns_wanted(one, _reads(rule)):
            found.append(_remember(one))
        found.append(_receiver(one, f"_on_{signals[0]}" if len(_groups(rule)) > 1 else ""))
    return found


def _reads(rule: RuleSpec) -> set[Path]:
    found = (
        {one.path for one in variables(rule.condition) if one.within is None} if rule.condition is not None else set()
    )
    for action in _actions(rule):
        known = registry.find(action.kind) if action.kind in KINDS else None  # others print themselves
        found |= set(known.reads(action.config, rule)) if known is not None else set()
    return {path for path in found if path}


def _actions(rule: RuleSpec) -> list[ActionSpec]:
    return [action for action in rule.actions if action.enabled]


def _groups(rule: RuleSpec) -> list[tuple[str, ...]]:
    """Signals that one function can hear, in the rule's order."""
    wanted = [
        name
        for name in dict.fromkeys(rule.signals)
        if not rule.operations or not OPERATIONS.get(name) or set(OPERATIONS[name]) & set(rule.operations)
    ]
    named = tuple(name for name in wanted if name not in MODEL_SIGNALS)
    own = [name for name in wanted if name in MODEL_SIGNALS]
    together = len(own) > 1 and set(own) <= {"post_save", "post_delete"} and _is_alike(rule)
    groups = [tuple(own)] if together else [(name,) for name in own]
    return [*groups, *([named] if named else [])]


def _is_alike(rule: RuleSpec) -> bool:
    roots = {path[0] if path[0] != "event" else ".".join(path) for path in _reads(rule)}
    apart = {"old", "changed", "changes", "created", "m2m", "event.operation", "event.signal", "event"}
    return not (roots & apart or rule.changes or rule.operations or {one.kind for one in _actions(rule)} & APART)


def _relations(writer: Writer) -> list[str]:
    """The many-to-many relations of the model by their names there, those of others' fields that lead to it too."""
    if writer.model is None:
        return []
    own = [field.name for field in writer.model._meta.many_to_many]
    named = [str(change.get("field")) for change in writer.rule.changes]
    return [name for name in [*own, *_from_others(writer.model)] if not named or name in named]


def _from_others(model: ModelClass) -> list[str]:
    relations = [one for one in model._meta.related_objects if one.many_to_many and not one.hidden]
    return [name for name in (one.get_accessor_name() for one in relations) if name]


def _heard(writer: Writer) -> list[ModelClass]:
    """The senders: for saves the model's descendants too, for deletes its proxies, as the rule hears them."""
    model = writer.model
    if model is None:
        return []
    found = [one for one in apps.get_models() if issubclass(one, model)]
    if not SAVES & set(writer.signals):
        found = [one for one in found if one._meta.concrete_model is model._meta.concrete_model]
    return sorted(found, key=lambda one: (one is not model, one._meta.label_lower))


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
        senders = [module.model(one) for one in _heard(writer)] if is_models else []
    uid = f"dispatch_uid={quoted(uid)}"
    return ["@" + call(receiver, [signals, *([f"sender={one}"] if one else []), uid]) for one in senders or [""]]


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
    return [
        *_decorators(before, uid),
        f"def {name}(sender, instance, **kwargs):",
        '    """Keep the stored values for the receiver of post_save."""',
        '    if not kwargs.get("raw"):',
        *indented([f"instance.{_kept(writer)} = {_stored(writer)}"], 2),
    ]


def _kept(writer: Writer) -> str:
    return f"_before_{identifier(writer.rule.slug)}"


def _stored(writer: Writer) -> str:
    model = writer.model
    name = writer.module.model(model) if model is not None else "None"
    columns = [quoted(column) for column in columns_wanted(writer, _reads(writer.rule))]
    return call(f"{name}._base_manager.filter(pk=instance.pk).values", columns) + ".first()"


def _receiver(writer: Writer, ending: str) -> list[str]:
    rule = writer.rule
    name = writer.module.free(identifier(rule.slug) + ending)
    does = [*_gates(writer), *_doing(writer)]
    is_sent_along = not set(writer.signals) & set(MODEL_SIGNALS) and writer.model is not None
    sent = ['instance = kwargs.get("instance")'] if is_sent_along and _reads_instance(does) else []
    body = [docstring(rule.name or rule.slug), *sent, *does]
    uid = rule.slug + (f".{writer.relation}" if writer.relation else "")
    return [*_decorators(writer, uid), f"def {name}({_parameters(writer)}):", *indented(body)]


def _unless(test: str) -> list[str]:
    return [f"if {test}:", *indented(["return"])]


def _gates(writer: Writer) -> list[str]:
    rule = writer.rule
    parts = logic.condition(writer, rule.condition) if rule.condition is not None else []
    condition = [line for part in parts for line in _unless(negated(part))]
    return [*_at_first(writer), *_history(writer), *_change_gates(writer), *condition]


def _at_first(writer: Writer) -> list[str]:
    wanted, signals = set(writer.rule.operations), set(writer.signals)
    lines = _unless('kwargs.get("raw")') if SAVES & signals else []
    if "pre_save" in signals and (
        len(wanted) == 1 or _roots(writer) & {"created", "old", "changes", "changed", "event"}
    ):
        lines.append("created = instance._state.adding")
    if SAVES & signals and len(wanted & {"create", "update"}) == 1:
        lines += _unless("not created" if "create" in wanted else "created")
    if "m2m_changed" in signals:
        happened = [f"post_{name}" for name in OPERATIONS["m2m_changed"] if not wanted or name in wanted]
        listed = ", ".join(map(quoted, happened)) + ("," if len(happened) == 1 else "")
        lines += comment("Changes made from the other side of the relation are not heard here; the rule hears them.")
        own = writer.model is not None and writer.relation not in _from_others(writer.model)
        lines += _unless(f"{'reverse' if own else 'not reverse'} or action not in ({listed})")
    return lines


def _roots(writer: Writer) -> set[str]:
    """What the rule's code reads, by the first name of each path."""
    found = {path[0] for path in _reads(writer.rule)}
    if writer.rule.changes and not writer.relation:
        found.add("changes")
    audits = any(action.kind == "write_audit_entry" for action in _actions(writer.rule))
    # An audit entry of a delete has no changes; that other parts of the rule would read them there is no loss.
    return found - {"changes"} if audits and writer.deletes else found


def _history(writer: Writer) -> list[str]:
    """The locals ``old``, ``changes`` and ``changed``, where something reads them."""
    reads, roots = _reads(writer.rule), _roots(writer)
    if not roots & {"old", "changes", "changed"}:
        return []
    if writer.relation:
        known = {"old": "None", "changes": "{}", "changed": f"[{quoted(writer.relation)}]"}
        return [f"{name} = {code}" for name, code in known.items() if name in roots]
    columns = columns_wanted(writer, reads)
    if not SAVES & set(writer.signals):
        own = mapping({name: f"instance.{name}" for name in columns}) if writer.deletes else "None"
        empty = {"old": own, "changes": "{}", "changed": "[]"}
        return [f"{name} = {code}" for name, code in empty.items() if name in roots]
    stored = (
        _stored(writer) if "pre_save" in writer.signals else f"instance.__dict__.pop({quoted(_kept(writer))}, None)"
    )
    names = [quoted(field.name) for field in columns.values()]
    arguments = ["instance", "None if created else old", call("", names, "[]"), 'kwargs.get("update_fields")']
    lines = [f"old = {stored}", "changes = " + call(writer.module.function("changes_of"), arguments)]
    return [*lines, "changed = list(changes)"] if "changed" in roots else lines


def _change_gates(writer: Writer) -> list[str]:
    lines = []
    for change in writer.rule.changes if not writer.relation else ():
        name = str(change["field"])
        lines += _unless(f"{quoted(name)} not in changes")
        for key, end in (("from", "old"), ("to", "new")):
            if key in change:
                lines += _unless(_differs(writer, name, end, change[key]))
    return lines


def _differs(writer: Writer, name: str, end: str, value: object) -> str:
    left = Value(f"changes[{quoted(name)}][{quoted(end)}]", "any")
    if value is None:
        return f"{left.code} is not None"
    model = writer.model
    field = model._meta.get_field(name) if model is not None else None
    if isinstance(value, str) and kind_of(field) == "text":
        return f"{left.code} != {literal(value)}"
    found = equal(writer, [left, Value(literal(value), "any", constant=(value,))], False)
    return found.code if found is not None else "False"


def _doing(writer: Writer) -> list[str]:
    lines: list[str] = []
    later: list[tuple[str, Step]] = []
    for action in _actions(writer.rule):
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
