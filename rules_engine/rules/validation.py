"""Everything that can be said against a rule before it runs: one function, for the admin, fixtures, packs and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rules_engine.actions import registry
from rules_engine.errors import Problem, did_you_mean
from rules_engine.events.names import MODEL_SIGNALS, OPERATIONS, known_signals
from rules_engine.events.paths import ModelClass, find_model, is_denied
from rules_engine.rules import jsonlogic
from rules_engine.rules.changes import change_problems
from rules_engine.rules.scope import path_problem
from rules_engine.rules.variables import variables
from rules_engine.types import ActionSpec, RuleSpec


def rule_problems(rule: RuleSpec) -> list[Problem]:
    """What is wrong with a rule; empty when it can run. Pointers are into its plain form (``/actions/0/config``)."""
    model = find_model(rule.model) if isinstance(rule.model, str) and rule.model else None
    found = [*_signal_problems(rule), *_model_problems(rule, model), *_operation_problems(rule)]
    found += [problem.under("/changes") for problem in change_problems(model, rule.changes)]
    found += [problem.under("/condition") for problem in condition_problems(rule)]
    for index, action in enumerate(rule.actions):
        found += [problem.under(f"/actions/{index}") for problem in action_problems(action, rule)]
    return found


def _signal_problems(rule: RuleSpec) -> Iterator[Problem]:
    if not rule.signals:
        yield Problem("/signals", "Name at least one signal, such as post_save.")
    known = known_signals()
    for index, name in enumerate(rule.signals):
        if name not in known:
            hint = did_you_mean(str(name), sorted(known))
            yield Problem(f"/signals/{index}", f'There is no signal "{name}" here.{hint}')


def _model_problems(rule: RuleSpec, model: ModelClass | None) -> Iterator[Problem]:
    wants_model = [name for name in rule.signals if name in MODEL_SIGNALS]
    if not rule.model:
        if wants_model:
            yield Problem("/model", f'{wants_model[0]} is sent for a model: name it, such as "shop.order".')
    elif model is None:
        yield Problem("/model", f'There is no model "{rule.model}".{did_you_mean(rule.model, _model_labels())}')
    elif is_denied(model):
        yield Problem("/model", f"Rules may not listen to {model._meta.verbose_name}.")
    elif model._meta.abstract or model._meta.swapped:
        yield Problem("/model", f"{rule.model} is never saved itself; name the model that is used in its place.")


def _model_labels() -> list[str]:
    from django.apps import apps

    return sorted(model._meta.label_lower for model in apps.get_models() if not is_denied(model))


def _operation_problems(rule: RuleSpec) -> Iterator[Problem]:
    possible = {operation for name in rule.signals for operation in OPERATIONS.get(name, ())}
    for index, operation in enumerate(rule.operations):
        if operation not in possible:
            listed = ", ".join(sorted(possible)) or "none"
            hint = did_you_mean(str(operation), sorted(possible))
            message = f'"{operation}" does not happen with these signals.{hint} They have: {listed}.'
            yield Problem(f"/operations/{index}", message)


def condition_problems(rule: RuleSpec) -> list[Problem]:
    """What is wrong with the rule's condition; pointers are into the condition."""
    if rule.condition is None:
        return []
    found = jsonlogic.check(rule.condition)
    if found:
        return found
    for variable in variables(rule.condition):
        trouble = path_problem(rule, variable.path, variable.within)
        if trouble is not None:
            found.append(Problem(variable.pointer, trouble))
    return found


def action_problems(spec: ActionSpec, rule: RuleSpec) -> Iterator[Problem]:
    """What is wrong with one action of the rule; pointers are into the action."""
    action = registry.find(spec.kind)
    if action is None:
        yield Problem("/kind", registry.unknown(spec.kind))
        return
    if spec.timing not in action.timings:
        listed = " or ".join(action.timings)
        yield Problem("/timing", f'"{action.label}" can act {listed}, not {spec.timing}.')
    if not isinstance(spec.config, Mapping):
        yield Problem("/config", f"Expected an object, and got {spec.config!r}.")
        return
    yield from (problem.under("/config") for problem in _unknown_keys(spec.config, action.schema))
    yield from (problem.under("/config") for problem in action.validate_config(spec.config, rule))


def _unknown_keys(config: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Problem]:
    known: Sequence[str] = list(schema.get("keys", schema.get("properties", {})))
    for key in config:
        if known and key not in known:
            yield Problem(f"/{key}", f'This action has no "{key}".{did_you_mean(str(key), known)}')
