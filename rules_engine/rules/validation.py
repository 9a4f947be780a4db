"""All that can be said against a rule before it runs: one function, for the admin, fixtures, packs and checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import NoneType
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.context.paths import ModelClass, find_model, is_denied
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS, is_djangos
from rules_engine.errors import Problem, did_you_mean
from rules_engine.logic import jsonlogic
from rules_engine.logic.variables import variables
from rules_engine.rules import registry, signals
from rules_engine.rules.changes import change_problems
from rules_engine.rules.contract import Action
from rules_engine.rules.holding import LONGEST_DELAY, hold_problems
from rules_engine.rules.repetition import each_problems, rule_seen_by
from rules_engine.rules.schedules import kinds as schedules
from rules_engine.rules.schedules.later import later_problems
from rules_engine.rules.scope import grouped_object_problem, path_problem
from rules_engine.types import ActionSpec, RuleSpec, Timing, Unread, ask

ON_FAILURE = ("go_on", "stop")
#: In the order in which actions act.
TIMINGS: tuple[Timing, ...] = ("before_save", "in_transaction", "after_commit")
#: What may stand for each plain type of a schema; a null is a missing value.
PLAIN: Mapping[str, tuple[type, ...]] = {
    "string": (str, int, float, bool, NoneType),
    "integer": (int, NoneType),
    "number": (int, float, NoneType),
    "boolean": (bool, NoneType),
}

#: Actions of one rule: its form is drawn and checked within a second, and the rows of one event are few.
MOST_ACTIONS = 30
#: What fits a row of the list, and a filter of it.
MOST_LABELS, LONGEST_LABEL = 10, 40


def rule_problems(rule: RuleSpec) -> list[Problem]:
    """Return what is wrong with a rule; empty when it can run. Pointers are into its plain form
    (``/actions/0/config``)."""
    problems = type_problems(rule)
    if problems:
        return problems
    model = find_model(rule.model) if rule.model else None
    problems = [*signals.signal_problems(rule), *_model_problems(rule, model), *_operation_problems(rule)]
    problems += [problem.under("/changes") for problem in change_problems(model, rule.changes)]
    problems += signals.change_problems(rule)
    problems += [problem.under("/condition") for problem in condition_problems(rule)]
    problems += hold_problems(rule)
    problems += schedules.problems(rule)
    problems += _count_problems(rule)
    for index, action in enumerate(rule.actions[:MOST_ACTIONS]):
        problems += [problem.under(f"/actions/{index}") for problem in action_problems(action, rule)]
    return problems + order_problems(rule)


def _count_problems(rule: RuleSpec) -> Iterator[Problem]:
    if len(rule.actions) > MOST_ACTIONS:
        message = gettext("A rule has at most %(most)s actions, and this one has %(count)s: make two rules of it.")
        yield Problem("/actions", message % {"most": MOST_ACTIONS, "count": len(rule.actions)})


def type_problems(rule: RuleSpec) -> list[Problem]:
    """Return what is not even of the type that the rest of validation, and compilation, count on."""
    problems = []
    if not isinstance(rule.model, str):
        message = gettext('Expected a label such as "shop.order", and got %(got)s.') % {"got": repr(rule.model)}
        problems.append(Problem("/model", message))
    for part, names in (("signals", rule.signals), ("operations", rule.operations)):
        wrong = [(index, name) for index, name in enumerate(names) if not isinstance(name, str)]
        message = gettext("Expected a name, and got %(got)s.")
        problems += [Problem(f"/{part}/{index}", message % {"got": repr(name)}) for index, name in wrong]
    for index, change in enumerate(rule.changes):
        if not isinstance(change, Mapping):
            message = gettext('Expected an object like {"field": "status", "to": "paid"}, and got %(got)s.')
            problems.append(Problem(f"/changes/{index}", message % {"got": repr(change)}))
    for index, action in enumerate(rule.actions):
        if not isinstance(action.kind, str):
            message = gettext("Expected the name of a kind, and got %(got)s.") % {"got": repr(action.kind)}
            problems.append(Problem(f"/actions/{index}/kind", message))
        if not isinstance(action.config, Mapping):
            message = gettext("Expected an object, and got %(got)s.") % {"got": repr(action.config)}
            problems.append(Problem(f"/actions/{index}/config", message))
    return problems


def _model_problems(rule: RuleSpec, model: ModelClass | None) -> Iterator[Problem]:
    wants_model = [name for name in rule.signals if name in MODEL_SIGNALS]
    if not rule.model:
        if wants_model:
            message = gettext('%(signal)s is sent for a model: name it, such as "shop.order".')
            yield Problem("/model", message % {"signal": wants_model[0]})
    elif model is None:
        message = gettext('There is no model "%(model)s".') % {"model": rule.model}
        yield Problem("/model", message + did_you_mean(rule.model, _model_labels()))
    elif is_denied(model):
        message = gettext("Rules may not listen to %(model)s.") % {"model": model._meta.verbose_name}
        yield Problem("/model", message)
    elif model._meta.abstract or model._meta.swapped:
        message = gettext("%(model)s is never saved itself; name the model that is used in its place.")
        yield Problem("/model", message % {"model": rule.model})


def _model_labels() -> list[str]:
    from django.apps import apps

    return sorted(model._meta.label_lower for model in apps.get_models() if not is_denied(model))


def _operation_problems(rule: RuleSpec) -> Iterator[Problem]:
    possible = {operation for name in rule.signals for operation in OPERATIONS.get(name, ())}
    for index, operation in enumerate(rule.operations):
        if operation not in possible:
            listed = ", ".join(sorted(possible)) or gettext("none")
            hint = did_you_mean(str(operation), sorted(possible))
            message = gettext('"%(name)s" does not happen with these signals.%(hint)s They have: %(listed)s.')
            yield Problem(f"/operations/{index}", message % {"name": operation, "hint": hint, "listed": listed})


def condition_problems(rule: RuleSpec) -> list[Problem]:
    """Return what is wrong with the rule's condition; pointers are into the condition."""
    if rule.condition is None:
        return []
    problems = jsonlogic.check(rule.condition)
    if problems:
        return problems
    # How many were held is known when the rule acts, and the condition is asked before.
    asked = schedules.asked_of_each(replace(rule, throttle_count=None, coalesce_seconds=None))
    for variable in variables(rule.condition):
        trouble = path_problem(asked, variable.path, variable.within) or grouped_object_problem(asked, variable)
        if trouble is not None:
            problems.append(Problem(variable.pointer, trouble))
    return problems


def action_problems(spec: ActionSpec, rule: RuleSpec) -> Iterator[Problem]:
    """Yield what is wrong with one action of the rule; pointers are into the action."""
    action = registry.find(spec.kind)
    if action is None:
        yield Problem("/kind", registry.unknown(spec.kind))
        return
    yield from _timing_problems(spec, action, rule)
    yield from _repetition_problems(spec, action, rule)
    problems = [*_unknown_keys(spec.config, action.schema), *_config_type_problems(spec.config, action.schema)]
    if not problems:
        problems = _own_problems(action, spec, rule_seen_by(spec, rule))
    yield from (problem.under("/config") for problem in problems)


def order_problems(rule: RuleSpec) -> list[Problem]:
    """Return what is wrong with actions that are to wait for one which acts after them."""
    problems = []
    for index, action in enumerate(rule.actions):
        late = next((before for before in rule.actions if _is_waited_for_too_early(before, action)), None)
        if late is not None:
            message = gettext(
                'This acts before "%(kind)s" above it, which is to stop it by failing; put this one first.'
            )
            problems.append(Problem(f"/actions/{index}/timing", message % {"kind": late.kind}))
    return problems


def _is_waited_for_too_early(before: ActionSpec, action: ActionSpec) -> bool:
    """Say whether the first stands before the second, is to stop it by failing, and acts after it."""
    if before.on_failure != "stop" or before.position >= action.position or not (before.enabled and action.enabled):
        return False
    are_known = {before.timing, action.timing} <= set(TIMINGS)
    return are_known and TIMINGS.index(before.timing) > TIMINGS.index(action.timing)


def _timing_problems(spec: ActionSpec, action: Action, rule: RuleSpec) -> Iterator[Problem]:
    if spec.timing not in action.timings:
        listed = gettext(" or ").join(action.timings)
        message = gettext('"%(action)s" can act %(listed)s, not %(timing)s.')
        yield Problem("/timing", message % {"action": action.label, "listed": listed, "timing": spec.timing})
    elif spec.timing == "before_save" and not set(rule.signals) & _signals_before(action):
        yield Problem("/timing", gettext("To act before the save, the rule has to listen to pre_save."))
    elif spec.timing == "in_transaction" and spec.on_failure == "stop" and _tells_of_no_change(rule):
        message = gettext("%(signal)s is about no change that could be undone; let the next actions go on.")
        yield Problem("/on_failure", message % {"signal": rule.signals[0]})
    if action.vetoes and rule.sample_percent != 100:
        message = gettext('"%(action)s" is for every change: leave the rule\'s sample at 100 percent.')
        yield Problem("/timing", message % {"action": action.label})


def _signals_before(action: Action) -> set[str]:
    """Return the signals at which it may act before the save; one that vetoes does so before a deletion too."""
    return {"pre_save", "pre_delete"} if action.vetoes else {"pre_save"}


def _tells_of_no_change(rule: RuleSpec) -> bool:
    """Say whether all its signals are Django's own, and not about an object. A site's own may be part of a change."""
    return bool(rule.signals) and all(is_djangos(name) for name in rule.signals)


def _repetition_problems(spec: ActionSpec, action: Action, rule: RuleSpec) -> Iterator[Problem]:
    """Look at delay and what goes with it, ``on_failure`` and ``for_each``."""
    is_number = isinstance(spec.delay, int) and not isinstance(spec.delay, bool)
    if not (is_number and 0 <= spec.delay <= LONGEST_DELAY):
        message = gettext("Expected a whole number of seconds up to %(most)s, and got %(got)s.")
        yield Problem(
            "/delay", message % {"most": number_format(LONGEST_DELAY, force_grouping=True), "got": repr(spec.delay)}
        )
    elif spec.delay and spec.timing != "after_commit":
        yield Problem("/delay", gettext("Only what is done after the commit can be delayed."))
    if spec.on_failure not in ON_FAILURE:
        message = gettext("Expected go_on or stop, and got %(got)s.") % {"got": repr(spec.on_failure)}
        yield Problem("/on_failure", message + did_you_mean(spec.on_failure, ON_FAILURE))
    yield from later_problems(spec, rule)
    if spec.for_each is None:
        return
    if spec.timing == "before_save":
        message = gettext('"%(action)s" is about the one object that is being saved.') % {"action": action.label}
        yield Problem("/for_each", message)
    yield from (problem.under("/for_each") for problem in each_problems(spec.for_each, rule))


def _own_problems(action: Action, spec: ActionSpec, rule: RuleSpec) -> list[Problem]:
    problems = ask(_said_of_config, action, spec, rule)
    if isinstance(problems, Unread):
        # What it cannot look at, it cannot run.
        message = gettext('"%(action)s" cannot take this config (%(error)s).')
        return [Problem("", message % {"action": action.label, "error": problems.message})]
    return problems


def _said_of_config(action: Action, spec: ActionSpec, rule: RuleSpec) -> list[Problem]:
    return list(action.validate_config(spec.config, rule))


def _config_type_problems(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Problem]:
    for key, part in schema.get("keys", schema.get("properties", {})).items():
        if config.get(key) is not None:
            yield from _value_type_problems(config[key], part, f"/{key}")


def _value_type_problems(value: Any, part: Mapping[str, Any], pointer: str) -> Iterator[Problem]:
    """Yield a dict stands for an expression wherever a plain value is wanted, and one plain value for a list of one."""
    wanted = part.get("type", "string")
    if wanted == "array" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _value_type_problems(item, part.get("items", {}), f"{pointer}/{index}")
    elif wanted == "array":
        if not isinstance(value, str | Mapping):
            yield Problem(pointer, gettext("Expected a list, and got %(got)s.") % {"got": repr(value)})
    elif wanted in ("object", "dict"):
        if not isinstance(value, Mapping):
            yield Problem(pointer, gettext("Expected an object, and got %(got)s.") % {"got": repr(value)})
    elif not isinstance(value, (*PLAIN[wanted], Mapping) if wanted in PLAIN else object):
        message = gettext("Expected %(wanted)s, and got %(got)s.") % {"wanted": wanted, "got": repr(value)}
        yield Problem(pointer, message)


def _unknown_keys(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Problem]:
    known: Sequence[str] = list(schema.get("keys", schema.get("properties", {})))
    for key in config:
        if known and key not in known:
            message = gettext('This action has no "%(key)s".') % {"key": key}
            yield Problem(f"/{key}", message + did_you_mean(str(key), known))


def check_labels(labels: Any) -> None:
    """Raise ``ValidationError`` unless these are labels: a list of some short texts, each once, without commas.

    They do not change what a rule does, and so they are no problem of a rule that runs.
    """
    if labels is None:
        return
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValidationError(gettext('Expected a list of texts, such as ["billing"].'), code="labels")
    if len(labels) > MOST_LABELS:
        raise ValidationError(gettext("A rule has %(most)s labels at most.") % {"most": MOST_LABELS}, code="labels")
    for label in labels:
        if not label.strip() or label != label.strip() or "," in label or not label.isprintable():
            text = gettext(
                "Expected a label of letters, digits and blanks between them, without commas, and got %(label)s."
            )
            raise ValidationError(text % {"label": repr(label[:LONGEST_LABEL])}, code="labels")
        if len(label) > LONGEST_LABEL:
            raise ValidationError(
                gettext("A label has %(most)s characters at most, and %(label)s has more.")
                % {"most": LONGEST_LABEL, "label": repr(label[:LONGEST_LABEL])},
                code="labels",
            )
    if len({label.casefold() for label in labels}) < len(labels):
        raise ValidationError(gettext("One label stands there twice."), code="labels")


def raise_at_fields(problems: Iterable[Problem]) -> None:
    """Raise a ``ValidationError`` with each problem at the field that its pointer begins with, if there is any."""
    by_field: dict[str, list[str]] = {}
    for problem in problems:
        field, _slash, rest = problem.pointer.removeprefix("/").partition("/")
        said = f"/{rest}: {problem.message}" if rest else problem.message
        by_field.setdefault(field, []).append(said)
    if by_field:
        raise ValidationError(by_field)
