"""Which rule can set off which, and the loops among them, by what their actions say they change.

It is "can" and never "will": conditions and values are not looked at, and neither is the site's own code (a ``save()``,
a receiver, a trigger of the database). Pure: rules in, answers out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from rules_engine.context.paths import ModelClass, field_of, find_model, label_of, steps
from rules_engine.context.signals import OPERATIONS
from rules_engine.errors import UnknownPath
from rules_engine.rules import registry
from rules_engine.rules.contract import ANYTHING, Action, Effect
from rules_engine.rules.validation import type_problems
from rules_engine.types import ActionSpec, RuleSpec, Unread, ask

#: Links that are told of one loop.
MOST_SAID = 12
RELATED = frozenset(OPERATIONS["m2m_changed"])


@dataclass(frozen=True, slots=True)
class Link:
    """``source`` can set off ``target``, because its action ``kind`` has this effect. Both are slugs."""

    source: str
    target: str
    kind: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class Cascades:
    """What ``analyse`` found. A rule never sets off itself, so no link and no loop is of one rule alone."""

    #: What each rule changes: pairs of an action's kind and an effect, by slug.
    effects: Mapping[str, tuple[tuple[str, Effect], ...]]
    #: The slugs of the rules that hear of each effect, in the order the rules came.
    heard_by: Mapping[Effect, tuple[str, ...]]

    def sets_off(self, slug: str) -> list[Link]:
        """Return the links from this rule to others."""
        return [link for link in self._links(slug) if link.target != slug]

    def set_off_by(self, slug: str) -> list[Link]:
        """Return the links from other rules to this one."""
        heard = {effect for effect, hearers in self.heard_by.items() if slug in hearers}
        others = {source: effects for source, effects in self.effects.items() if source != slug}
        pairs = ((source, kind, effect) for source, effects in others.items() for kind, effect in effects)
        return [Link(source, slug, kind, effect) for source, kind, effect in pairs if effect in heard]

    def hears_itself(self, slug: str) -> list[Link]:
        """Say how the rule would set off itself, if rules did."""
        return [link for link in self._links(slug) if link.target == slug]

    def does_anything(self, slug: str) -> bool:
        """Say whether it has an action of which nobody can say what it changes."""
        return any(effect == ANYTHING for _, effect in self.effects.get(slug, ()))

    def loops(self) -> list[tuple[str, ...]]:
        """Return sets of two or more rules each of which can come round to itself through the others."""
        graph: dict[Any, Sequence[Any]] = {
            slug: [effect for _, effect in effects] for slug, effects in self.effects.items()
        }
        # By way of the effects: they are few where there are many rules, and links are rules times rules.
        graph.update(self.heard_by)
        # Most parts are of one rule, which is in no loop.
        parts = [part for part in components(graph) if len(part) > 1]
        loops = [tuple(slug for slug in self.effects if slug in part) for part in parts]
        return sorted(loop for loop in loops if len(loop) > 1)

    def loop_of(self, slug: str) -> tuple[str, ...]:
        """Return the loop that the rule is in, itself included; empty where there is none."""
        return next((loop for loop in self.loops() if slug in loop), ())

    def loops_said(self) -> list[str]:
        """Return each loop as a sentence, for terminals, with the ways in which its rules are linked."""
        sentences = []
        for loop in self.loops():
            links = self._some_within(loop)
            ways = dict.fromkeys(f"{link.source} {_said(link.effect)} → {link.target}" for link in links)
            sentences.append(f"Rules that can set off each other in a loop: {', '.join(loop)} ({'; '.join(ways)}).")
        return sentences

    def _some_within(self, loop: Sequence[str]) -> Iterator[Link]:
        """Return a few of the links among the rules of a loop."""
        members = set(loop)
        links = (link for slug in loop for link in self.sets_off(slug) if link.target in members)
        return islice(links, MOST_SAID)

    def _links(self, slug: str) -> Iterator[Link]:
        for kind, effect in self.effects.get(slug, ()):
            for target in self.heard_by.get(effect, ()):
                yield Link(slug, target, kind, effect)


def _said(effect: Effect) -> str:
    if not effect.model:
        return f"(sends {effect.operation})"
    fields = f" {', '.join(sorted(effect.fields))}" if effect.fields else ""
    return f"({effect.operation} {effect.model}{fields})"


def analyse(rules: Iterable[RuleSpec]) -> Cascades:
    """Say which of these rules can set off which, enabled or not. A rule that is broken in its form is left out."""
    sound = [rule for rule in rules if not type_problems(rule)]
    effects = {rule.slug: tuple(_effects_of(rule)) for rule in sound}
    listeners: dict[str, list[RuleSpec]] = defaultdict(list)
    for rule in sound:
        for name in dict.fromkeys(rule.signals):
            listeners[f"{name} {rule.model.lower()}" if name in OPERATIONS else name].append(rule)
    every = dict.fromkeys(effect for pairs in effects.values() for _, effect in pairs)
    return Cascades(effects, {effect: tuple(_hearers(effect, listeners)) for effect in every})


def _effects_of(rule: RuleSpec) -> Iterator[tuple[str, Effect]]:
    for spec in rule.actions if not rule.shadow else ():
        action = registry.find(spec.kind)
        if action is None or not spec.enabled:
            continue
        effects = ask(_effects, action, spec, rule)
        if isinstance(effects, Unread):
            # Of what it cannot tell, nothing is known.
            effects = [ANYTHING]
        yield from ((spec.kind, effect) for effect in effects)


def _effects(action: Action, spec: ActionSpec, rule: RuleSpec) -> list[Effect]:
    return list(dict.fromkeys(action.effects(spec.config, rule)))


def _hearers(effect: Effect, listeners: Mapping[str, Sequence[RuleSpec]]) -> Iterator[str]:
    seen: dict[str, None] = {}
    for rule in _candidates(effect, listeners):
        if _can_match(rule, effect):
            seen[rule.slug] = None
    yield from seen


def _candidates(effect: Effect, listeners: Mapping[str, Sequence[RuleSpec]]) -> Iterator[RuleSpec]:
    if not effect.model:
        yield from listeners.get(effect.operation, ())
        return
    model = find_model(effect.model)
    signals = [name for name, operations in OPERATIONS.items() if effect.operation in operations]
    for watched in dict.fromkeys(_watched(model, effect)) if model is not None else ():
        for name in signals:
            yield from listeners.get(f"{name} {label_of(watched)}", ())


def _watched(model: ModelClass, effect: Effect) -> Iterator[ModelClass]:
    """Yield the models whose rules hear of it, as ``capture.watches.senders`` has it, seen from the sender."""
    if effect.operation in RELATED:
        yield from _ends(model, effect)
    elif effect.operation == "delete":
        for sender in (model, *model._meta.get_parent_list()):
            concrete = sender._meta.concrete_model
            yield from (ancestor for ancestor in _lineage(sender) if ancestor._meta.concrete_model is concrete)
    else:
        yield from _lineage(model)


def _lineage(model: ModelClass) -> list[ModelClass]:
    """Return the model and all that it inherits from."""
    return [ancestor for ancestor in model.__mro__ if hasattr(ancestor, "_meta") and not ancestor._meta.abstract]


def _ends(model: ModelClass, effect: Effect) -> Iterator[ModelClass]:
    """Yield both sides of the many-to-many fields that are changed."""
    yield from _lineage(model)
    for step in steps(model).values():
        if _is_many(model, step.name) and step.model is not None and effect.writes(step.name):
            yield from _lineage(step.model)


def _can_match(rule: RuleSpec, effect: Effect) -> bool:
    if effect.model and rule.operations and effect.operation not in rule.operations:
        return False
    model = find_model(rule.model) if rule.model else None
    return all(_can_change(model, change, effect) for change in rule.changes)


def _can_change(model: ModelClass | None, change: Mapping[str, Any], effect: Effect) -> bool:
    """Say whether the change condition can hold after the effect: only saves and relations change anything."""
    name = str(change.get("field"))
    if model is None or not effect.model or effect.operation == "delete":
        return False
    if effect.operation in RELATED:
        # Seen from the other end the relation has another name.
        return _is_many(model, name) and (label_of(model) != effect.model or effect.writes(name))
    if effect.operation == "create" and change.get("from") is not None:
        return False  # what is new comes from null
    try:
        return effect.writes(field_of(model, name).name)
    except UnknownPath:
        return False


def _is_many(model: ModelClass, name: str) -> bool:
    step = steps(model).get(name)
    return step is not None and step.kind == "to_many" and bool(step.field.many_to_many)


Graph = Mapping[Any, Iterable[Any]]


def components(graph: Graph) -> list[set[Hashable]]:
    """Return the strongly connected parts, single nodes included (Kosaraju's way, without recursion: chains may be
    long)."""
    backwards: dict[Any, list[Any]] = {node: [] for node in graph}
    for node, targets in graph.items():
        for target in targets:
            backwards.setdefault(target, []).append(node)
    seen: set[Any] = set()
    finished = [node for start in backwards for node in _finished(graph, start, seen)]
    seen = set()
    parts = (set(_finished(backwards, start, seen)) for start in reversed(finished))
    return [part for part in parts if part]


def _finished(graph: Graph, start: Any, seen: set[Any]) -> Iterator[Any]:
    """Yield what can be reached from ``start`` and was not seen, each node after all that it leads to."""
    if start in seen:
        return
    seen.add(start)
    stack = [(start, iter(graph.get(start, ())))]
    while stack:
        node, targets = stack[-1]
        unseen = next((target for target in targets if target not in seen), None)
        if unseen is None:
            stack.pop()
            yield node
        else:
            seen.add(unseen)
            stack.append((unseen, iter(graph.get(unseen, ()))))
