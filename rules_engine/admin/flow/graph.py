"""What sets off what, as boxes and arrows and as lines of a list, for some of the rules. Pure: rules in, a flow out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from django.utils.translation import gettext, ngettext

from rules_engine.admin.parts.labels import model_title, signal_words
from rules_engine.admin.reading.cascades import effect_words
from rules_engine.admin.reading.sentence import sentence
from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.rules import registry
from rules_engine.rules.cascades import Cascades
from rules_engine.rules.contract import ANYTHING, Effect
from rules_engine.rules.schedules.kinds import is_on_time_alone
from rules_engine.types import RuleSpec

#: The key of the box that sets off what acts by the clock alone.
CLOCK = "clock alone"
#: Boxes of one picture: what a screen shows and somebody follows.
MOST_BOXES = 60
Kind = Literal["model", "signal", "rule", "action", "effect"]


@dataclass(frozen=True, slots=True)
class Box:
    """One box. ``slug`` is of the rule that it is or belongs to, ``label`` of the model that it is about."""

    key: str
    kind: Kind
    title: str
    note: str = ""
    slug: str = ""
    label: str = ""
    is_on: bool = True
    #: Whether the picture is about this one.
    is_here: bool = False


@dataclass(frozen=True, slots=True)
class Changed:
    """Something that an action changes, in words, and the rules of the flow that it sets off; of ``more`` their number
    alone."""

    words: str
    sets_off: tuple[RuleSpec, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Line:
    """A rule as the list tells it: when it acts, and each of its actions with what that changes."""

    rule: RuleSpec
    when: str
    note: str
    actions: tuple[tuple[str, tuple[Changed, ...]], ...]


@dataclass(frozen=True, slots=True)
class Flow:
    """A picture and the list that says the same. ``more`` rules belong to it and have no room."""

    boxes: list[Box] = field(default_factory=list)
    arrows: list[tuple[str, str]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    more: int = 0


def flow_of(rules: Iterable[RuleSpec], cascades: Cascades, begin: Sequence[str], *, here: str = "") -> Flow:
    """Draw the rules of the slugs to ``begin`` with, and all that they can set off, as far as there is room.

    ``here`` is the slug of the rule that the picture is about, if it is about one.
    """
    known = {rule.slug: rule for rule in rules}
    reached = list(_reached(cascades, [slug for slug in begin if slug in known]))
    drawn = _with_room([known[slug] for slug in reached if slug in known], cascades)
    flow = Flow(more=len(reached) - len(drawn))
    within = {rule.slug for rule in drawn}
    boxes: dict[str, Box] = {}
    set_off: set[str] = set()
    for rule in drawn:
        _add_triggers(flow, boxes, rule, is_set_off=rule.slug in set_off)
        set_off.update(link.target for link in cascades.sets_off(rule.slug))
        _add_rule(flow, boxes, rule, cascades, within)
        flow.lines.append(_line(rule, cascades, {one.slug: one for one in drawn}))
    flow.boxes.extend(replace(box, is_here=box.key == f"rule {here}") for box in boxes.values())
    return flow


def _reached(cascades: Cascades, begin: Sequence[str]) -> Iterator[str]:
    """Yield the slugs, and those of all rules that these can set off, the nearest first."""
    seen = dict.fromkeys(begin)
    waiting = list(seen)
    for slug in waiting:
        yield slug
        new = [link.target for link in cascades.sets_off(slug) if link.target not in seen]
        seen.update(dict.fromkeys(new))
        waiting.extend(dict.fromkeys(new))


def _with_room(rules: Sequence[RuleSpec], cascades: Cascades) -> list[RuleSpec]:
    """Those of the rules, in their order, whose boxes there is room for; the first in any case."""
    drawn: list[RuleSpec] = []
    boxes: set[str] = set()
    for rule in rules:
        boxes |= {rule.slug, *_trigger_keys(rule), *(f"{rule.slug} {kind}" for kind in _kinds(rule))}
        boxes |= {_effect_key(effect) for _kind, effect in cascades.effects.get(rule.slug, ())}
        if drawn and len(boxes) > MOST_BOXES:
            break
        drawn.append(rule)
    return drawn


def _trigger_keys(rule: RuleSpec) -> list[str]:
    if is_on_time_alone(rule):
        return [CLOCK]
    names = [f"signal {name}" for name in map(str, rule.signals) if name not in MODEL_SIGNALS]
    return [f"model {rule.model.lower()}"] if rule.model else list(dict.fromkeys(names))


def _kinds(rule: RuleSpec) -> Counter[str]:
    return Counter(action.kind for action in rule.actions if action.enabled)


def _effect_key(effect: Effect) -> str:
    fields = ",".join(sorted(effect.fields)) if effect.fields is not None else "*"
    return f"effect {effect.model} {effect.operation} {fields}"


def _add_triggers(flow: Flow, boxes: dict[str, Box], rule: RuleSpec, *, is_set_off: bool) -> None:
    """What somebody else changes: of a rule that one before it sets off, its own box says it."""
    for key in _trigger_keys(rule) if not is_set_off else ():
        what, name = key.split(" ", 1)
        if what == "model":
            boxes.setdefault(key, Box(key, "model", model_title(rule.model), label=rule.model.lower()))
        else:
            boxes.setdefault(key, Box(key, "signal", gettext("The clock") if key == CLOCK else signal_words(name)))
        flow.arrows.append((key, f"rule {rule.slug}"))


def _add_rule(flow: Flow, boxes: dict[str, Box], rule: RuleSpec, cascades: Cascades, within: set[str]) -> None:
    own, when = f"rule {rule.slug}", str(sentence(rule).when)
    boxes[own] = Box(own, "rule", rule.name or rule.slug, _state(rule) or when, rule.slug, is_on=rule.enabled)
    for kind, number in _kinds(rule).items():
        action = f"action {rule.slug} {kind}"
        boxes[action] = Box(action, "action", _title(kind, number), slug=rule.slug)
        flow.arrows.append((own, action))
        for effect in (effect for of, effect in cascades.effects.get(rule.slug, ()) if of == kind):
            key = _effect_key(effect)
            targets = [slug for slug in cascades.heard_by.get(effect, ()) if slug in within and slug != rule.slug]
            if key not in boxes:
                boxes[key] = Box(key, "effect", _changes(effect), label=effect.model)
            flow.arrows.append((action, key))
            flow.arrows.extend((key, f"rule {slug}") for slug in targets)
    # Two actions may come to one effect.
    flow.arrows[:] = dict.fromkeys(flow.arrows)


def _title(kind: str, number: int) -> str:
    return registry.title(kind) if number == 1 else f"{registry.title(kind)} × {number}"


def _changes(effect: Effect) -> str:
    return gettext("may do anything, and so set off any rule") if effect == ANYTHING else effect_words(effect)


def _state(rule: RuleSpec) -> str:
    if not rule.enabled:
        return gettext("off")
    return gettext("shadow") if rule.shadow else ""


def _line(rule: RuleSpec, cascades: Cascades, drawn: dict[str, RuleSpec]) -> Line:
    actions = tuple(
        (_title(kind, number), tuple(_changed(rule, kind, cascades, drawn))) for kind, number in _kinds(rule).items()
    )
    return Line(rule, str(sentence(rule).when), _state(rule), actions)


def _changed(rule: RuleSpec, kind: str, cascades: Cascades, drawn: dict[str, RuleSpec]) -> Iterator[Changed]:
    for of, effect in cascades.effects.get(rule.slug, ()):
        if of == kind:
            hearers = [slug for slug in cascades.heard_by.get(effect, ()) if slug != rule.slug]
            shown = tuple(drawn[slug] for slug in hearers if slug in drawn)
            yield Changed(_changes(effect), shown, len(hearers) - len(shown))


def more_words(count: int) -> str:
    """Say how many rules have no room; empty for none."""
    return ngettext("and %(count)s more rule", "and %(count)s more rules", count) % {"count": count} if count else ""
