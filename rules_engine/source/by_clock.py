"""A rule that acts by the clock as functions, which a scheduler of the site has to call: nothing in Django does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

from rules_engine.rules.schedules.kinds import DUE, is_on_time_alone, tells
from rules_engine.source import gates, logic
from rules_engine.source.literals import comment, docstring, identifier, indented
from rules_engine.source.receivers import doing
from rules_engine.source.writer import Module, Writer
from rules_engine.types import RuleSpec


def why_not(rule: RuleSpec) -> str:
    """Say why a rule's schedule cannot be written in Python; empty where it can, or the rule has none."""
    if rule.schedule is None or is_on_time_alone(rule):
        return ""
    return f"It counts time from what happens, and that is not written here: {_plain(rule)}"


def heading(rule: RuleSpec) -> list[str]:
    """Return the comment that says when the functions have to be called."""
    if not is_on_time_alone(rule):
        return []
    return [
        *comment(f"It acts by the clock: {_plain(rule)}"),
        *comment("Nothing in Django does that: have a scheduler, such as Celery beat, call the last function then."),
    ]


def functions(module: Module, rule: RuleSpec) -> list[list[str]]:
    """Return the functions of a rule that acts by the clock alone, each as lines. The rule has no problems."""
    writer = Writer(module, rule, (DUE,))
    return _SHAPES[_of(rule)](writer, module.free(identifier(rule.slug)))


def _plain(rule: RuleSpec) -> str:
    return json.dumps(rule.schedule, ensure_ascii=False)


def _of(rule: RuleSpec) -> str:
    """Of what it is called: "nothing", each object that is "due", "each" object or their "rows"."""
    if "rows" in tells(rule.schedule):
        return "rows"
    schedule = rule.schedule or {}
    return str(schedule.get("of", "nothing")) if schedule.get("kind") == "every" else "due"


def _function(name: str, parameters: str, title: str, lines: list[str]) -> list[str]:
    return [f"def {name}({parameters}):", *indented([docstring(title), *(lines or ["pass"])])]


def _title(writer: Writer) -> str:
    return writer.rule.name or writer.rule.slug


def _of_one(writer: Writer, name: str) -> list[list[str]]:
    """Of one object, where its condition holds. ``due`` is a dict: when it was due, and by which date."""
    return [_function(name, "instance, due=None", _title(writer), [*gates.lines(writer), *doing(writer)])]


def _of_nothing(writer: Writer, name: str) -> list[list[str]]:
    return [_function(name, "due=None", _title(writer), [*gates.lines(writer), *doing(writer)])]


def _of_each(writer: Writer, name: str) -> list[list[str]]:
    each = [f"for instance in {_all(writer)}.iterator():", *indented([f"{name}(instance, due)"])]
    title = f"{_title(writer)}: for each object"
    whole = _function(writer.module.free(f"{name}_for_each"), "due=None", title, each)
    return [*_of_one(writer, name), whole]


def _of_rows(writer: Writer, name: str) -> list[list[str]]:
    condition = writer.rule.condition
    parts = logic.condition(writer, condition) if condition is not None else []
    wanted = f" if {' and '.join(part.at(5) for part in parts)}" if parts else ""
    rows = [f"rows = [instance for instance in {_all(writer)}{wanted}]"]
    return [_function(name, "due=None", _title(writer), [*rows, *doing(writer)])]


def _all(writer: Writer) -> str:
    model = writer.module.model(writer.model) if writer.model is not None else "None"
    return f"{model}._base_manager.all()"


_SHAPES: Mapping[str, Callable[[Writer, str], list[list[str]]]] = {
    "due": _of_one,
    "nothing": _of_nothing,
    "each": _of_each,
    "rows": _of_rows,
}
