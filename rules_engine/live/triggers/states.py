"""Whether the triggers of a model's tables are what its live rules need now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rules_engine.context.paths import ModelClass, find_model, label_of
from rules_engine.databases.triggers import triggers_of
from rules_engine.databases.triggers.tables import TableCapture
from rules_engine.live import cache
from rules_engine.live.triggers.needs import TOLD, NotByTriggers, need, tables_of, together
from rules_engine.models.captures.captured import CapturedChange, InstalledTrigger
from rules_engine.rules.matching import CompiledRule

#: ``none``: there are no triggers, and nobody has asked for any.
#: ``made_otherwise``: they tell all that is needed, and an earlier release made them in another way than this one does.
StateName = Literal["installed", "made_otherwise", "out_of_date", "missing", "no_longer_needed", "none"]


@dataclass(frozen=True, slots=True)
class TableState:
    """The triggers of one table, beside what live rules need of it."""

    #: The label of the model, or of a many-to-many relation's rows.
    label: str
    table: str
    state: StateName
    #: The columns that are needed and not captured.
    columns: tuple[str, ...] = ()
    #: What they capture; None where there are none.
    captures: TableCapture | None = None
    #: What live rules need; None where none needs anything.
    needs: TableCapture | None = None
    #: Why rules have to hear signals all the same, by their slugs.
    by_signals: Mapping[str, str] | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether they are to be installed again: rules miss writes, are told by signals though there are triggers, or
        something is mended that an earlier release did."""
        return self.state in ("missing", "out_of_date", "made_otherwise")


DESCRIBED: Mapping[StateName, str] = {
    "installed": "installed",
    "made_otherwise": "made by an earlier release, which did it in another way",
    "out_of_date": "out of date",
    "missing": "missing: they were installed, and are not in the database",
    "no_longer_needed": "no longer needed: no live rule is told by them",
    "none": "none",
}


def described(table: TableState) -> str:
    """Say in English how a table's triggers are."""
    needs = f" (needs {', '.join(table.columns)})" if table.columns else ""
    return f"{DESCRIBED[table.state]}{needs}"


@dataclass(frozen=True, slots=True)
class TriggerState:
    """The triggers that tell a model's rules: those of its own table and of its relations' rows."""

    model: str
    #: The worst of its tables.
    state: StateName
    tables: tuple[TableState, ...]
    #: What mends it; empty where nothing is to be done.
    command: str = ""
    #: Whether the database can have triggers of ours at all.
    is_possible: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are needed and not captured."""
        return tuple(dict.fromkeys(column for table in self.tables for column in table.columns))


#: From bad to good.
_ORDER: Sequence[StateName] = ("missing", "out_of_date", "made_otherwise", "no_longer_needed", "installed", "none")


def state_of(model: ModelClass, rules: Iterable[CompiledRule] | None = None) -> TriggerState:
    """Return how the triggers of a model are, for its live rules or for others. Some queries."""
    using = cache.alias()
    known = {row.model: row for row in InstalledTrigger.objects.using(using)}
    needs, excluded = needs_of(cache.current().rules if rules is None else rules)
    labels = [label_of(model), *_relations(model, known, needs)]
    tables = tuple(_table_state(label, known.get(label), needs.get(label), excluded, using) for label in labels)
    state = min((table.state for table in tables), key=_ORDER.index)
    step = "remove" if state == "no_longer_needed" else "install"
    command = f"manage.py rules_triggers {step} {label_of(model)}" if state not in ("installed", "none") else ""
    return TriggerState(label_of(model), state, tables, command, triggers_of(using) is not None)


def states(rules: Iterable[CompiledRule] | None = None) -> list[TableState]:
    """Return how the triggers are that were ever installed, by label."""
    using = cache.alias()
    needs, excluded = needs_of(cache.current().rules if rules is None else rules)
    rows = InstalledTrigger.objects.using(using).order_by("model")
    return [_table_state(row.model, row, needs.get(row.model), excluded, using) for row in rows]


def _relations(
    model: ModelClass, known: Mapping[str, InstalledTrigger], needs: Mapping[str, TableCapture]
) -> list[str]:
    throughs = {field.remote_field.through for field in model._meta.many_to_many}
    labels = sorted(label_of(through) for through in throughs if through is not None)
    return [label for label in labels if label in known or label in needs]


def needs_of(rules: Iterable[CompiledRule]) -> tuple[dict[str, TableCapture], dict[str, dict[str, str]]]:
    """Return what rules need of each table, by the label of its model, and why some have to hear signals instead."""
    needs: dict[str, list[TableCapture]] = {}
    excluded: dict[str, dict[str, str]] = {}
    for rule in rules:
        model = find_model(rule.model) if rule.model and rule.slug else None
        if model is None:
            continue
        for signal in sorted(rule.signals.intersection(TOLD)):
            for table in tables_of(model, rule, signal):
                try:
                    needs.setdefault(label_of(table), []).append(need(model, rule, signal, table))
                except NotByTriggers as reason:
                    excluded.setdefault(label_of(table), {})[rule.slug] = str(reason)
    return {label: together(of_table) for label, of_table in needs.items() if of_table}, excluded


def _table_state(
    label: str,
    row: InstalledTrigger | None,
    needs: TableCapture | None,
    excluded: Mapping[str, Mapping[str, str]],
    using: str,
) -> TableState:
    captures = None if row is None else row.coverage.now
    model = find_model(label)
    table = model._meta.db_table if model is not None else captures.table if captures else ""
    columns: tuple[str, ...] = ()
    state: StateName
    if row is None or captures is None:
        state = "none"
    elif not _are_there(row, captures, using):
        state = "missing"
    elif needs is None:
        state = "no_longer_needed"
    elif captures.covers(needs):
        state = "installed" if _are_made_so(row, captures, using) else "made_otherwise"
    else:
        state, columns = "out_of_date", needs.missing_from(captures)
    return TableState(label, table, state, columns, captures, needs, excluded.get(label))


def _are_there(row: InstalledTrigger, captures: TableCapture, using: str) -> bool:
    triggers = triggers_of(using)
    return triggers is not None and set(row.names) <= triggers.installed(captures.table, using)


def _are_made_so(row: InstalledTrigger, captures: TableCapture, using: str) -> bool:
    triggers = triggers_of(using)
    return triggers is None or set(triggers.definition(captures, CapturedChange, using).names) == set(row.names)
