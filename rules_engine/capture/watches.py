"""Which (signal, sender) pairs the live rules need, and what the receiver has to know at each of them.

Connecting to exactly these keeps ``has_listeners`` false everywhere else, so that Django's fast paths stay fast: a
receiver without a sender made deleting 10,000 unwatched rows 42 times slower.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from django.apps import apps
from django.db import DEFAULT_DB_ALIAS, models
from django.utils import timezone

from rules_engine import conf
from rules_engine.capture.earlier.old_values import StoredRow
from rules_engine.capture.hearing.captured import NOTHING, ByTriggers, Captured
from rules_engine.capture.hearing.places import Places
from rules_engine.capture.hearing.relations import RelationWatch as RelationWatch
from rules_engine.capture.hearing.relations import relation_watches, relations_of
from rules_engine.context.paths import ModelClass, find_model, is_denied, label_of, readable_fields, steps
from rules_engine.context.signals import MODEL_SIGNALS, SAVE_SIGNALS, find_signal
from rules_engine.context.subject import Field, Subject
from rules_engine.live.plan import Plan, held_reader
from rules_engine.live.triggers.needs import served
from rules_engine.models.captures.captured import Coverage
from rules_engine.rules.matching import CompiledRule
from rules_engine.surroundings.state import here
from rules_engine.types import EVERY_FIELD, FieldChange, Unread

Rules = tuple[CompiledRule, ...]
#: Where the receiver is.
RECEIVER = "rules_engine.capture.receiver"
SAVES = ("pre_save", "post_save")
#: The names of the models' signals.
_NAMES = {signal: name for name, signal in MODEL_SIGNALS.items()}
#: A signal's name and its sender; None is any sender.
Pair = tuple[str, Any]
#: What was read of one signal: a subject, and the rules that may match it.
Reading = tuple[Subject, Sequence[CompiledRule]]


class Found(NamedTuple):
    """What a look at a save or delete has found, before it is read: the rules that can match it or fail, what changed,
    and the rules of which an event tells where they stopped."""

    rules: Sequence[CompiledRule] = ()
    changes: Mapping[str, FieldChange] = MappingProxyType({})
    heard: Sequence[CompiledRule] = ()


#: It concerns no rule.
NOBODY = Found()


@dataclass(frozen=True, slots=True)
class ModelWatch:
    """What one model's saves and deletes mean to the rules."""

    model: ModelClass
    #: Which rules can match, by signal name.
    plans: Mapping[str, Plan]
    #: The rules by signal name, in order.
    rules: Mapping[str, Rules]
    #: The columns whose earlier value some rule wants, by column name.
    old: Mapping[str, Field]
    #: Reads those that are stored.
    stored: StoredRow
    #: Reads those that an object holds, by column name.
    readers: Mapping[str, Callable[[models.Model], Any]]
    #: Whether those are taken as an object is loaded.
    is_at_load: bool
    #: The columns that the rules on a signal read, ``old`` among them, by the signal's name.
    read: Mapping[str, Mapping[str, Field]]
    #: The same for the parents of the model, each with the rules that are on it.
    parents: tuple[ModelWatch, ...] = ()
    #: Whether a rule may alter the object before it is saved.
    alters: bool = False

    def has(self, rule: CompiledRule) -> bool:
        """Say whether the rule is one of these."""
        return any(rule is known for rules in self.rules.values() for known in rules)


@dataclass(frozen=True, slots=True)
class Table:
    """Everything the receiver looks up, made anew with each rule set."""

    #: Where rules and outbox live; asked of the router once a rule set, not once a save.
    alias: str = DEFAULT_DB_ALIAS
    models: Mapping[ModelClass, ModelWatch] = field(default_factory=dict)
    relations: Mapping[ModelClass, tuple[RelationWatch, ...]] = field(default_factory=dict)
    named: Mapping[str, Rules] = field(default_factory=dict)
    #: Whether any rule wants to see what loaddata saves.
    hears_raw: bool = False
    #: The names of a signal, by its identity.
    names: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    #: The rule set that it was made of; what is matched is recorded with it.
    number: int | None = None
    #: What the triggers of a table tell rules in the place of signals: of its model, and of relations by their rows.
    told_by_triggers: ByTriggers = NOTHING
    #: Where some rules hold in their surroundings alone: the tables of each. This one is of all rules then.
    places: Places[Table] | None = None

    def here(self) -> Table:
        """Return what the rules listen to that hold in the present surroundings. Raises what asking for these does."""
        return self if self.places is None else self.places.table(here())

    def concerns_places(self, sender: Any) -> bool:
        """Say whether what this sender sends may concern a rule that holds in its surroundings alone."""
        if self.places is None:
            return False
        known = self.places.concerned.get(sender)
        if known is None:
            watch = self.models.get(sender)
            rules = () if watch is None else (rule for of_signal in watch.rules.values() for rule in of_signal)
            known = self.places.concerned[sender] = watch is None or any(rule.surroundings for rule in rules)
        return known

    def pairs(self) -> Iterator[Pair]:
        """Yield the pairs that the receiver must be connected to."""
        for model, watch in self.models.items():
            yield from ((name, model) for name in _signals_of(watch))
        for through in self.relations:
            yield ("m2m_changed", through)
        for names in self.names.values():
            # Once for each signal, by whichever names: the receiver tries the rules on all of them.
            yield (names[0], None)

    def told(self, signal: Any) -> Mapping[str, Rules]:
        """Return the rules on a signal that is none of a model's, by the names that it goes by."""
        return {name: self.named[name] for name in self.names.get(id(signal), ())}


def _signals_of(watch: ModelWatch) -> set[str]:
    names = set(watch.rules)
    # Old values are read before the save; and what a pre-signal matched is written once its change is in the
    # database, by the post-signal: a save that fails must leave nothing behind. And before a child's save it is seen
    # whether its parent is there.
    if "pre_save" in names or watch.old or ("post_save" in names and watch.parents):
        names |= {"pre_save", "post_save"}
    if "pre_delete" in names or "post_delete" in names:
        names |= {"pre_delete", "post_delete"}
    return names


def build(
    rules: Iterable[CompiledRule],
    alias: str,
    number: int | None = None,
    known: Mapping[ModelClass, ModelWatch] = MappingProxyType({}),
    captures: Mapping[str, Coverage] = MappingProxyType({}),
) -> Table:
    """Build the table for a rule set. A rule whose model is gone is left out here; checks and the admin flag it.

    ``known`` are the watches of the last rule set: a model whose rules are the same keeps its own. What triggers tell
    of a rule, which capture these tables, no signal does.
    """
    hearing, captured = _Hearing(), Captured()
    now = {label: coverage.now for label, coverage in captures.items()}
    # What was left to the triggers before is told as it was left.
    before = {label: coverage.before for label, coverage in captures.items() if coverage.before is not None}
    hears_raw = False
    #: Of very many rules most are on the same model and signals.
    lists: dict[tuple[str, frozenset[str]], list[list[CompiledRule]]] = {}
    for rule in rules:
        hears_raw = hears_raw or rule.raw
        signals = rule.signals
        if captures:
            by_triggers = served(rule, now)
            captured.add(rule, by_triggers | served(rule, before))
            signals = signals - by_triggers
        key = rule.model, signals
        if key not in lists:
            lists[key] = list(hearing.lists(*key))
        for hears in lists[key]:
            hears.append(rule)
    names = _names_by_signal(hearing.named)
    watches = {model: _watch(model, by_signal, known.get(model)) for model, by_signal in hearing.by_model.items()}
    return Table(
        alias=alias,
        models={model: _with_parents(watch, watches, known.get(model)) for model, watch in watches.items()},
        relations={through: relation_watches(watches) for through, watches in hearing.relations.items()},
        named={name: tuple(hearing.named[name]) for of_signal in names.values() for name in of_signal},
        names=names,
        hears_raw=hears_raw,
        number=number,
        told_by_triggers=_by_triggers(captured, captures),
    )


def _by_triggers(captured: Captured, captures: Mapping[str, Coverage]) -> ByTriggers:
    watches = {model: _watch(model, by_signal, None) for model, by_signal in captured.by_model.items()}
    relations = {through: relation_watches(of_rows) for through, of_rows in captured.relations.items()}
    return ByTriggers(watches, relations, captures)


class _Hearing:
    """Who hears what: the rules of each signal, by whatever sends it."""

    def __init__(self) -> None:
        self.by_model: dict[ModelClass, dict[str, list[CompiledRule]]] = defaultdict(lambda: defaultdict(list))
        self.relations: dict[ModelClass, dict[tuple[ModelClass, str, bool], list[CompiledRule]]] = defaultdict(dict)
        self.named: dict[str, list[CompiledRule]] = defaultdict(list)

    def lists(self, label: str, signals: Iterable[str]) -> Iterator[list[CompiledRule]]:
        """Yield the lists in which a rule on that model and these signals is to stand."""
        model = find_model(label) if label else None
        is_readable = model is not None and not is_denied(model)
        for name in sorted(signals):
            if name not in MODEL_SIGNALS:
                if not label or is_readable:
                    yield self.named[name]
            elif model is None or not is_readable:
                continue
            elif name == "m2m_changed":
                for through, key in relations_of(model):
                    yield self.relations[through].setdefault(key, [])
            else:
                for sender in senders(name, model):
                    yield self.by_model[sender][name]


def _names_by_signal(names: Iterable[str]) -> dict[int, tuple[str, ...]]:
    """Return those of the names that lead to a signal, by the signal's identity."""
    by_signal: dict[int, tuple[str, ...]] = {}
    for name in sorted(names):
        registered = find_signal(name)
        if registered is not None and not registered.trouble:
            key = id(registered.signal)
            by_signal[key] = (*by_signal.get(key, ()), name)
    return by_signal


def senders(signal: str, model: ModelClass) -> set[ModelClass]:
    """Return the classes that Django names as sender when an object of the model is saved or deleted.

    A save is sent by the class of the instance alone, so a rule on a model hears its proxies and all descendants. A
    delete is sent for the parents of the instance as well, so descendants are left out: they would count twice.
    """
    classes = [known for known in apps.get_models(include_auto_created=True) if issubclass(known, model)]
    if signal in ("pre_delete", "post_delete"):
        concrete = model._meta.concrete_model
        classes = [known for known in classes if known._meta.concrete_model is concrete]
    return {known for known in classes if not known._meta.abstract}


def _watch(model: ModelClass, by_signal: Mapping[str, Sequence[CompiledRule]], known: ModelWatch | None) -> ModelWatch:
    """Return the watch of these rules; the known one where they are the same."""
    plans_known = {} if known is None else known.plans
    plans = {
        name: plans_known[name].updated(rules) if name in plans_known else Plan.of(model, rules)
        for name, rules in by_signal.items()
    }
    if (
        known is not None
        and plans.keys() == plans_known.keys()
        and all(plans[name] is plans_known[name] for name in plans)
    ):
        return known
    old = {name: field for of_save in SAVES if of_save in plans for name, field in plans[of_save].old.items()}
    before = plans["pre_save"].rules if "pre_save" in plans else ()
    return ModelWatch(
        model=model,
        plans=plans,
        rules={name: plan.rules for name, plan in plans.items()},
        old=old,
        stored=StoredRow(model, old),
        is_at_load=bool(old) and label_of(model) in conf.old_values_at_load(),
        readers={name: held_reader(model, field) for name, field in old.items()},
        read={
            name: {**(old if name in SAVES else plan.old), **columns_read(model, plan.rules)}
            for name, plan in plans.items()
        },
        alters=any(action.timing == "before_save" for rule in before for action in rule.actions),
    )


def _with_parents(watch: ModelWatch, watches: Mapping[ModelClass, ModelWatch], known: ModelWatch | None) -> ModelWatch:
    """Return the watch with those of the parents that rules are on, whose plans are those of the parents' own
    ``watches`` where these have the same rules."""
    if watch is known:
        return watch
    saves = {name: rules for name, rules in watch.rules.items() if name in SAVE_SIGNALS}
    labels = {rule.model for rules in saves.values() for rule in rules}
    on = {label: model._meta.concrete_model for label in labels if (model := find_model(label)) is not None}
    parents = []
    for parent in watch.model._meta.get_parent_list():
        of_parent = {name: [rule for rule in rules if on.get(rule.model) is parent] for name, rules in saves.items()}
        if any(of_parent.values()):
            # Without parents of its own: here it stands for one of the tables of the child.
            parents.append(replace(_watch(parent, of_parent, watches.get(parent)), parents=()))
    return replace(watch, parents=tuple(parents))


def columns_read(model: ModelClass, rules: Iterable[CompiledRule]) -> dict[str, Field]:
    """Return the model's own columns that these rules and their actions read of an object as it is, by column name."""
    columns: dict[str, Field] = {}
    # By what they read together first: of very many rules most read alike.
    together = {reads for rule in rules for reads in (rule.reads, rule.action_reads)}
    for path in {path for reads in together for path in reads}:
        if path[:2] == ("instance", EVERY_FIELD):
            columns.update((field.attname, field) for field in readable_fields(model))
        elif path[0] == "instance" and len(path) > 1:
            step = steps(model).get(path[1])
            # A key of several columns is none itself, and whoever has the object has its key.
            if step is not None and step.kind == "value" and getattr(step.field, "column", None) is not None:
                columns[step.field.attname] = step.field
    return columns


def unread(table: Table, sender: Any, signal: Any, sent: Mapping[str, Any], error: Exception) -> Iterator[Reading]:
    """Yield subjects of which nothing is known but the object, where that is known, each with the rules that hear."""
    for name, instance, rules in _hearing(table, sender, signal, sent):
        if rules:
            subject = Subject(name, instance=instance, knows_changes=False, unread=Unread(error))
            subject.occurred_at = timezone.now()
            yield subject, rules


def _hearing(
    table: Table, sender: Any, signal: Any, sent: Mapping[str, Any]
) -> Iterator[tuple[str, models.Model | None, Sequence[CompiledRule]]]:
    name = _NAMES.get(signal)
    if name is None:
        yield from ((name, None, rules) for name, rules in table.told(signal).items())
    elif signal is models.signals.m2m_changed:
        for watch in table.relations.get(sender, ()):
            # At the other end it is not known which objects these were.
            is_own = watch.is_target == sent["reverse"] and isinstance(sent["instance"], watch.model)
            yield name, sent["instance"] if is_own else None, watch.rules
    elif (of_model := table.models.get(sender)) is not None:
        yield name, sent["instance"], of_model.rules.get(name, ())


#: The threads in which a signal is told that was sent before the receiver was connected.
told_early: set[int] = set()


def is_heard_last(signal: Any, sender: Any) -> bool:
    """Say whether the rules' receiver is the last to hear the signal: nobody alters the object after it did."""
    if told_early and threading.get_ident() in told_early:
        return False
    waiting, asynchronous = signal._live_receivers(sender)
    return bool(waiting) and not asynchronous and getattr(waiting[-1], "__module__", "") == RECEIVER
