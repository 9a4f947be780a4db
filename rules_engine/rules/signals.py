"""What can be said about the signals that a rule names: whether they exist, fit its model, and what they carry."""

from __future__ import annotations

from collections.abc import Iterator

from rules_engine.errors import Problem, did_you_mean
from rules_engine.events.names import INSTANCE, MODEL_SIGNALS, find_signal, is_djangos, known_signals
from rules_engine.types import Path, RuleSpec


def signal_problems(rule: RuleSpec) -> Iterator[Problem]:
    """Signals that are not there, or that are about no object of the rule's model."""
    if not rule.signals:
        yield Problem("/signals", "Name at least one signal, such as post_save.")
    known = known_signals()
    for index, name in enumerate(rule.signals):
        if name not in known:
            hint = did_you_mean(str(name), sorted(known))
            yield Problem(f"/signals/{index}", f'There is no signal "{name}" here.{hint}')
        elif (found := find_signal(name)) is not None and found.trouble:
            yield Problem(f"/signals/{index}", found.trouble)
        elif rule.model and name not in MODEL_SIGNALS and not carries_instance(name):
            message = f"{name} is sent about no object of {rule.model}; give it a rule of its own, without a model."
            yield Problem(f"/signals/{index}", message)


def carries_instance(name: str) -> bool:
    """Whether a signal may send an object as its ``instance``, as far as is known."""
    found = find_signal(name)
    return found is not None and not is_djangos(name) and (INSTANCE in found.arguments or not found.is_documented)


def change_problems(rule: RuleSpec) -> Iterator[Problem]:
    """A signal of the site's own does not tell what changed, so that such a rule would never match."""
    others = [name for name in rule.signals if name not in MODEL_SIGNALS]
    if rule.changes and rule.model and others:
        yield Problem("/changes", f"{others[0]} does not tell what changed; use a condition, or a rule on post_save.")


def argument_problem(rule: RuleSpec, rest: Path) -> str | None:
    """Why the rule cannot read that path below ``signal``, as a sentence; None where it can, or nobody knows."""
    if rule.signals and all(name in MODEL_SIGNALS for name in rule.signals):
        return f'"signal" holds the arguments of a signal of the site, and {rule.signals[0]} is none.'
    named = [find_signal(name) for name in rule.signals if name not in MODEL_SIGNALS]
    if not rest or any(one is None or not one.is_documented for one in named):
        return None
    known = list(dict.fromkeys(name for one in named if one is not None for name in one.arguments))
    if not named or rest[0] in known:
        return None
    title = " or ".join(name for name in rule.signals if name not in MODEL_SIGNALS)
    listed = f"It has: {', '.join(known)}." if known else "It has no arguments."
    return f'{title} carries no "{rest[0]}".{did_you_mean(rest[0], known)} {listed}'


def hearing(rule: RuleSpec) -> list[str]:
    """What is to be said of processes that cannot hear the rule's signals, a sentence or two for each."""
    named = [find_signal(name) for name in rule.signals if isinstance(name, str)]
    return [f"{one.name}: {one.hearing}" for one in named if one is not None and one.hearing]
