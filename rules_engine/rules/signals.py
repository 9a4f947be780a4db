"""What can be said about the signals that a rule names: whether they exist, fit its model, and what they carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from django.conf import settings
from django.utils.translation import gettext, gettext_lazy

from rules_engine.context.signals import INSTANCE, MODEL_SIGNALS, find_signal, is_djangos, known_signals
from rules_engine.errors import Problem, did_you_mean
from rules_engine.rules.schedules import kinds as schedules
from rules_engine.types import Path, RuleSpec

_UNSURE = gettext_lazy(
    'It is heard where its argument "instance" is an object of this model. If its object is called otherwise, name the '
    "argument where the signal is registered."
)


def signal_problems(rule: RuleSpec) -> Iterator[Problem]:
    """Yield signals that are not there, or that are about no object of the rule's model."""
    if not rule.signals and schedules.wants_signals(rule):
        yield Problem("/signals", gettext("Name at least one signal, such as post_save."))
    known = known_signals()
    for index, name in enumerate(rule.signals):
        if name not in known:
            message = gettext('There is no signal "%(name)s" here.') % {"name": name}
            yield Problem(f"/signals/{index}", message + did_you_mean(str(name), sorted(known)))
        elif (signal := find_signal(name)) is not None and signal.trouble:
            yield Problem(f"/signals/{index}", signal.trouble)
        elif rule.model and name not in MODEL_SIGNALS and not carries_instance(name):
            message = gettext(
                "%(name)s is sent about no object of %(model)s; give it a rule of its own, without a model. If one of "
                "its arguments is the object, name it as the instance where the signal is registered."
            )
            yield Problem(f"/signals/{index}", message % {"name": name, "model": rule.model})


def carries_instance(name: str) -> bool:
    """Say whether a signal may send an object that it is about, as far as is known."""
    signal = find_signal(name)
    if signal is None or is_djangos(name):
        return False
    return not signal.is_documented or signal.instance in signal.arguments


def objects_of(rule: RuleSpec) -> Mapping[str, str]:
    """Return which arguments of the rule's signals are objects, and of which models, as far as that is known before one
    is sent."""
    objects: dict[str, str] = {}
    for name in rule.signals:
        signal = find_signal(name) if isinstance(name, str) and name not in MODEL_SIGNALS else None
        if signal is None:
            continue
        if is_djangos(name):
            objects |= {"user": settings.AUTH_USER_MODEL.lower()} if "user" in signal.arguments else {}
        elif rule.model:
            objects[signal.instance] = rule.model
    return objects


def quoted_by(names: Sequence[str], argument: str) -> Iterator[str]:
    """Yield the models, as labels, of the records that this argument of the signals quotes."""
    for name in names:
        signal = find_signal(name) if isinstance(name, str) and name not in MODEL_SIGNALS else None
        if signal is not None and argument in signal.quotes:
            yield signal.quotes[argument]


def change_problems(rule: RuleSpec) -> Iterator[Problem]:
    """Yield a signal of the site's own does not tell what changed, so that such a rule would never match."""
    others = [name for name in rule.signals if name not in MODEL_SIGNALS]
    if rule.changes and rule.model and others:
        message = gettext("%(name)s does not tell what changed; use a condition, or a rule on post_save.")
        yield Problem("/changes", message % {"name": others[0]})


def argument_problem(rule: RuleSpec, rest: Path) -> str | None:
    """Say why the rule cannot read that path below ``signal``, as a sentence; None where it can, or nobody knows."""
    if rule.signals and all(name in MODEL_SIGNALS for name in rule.signals):
        message = gettext('"signal" holds the arguments of a signal of the site, and %(name)s is none.')
        return message % {"name": rule.signals[0]}
    named = [find_signal(name) for name in rule.signals if name not in MODEL_SIGNALS]
    if not rest or any(signal is None or not signal.is_documented for signal in named):
        return None
    known = list(dict.fromkeys(name for signal in named if signal is not None for name in signal.arguments))
    if not named or rest[0] in known:
        return None
    title = gettext(" or ").join(name for name in rule.signals if name not in MODEL_SIGNALS)
    listed = gettext("It has: %(listed)s.") % {"listed": ", ".join(known)} if known else gettext("It has no arguments.")
    message = gettext('%(signal)s carries no "%(name)s".') % {"signal": title, "name": rest[0]}
    return f"{message}{did_you_mean(rest[0], known)} {listed}"


def hearing(rule: RuleSpec) -> list[str]:
    """Return what is to be said of processes that cannot hear the rule's signals, a sentence or two for each."""
    found = [find_signal(name) for name in rule.signals if isinstance(name, str)]
    named = [signal for signal in found if signal is not None]
    said = [f"{signal.name}: {signal.hearing}" for signal in named if signal.hearing]
    # Nobody knows what such a signal sends: where it is no "instance", the rule would never hear it.
    unsure = [signal for signal in named if rule.model and not signal.is_documented and signal.instance == INSTANCE]
    return said + [f"{signal.name}: {_UNSURE}" for signal in unsure if not is_djangos(signal.name)]
