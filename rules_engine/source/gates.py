"""The gates of a rule as Python: one after the other, in the order in which the rule passes them.

Each of ``rules.gates.GATES`` is in one of three tables: lines of code, a comment where receivers cannot do as the rule
does, or the reason why nothing is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rules_engine.context.paths import ModelClass
from rules_engine.context.signals import OPERATIONS, SAVE_SIGNALS
from rules_engine.logic.variables import variables
from rules_engine.rules import registry
from rules_engine.rules.gates import GATES
from rules_engine.source import logic
from rules_engine.source.comparing import equal, negated
from rules_engine.source.literals import call, comment, identifier, indented, literal, mapping, quoted
from rules_engine.source.names import columns_wanted, kind_of
from rules_engine.source.steps import KINDS
from rules_engine.source.writer import Value, Writer
from rules_engine.types import ActionSpec, GateName, Path, RuleSpec


def lines(writer: Writer) -> list[str]:
    """Return the lines that return where the rule would stop."""
    return [line for gate in GATES if gate.name in CODE for line in CODE[gate.name](writer)]


def comments(rule: RuleSpec) -> Iterator[str]:
    """Yield what the rule's other gates come to, which receivers do not know."""
    for gate in GATES:
        if gate.name in COMMENTS and (said := COMMENTS[gate.name](rule)):
            yield said


def _unless(test: str) -> list[str]:
    return [f"if {test}:", *indented(["return"])]


def _loaded_data(writer: Writer) -> list[str]:
    if writer.rule.raw or not SAVE_SIGNALS & set(writer.signals):
        return []
    return _unless('kwargs.get("raw")')


def _dates(rule: RuleSpec) -> str:
    return "It is active between two dates" if rule.active_from or rule.active_until else ""


def _sample(rule: RuleSpec) -> str:
    return f"It is tried on {rule.sample_percent} percent of all events" if rule.sample_percent != 100 else ""


def _operations(writer: Writer) -> list[str]:
    wanted, signals = set(writer.rule.operations), set(writer.signals)
    code = []
    if "pre_save" in signals and (
        len(wanted) == 1 or _roots(writer) & {"created", "old", "changes", "changed", "event"}
    ):
        code.append("created = instance._state.adding")
    if SAVE_SIGNALS & signals and len(wanted & {"create", "update"}) == 1:
        code += _unless("not created" if "create" in wanted else "created")
    return code + _relation(writer) if "m2m_changed" in signals else code


def _relation(writer: Writer) -> list[str]:
    """Return the change of a relation: on the side that the code hears, of the kinds that the rule asks for."""
    wanted = set(writer.rule.operations)
    happened = [f"post_{name}" for name in OPERATIONS["m2m_changed"] if not wanted or name in wanted]
    listed = ", ".join(map(quoted, happened)) + ("," if len(happened) == 1 else "")
    is_own = writer.model is not None and writer.relation not in relations_from_others(writer.model)
    side = "reverse" if is_own else "not reverse"
    return [
        *comment("Changes made from the other side of the relation are not heard here; the rule hears them."),
        *_unless(f"{side} or action not in ({listed})"),
    ]


def _changes(writer: Writer) -> list[str]:
    """Return what changed, for all that follows, and whether that is what the rule asks for."""
    code = _history(writer)
    for change in writer.rule.changes if not writer.relation else ():
        name = str(change["field"])
        code += _unless(f"{quoted(name)} not in changes")
        for key, end in (("from", "old"), ("to", "new")):
            if key in change:
                code += _unless(_differs(writer, name, end, change[key]))
    return code


def _history(writer: Writer) -> list[str]:
    """Return the locals ``old``, ``changes`` and ``changed``, where something reads them."""
    reads, roots = reads_of(writer.rule), _roots(writer)
    if not roots & {"old", "changes", "changed"}:
        return []
    if writer.relation:
        known = {"old": "None", "changes": "{}", "changed": f"[{quoted(writer.relation)}]"}
        return [f"{name} = {code}" for name, code in known.items() if name in roots]
    columns = columns_wanted(writer, reads)
    if not SAVE_SIGNALS & set(writer.signals):
        own = mapping({name: f"instance.{name}" for name in columns}) if writer.deletes else "None"
        empty = {"old": own, "changes": "{}", "changed": "[]"}
        return [f"{name} = {code}" for name, code in empty.items() if name in roots]
    before = stored(writer) if "pre_save" in writer.signals else f"instance.__dict__.pop({quoted(kept(writer))}, None)"
    names = [quoted(field.name) for field in columns.values()]
    arguments = ["instance", "None if created else old", call("", names, "[]"), 'kwargs.get("update_fields")']
    code = [f"old = {before}", "changes = " + call(writer.module.function("changes_of"), arguments)]
    return [*code, "changed = list(changes)"] if "changed" in roots else code


def _differs(writer: Writer, name: str, end: str, value: object) -> str:
    left = Value(f"changes[{quoted(name)}][{quoted(end)}]", "any")
    if value is None:
        return f"{left.code} is not None"
    model = writer.model
    field = model._meta.get_field(name) if model is not None else None
    if isinstance(value, str) and kind_of(field) == "text":
        return f"{left.code} != {literal(value)}"
    compared = equal(writer, [left, Value(literal(value), "any", constant=(value,))], False)
    return compared.code if compared is not None else "False"


def _condition(writer: Writer) -> list[str]:
    if writer.rule.condition is None:
        return []
    return [line for part in logic.condition(writer, writer.rule.condition) for line in _unless(negated(part))]


CODE: Mapping[GateName, Callable[[Writer], list[str]]] = {
    "loaded_data": _loaded_data,
    "operations": _operations,
    "changes": _changes,
    "condition": _condition,
}
COMMENTS: Mapping[GateName, Callable[[RuleSpec], str]] = {"dates": _dates, "sample": _sample}
#: Why nothing is written of a gate among the lines.
UNWRITTEN: Mapping[GateName, str] = {
    "signals": "a receiver is decorated with what it hears",
    "own_change": "a receiver cannot tell who saves, and what a rule changes is seldom what it listens to",
}


def actions_of(rule: RuleSpec) -> list[ActionSpec]:
    """Return the actions that are switched on."""
    return [action for action in rule.actions if action.enabled]


def reads_of(rule: RuleSpec) -> set[Path]:
    """Return the paths that the rule's code reads."""
    paths: set[Path] = set()
    if rule.condition is not None:
        paths |= {variable.path for variable in variables(rule.condition) if variable.within is None}
    for action in actions_of(rule):
        kind = registry.find(action.kind) if action.kind in KINDS else None  # others print themselves
        paths |= set(kind.reads(action.config, rule)) if kind is not None else set()
    return {path for path in paths if path}


def _roots(writer: Writer) -> set[str]:
    """Return what the rule's code reads, by the first name of each path."""
    roots = {path[0] for path in reads_of(writer.rule)}
    if writer.rule.changes and not writer.relation:
        roots.add("changes")
    audits = any(action.kind == "write_audit_entry" for action in actions_of(writer.rule))
    # An audit entry of a delete has no changes; that other parts of the rule would read them there is no loss.
    return roots - {"changes"} if audits and writer.deletes else roots


def relations_from_others(model: ModelClass) -> list[str]:
    """Return the names, on the model, of the many-to-many relations that others' fields make."""
    relations = [field for field in model._meta.related_objects if field.many_to_many and not field.hidden]
    return [name for name in (relation.get_accessor_name() for relation in relations) if name]


def kept(writer: Writer) -> str:
    """Return the attribute on which the stored values wait for the save."""
    return f"_before_{identifier(writer.rule.slug)}"


def stored(writer: Writer) -> str:
    """Return the query for the stored values of the columns that are wanted."""
    model = writer.model
    name = writer.module.model(model) if model is not None else "None"
    columns = [quoted(column) for column in columns_wanted(writer, reads_of(writer.rule))]
    return call(f"{name}._base_manager.filter(pk=instance.pk).values", columns) + ".first()"
