"""Rules as the text of a Python module: imports, receivers, and the functions that they call."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from rules_engine.rules.schedules.kinds import is_on_time_alone
from rules_engine.rules.validation import rule_problems
from rules_engine.source import by_clock, gates
from rules_engine.source.literals import comment, indented
from rules_engine.source.printed import FUNCTIONS
from rules_engine.source.receivers import receivers
from rules_engine.source.writer import Module
from rules_engine.types import ActionSpec, RuleSpec

HEAD = '''"""Receivers that do what rules do, to be read, or put where an app's ready() imports them.

Switch the rules off before. A receiver reads the object as code left it, acts in the process that saved, and tries
once; what goes wrong before the commit reaches the code that saves. A rule reads what is stored, acts from a worker,
tries again, keeps a record, and can do no more than its author.
"""'''
LOGGER = 'logger = logging.getLogger("rules_engine.messages")'


def python_of(rules: Iterable[RuleSpec]) -> str:
    """Return the module for these rules, enabled or not. A rule that could not run is a comment that says why."""
    module = Module()
    parts: list[str] = []
    for rule in rules:
        parts.append("\n".join([*_heading(rule), *_functions(module, rule)]).rstrip())
    printed = [FUNCTIONS[name].source for name in FUNCTIONS if name in module.functions]
    logger = [LOGGER] if "logging" in module.modules else []
    top = "\n\n".join(filter(None, [HEAD, *_imports(module), *logger]))
    return "\n\n\n".join([top, *parts, *printed]) + "\n"


def _functions(module: Module, rule: RuleSpec) -> list[str]:
    problems = rule_problems(rule)
    if problems:
        said = [line for problem in problems for line in comment(f"- {problem}")]
        return [*comment("It cannot be written in Python, because it does not work as it is stored:"), *said]
    lines: list[str] = []
    if untold := by_clock.why_not(rule):
        return comment(untold)
    for function in by_clock.functions(module, rule) if is_on_time_alone(rule) else receivers(module, rule):
        if lines:
            lines += ["", ""]
        lines += function
    return lines


def _heading(rule: RuleSpec) -> list[str]:
    lines = comment(f'The rule "{rule.slug}". {rule.description}')
    if rule.shadow:
        lines += comment("It runs in shadow: the rule records and does nothing, what follows would act.")
    if rule.stop_processing:
        lines += comment("Once it matches, later rules are not tried on the same event; receivers do not know that.")
    lines += [line for said in _held_back(rule) for line in comment(f"{said}; receivers do not know that.")]
    lines += by_clock.heading(rule)
    off = [action.kind for action in rule.actions if not action.enabled]
    if off:
        lines += comment(f"Switched off in it, and left out here: {', '.join(off)}.")
    return lines


def _held_back(rule: RuleSpec) -> Iterator[str]:
    """Say how the rule acts less often, or later, than what is printed."""
    if rule.once:
        yield "It acts once for each object"
    if rule.throttle_count:
        yield f"It acts at most {rule.throttle_count} times in {rule.throttle_seconds} seconds"
    if rule.coalesce_seconds is not None:
        span = f"{rule.coalesce_seconds} seconds" if rule.coalesce_seconds else "one transaction"
        yield f"Of several matches in {span} only the last one acts"
    yield from gates.comments(rule)
    for action in rule.actions:
        if action.enabled:
            yield from _later(action)


def _later(action: ActionSpec) -> Iterator[str]:
    if action.delay:
        yield f"Its action {action.kind} waits for {action.delay} seconds"
    if action.at:
        yield f"Its action {action.kind} waits until {action.at}{f' in {action.zone}' if action.zone else ''}"
    if action.asks_again:
        yield f"Its action {action.kind} acts only if the condition still holds then"
    if action.on_failure == "stop":
        yield f"If its action {action.kind} fails, what comes after it is not done"


def _imports(module: Module) -> list[str]:
    """Write blocks of imports: the standard library, then Django and others, then the site's."""
    blocks: list[list[str]] = [[], [], []]
    for name in sorted(module.modules):
        blocks[0].append(f"import {name}")
    homes: dict[str, list[str]] = {}
    for (home, name), called in module.imported.items():
        homes.setdefault(home, []).append(name if name == called else f"{name} as {called}")
    for home in sorted(homes):
        blocks[_block(home)].append(_import(home, sorted(homes[home], key=_order)))
    return ["\n".join(block) for block in blocks if block]


def _order(name: str) -> tuple[int, str]:
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2, name)


def _import(home: str, names: list[str]) -> str:
    line = f"from {home} import {', '.join(names)}"
    if len(line) <= 110:
        return line
    return "\n".join([f"from {home} import (", *indented([f"{name}," for name in names]), ")"])


def _block(home: str) -> int:
    top = home.split(".")[0]
    return 0 if top in sys.stdlib_module_names else 1 if top in ("celery", "django") else 2
