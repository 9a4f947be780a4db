"""What is being written: names in use, imports, and the small functions that are printed along with a module."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field
from typing import Any

from rules_engine.context.paths import ModelClass, find_model
from rules_engine.source.printed import FUNCTIONS
from rules_engine.types import RuleSpec

#: Names of locals and parameters of what we write.
_LOCALS = """
    accumulator action address after body created changed changes current each event html instance kwargs message model
    due names old operation pk_set raw receivers reverse row rows sender subject update_fields written
"""
LOCALS = frozenset(_LOCALS.split())


@dataclass(frozen=True, slots=True)
class Value:
    """An expression in Python.

    ``kind`` is what it gives: text, integer, decimal, float, boolean, date, time, datetime, uuid, list, rows, object,
    null or any. ``null`` says whether it may be None, ``level`` how tightly it binds (as in Python's own table, 12
    the tightest). ``model`` is that of rows and objects, ``opposite`` the negated form where there is a short one.
    """

    code: str
    kind: str = "any"
    null: bool = True
    level: int = 12
    model: ModelClass | None = None
    opposite: str = ""
    #: The value of a constant, in a list of one.
    constant: tuple[Any, ...] = ()

    def at(self, level: int) -> str:
        """Return the code, in brackets where it binds less tightly than ``level``."""
        return self.code if self.level >= level else f"({self.code})"


@dataclass(slots=True)
class Module:
    """The module's imports and functions. Two things of one name get two names."""

    imported: dict[tuple[str, str], str] = field(default_factory=dict)
    #: Whole modules, as in ``import logging``.
    modules: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=lambda: {*LOCALS, *dir(builtins), *FUNCTIONS, "logger"})

    def use(self, home: str, name: str) -> str:
        """Import ``name`` from the module ``home``; what it is called here."""
        if (home, name) not in self.imported:
            self.imported[home, name] = self.free(name)
        return self.imported[home, name]

    def use_module(self, name: str) -> str:
        """Import a whole module of the standard library."""
        self.modules.add(name)
        return name

    def function(self, name: str) -> str:
        """Print that function of ``printed.FUNCTIONS`` along, with what it needs."""
        if name not in self.functions:
            self.functions.add(name)
            printed = FUNCTIONS[name]
            for home, wanted in printed.imports:
                self.use(home, wanted) if home else self.use_module(wanted)
            for other in printed.functions:
                self.function(other)
        return name

    def free(self, name: str) -> str:
        """Return that name, or one like it that nothing else has."""
        candidate, number = name, 1
        while candidate in self.taken or candidate in self.modules:
            number += 1
            candidate = f"{name}_{number}"
        self.taken.add(candidate)
        return candidate

    def model(self, model: ModelClass) -> str:
        """Import a model."""
        return self.use(model.__module__, model.__name__)


@dataclass(frozen=True, slots=True)
class Writer:
    """Where an expression stands: in which module, of which rule, for which signals, with which row at hand."""

    module: Module
    rule: RuleSpec
    signals: tuple[str, ...]
    row: ModelClass | None = None
    #: What ``each`` is an object of, where an action is carried out for each of some rows.
    each: ModelClass | None = None
    #: The many-to-many field whose changes are heard.
    relation: str = ""

    @property
    def model(self) -> ModelClass | None:
        """The model of the rule."""
        return find_model(self.rule.model) if self.rule.model else None

    @property
    def deletes(self) -> bool:
        """Whether the object is being deleted."""
        return bool(self.signals) and set(self.signals) <= {"pre_delete", "post_delete"}

    @property
    def is_early(self) -> bool:
        """Whether it may have no key yet."""
        return "pre_save" in self.signals
