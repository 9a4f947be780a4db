"""Recorders: rules that match every event of a recorded model and do nothing, so that each leaves a row.

One for each signal, as what can be read differs: at ``post_delete`` the rows that a rule on ``post_save`` reads are
gone. They have no slug, by which they are told apart from rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from functools import reduce
from operator import or_

from django.db.models import Q
from django.utils import timezone

from rules_engine.context.signals import MODEL_SIGNALS
from rules_engine.live.compiler import compile_rule
from rules_engine.models import Recording, Rule
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import EVERY_FIELD, Path

#: Always recorded; others where a rule on the model listens to them, for each costs a row as well.
USUAL = frozenset({"post_save", "post_delete", "m2m_changed"})
OWN: frozenset[Path] = frozenset({("instance", EVERY_FIELD)})
#: Signals of the site's own tell no change.
TOLD: frozenset[Path] = frozenset({("old", EVERY_FIELD), ("changes", EVERY_FIELD), ("changed",)})


def recorders(using: str, live: Sequence[CompiledRule]) -> tuple[CompiledRule, ...]:
    """Return those of the recordings that go on. One query where there is none, two more for all where there are some.

    ``live`` are the rules that are compiled already.
    """
    going = list(Recording.objects.using(using).current())
    if not going:
        return ()
    seconds: dict[str, float] = {}
    for recording in going:
        label = recording.model.lower()
        seconds[label] = max(recording.seconds_left, seconds.get(label, 0.0))
    # Rules that are switched off as well: they are what a backtest is for.
    off = Rule.objects.using(using).exclude(enabled=True)
    of_models = reduce(or_, (Q(model__iexact=label) for label in seconds))
    rules = [*live, *(compile_rule(spec, 0) for spec in off.filter(of_models).specs())]
    return tuple(recorder for label, left in seconds.items() for recorder in _of_model(label, left, rules))


def _of_model(label: str, left: float, rules: Iterable[CompiledRule]) -> Iterator[CompiledRule]:
    own = [rule for rule in rules if rule.model.lower() == label]
    # The clock of this process, as it is what events are compared with.
    until = timezone.now() + timedelta(seconds=left)
    for signal in sorted(USUAL | {name for rule in own for name in rule.signals}):
        reads = {path for rule in own if signal in rule.signals for path in _reads(rule)}
        told = TOLD if signal in MODEL_SIGNALS else frozenset()
        yield CompiledRule(
            slug="",
            version=0,
            model=label,
            signals=frozenset({signal}),
            reads=OWN | told | reads,
            active_until=until,
        )


def _reads(rule: CompiledRule) -> Iterator[Path]:
    yield from rule.reads
    yield from rule.action_reads
    for action in rule.actions:
        yield from action.each.reads if action.each else ()
