"""Tests that are kept with a rule, run: what comes of the rule with a sample, and whether that is as expected.

Nothing comes of a run: no action is asked to do anything, or to look anything up; of each its settings are filled in,
as it would take them. Nothing is written, counted or held, and the time is the sample's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.utils import timezone, translation
from django.utils.translation import gettext

from rules_engine.context import snapshot
from rules_engine.context.paths import find_model
from rules_engine.errors import ConditionError, InvalidRule, TemplateError
from rules_engine.logic import jsonlogic
from rules_engine.logic.evaluator import operators
from rules_engine.models import RuleTest
from rules_engine.packs.checking import Pack
from rules_engine.packs.writing import without_secret_values
from rules_engine.rules import registry, values
from rules_engine.rules.expected.differences import differences
from rules_engine.rules.expected.expectation import ActionCame, Came, expectation_problems
from rules_engine.rules.gates import GateSeen
from rules_engine.rules.matching import CompiledRule
from rules_engine.rules.repetition import EACH, Each
from rules_engine.test.gates_seen import first_shut
from rules_engine.test.kept.samples import MisshapenSample, event_of
from rules_engine.test.pasted import context_problems
from rules_engine.test.previews import as_if_alone, rows_of
from rules_engine.test.recorded import missing_of, recorded_subject
from rules_engine.test.timed.clock import compiled_at, fixed, moment_logic
from rules_engine.types import ActionSpec, Event, RuleSpec, RuleTestSpec

#: What is read besides the event's context, by actions on rows that they find: no sample tells it.
ROW = "row"
#: Stands for a setting that no sample tells.
_UNTOLD: Any = object()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run of one test came to. ``differences`` are sentences; none: it passes."""

    rule: str
    test: RuleTestSpec
    differences: Sequence[str]
    came: Came | None = None

    @property
    def is_passed(self) -> bool:
        """Say whether all was as expected."""
        return not self.differences


def run(rule: RuleSpec, test: RuleTestSpec) -> Verdict:
    """Run one test of the rule, as it is written here: stored or not, switched on or off."""
    problems = [*expectation_problems(test.expected), *_sample_problems(rule, test)]
    if problems:
        return Verdict(rule.slug, test, [str(problem) for problem in problems])
    try:
        came = came_of(rule, test)
    except MisshapenSample as error:
        return Verdict(rule.slug, test, [str(error)])
    return Verdict(rule.slug, test, differences(test.expected, came), came)


def run_all(rule: RuleSpec, tests: Iterable[RuleTestSpec]) -> list[Verdict]:
    """Run these tests of the rule, in their order."""
    return [run(rule, test) for test in tests]


def stored_tests(rules: Iterable[RuleSpec]) -> dict[str, list[RuleTestSpec]]:
    """Return the tests that are kept here with these rules, by slug and in the order of their names: one query."""
    kept: dict[str, list[RuleTestSpec]] = {rule.slug: [] for rule in rules}
    rows = RuleTest.objects.filter(rule__slug__in=kept).select_related("rule").order_by("rule", "name")
    for row in rows:
        kept[row.rule.slug].append(row.spec())
    return kept


def of_pack(pack: Pack) -> list[Verdict]:
    """Run the tests of a pack, but those of rules that lack something of this site: they are shipped switched off."""
    noted = {note.place for note in pack.notes}
    rules = (rule for rule in pack.rules if rule.slug not in noted)
    return [verdict for rule in rules for verdict in run_all(rule, pack.tests.get(rule.slug, ()))]


def failing(rule: RuleSpec) -> list[Verdict]:
    """Run the tests that are kept here with the rule, and return those that fail."""
    return [verdict for verdict in run_all(rule, stored_tests([rule])[rule.slug]) if not verdict.is_passed]


def came_of(rule: RuleSpec, test: RuleTestSpec) -> Came:
    """Return what comes of the rule with the sample: in the site's language and time zone, as workers have them."""
    with translation.override(settings.LANGUAGE_CODE), timezone.override(timezone.get_default_timezone()):
        rule, compiled = _at_moment(rule, test)
        event = event_of(rule, test)
        stop = first_shut(compiled, recorded_subject(compiled, event))
        if stop is not None:
            return _stopped(stop)
        actions = list(_actions(rule, compiled, event))
        return Came("waits" if rule.coalesce_seconds else "acts", actions=actions)


def _sample_problems(rule: RuleSpec, test: RuleTestSpec) -> Iterator[Any]:
    context = {name: value for name, value in test.context.items() if name != "event"}
    model = find_model(rule.model) if rule.model else None
    yield from (problem.under("/context") for problem in context_problems(context, model))


def _stopped(stop: GateSeen) -> Came:
    if stop.state == "shut":
        changed = next((seen.field for seen in stop.changes if seen.state == "shut"), "")
        detail = stop.detail or stop.gate.sentence % {"what": changed}
        return Came("stops", stop.name, detail)
    if stop.state == "error":
        return Came("error", stop.name, stop.detail or stop.gate.sentence % {"what": ""})
    missing = [".".join(path) for path in stop.missing] or [
        f"changes.{seen.field}" for seen in stop.changes if seen.state == "not_recorded"
    ]
    return Came("not_recorded", stop.name, ", ".join(missing))


def _at_moment(rule: RuleSpec, test: RuleTestSpec) -> tuple[RuleSpec, CompiledRule]:
    """Return the rule with the sample's time in the place of ``now``, and the same one compiled."""
    moment = moment_logic(test.occurred_at)
    actions = tuple(
        replace(action, config=fixed(action.config, moment), for_each=fixed(action.for_each, moment))
        for action in rule.actions
    )
    rule = replace(rule, actions=actions)
    return rule, compiled_at(rule, test.occurred_at)


def _actions(rule: RuleSpec, compiled: CompiledRule, event: Event) -> Iterator[ActionCame]:
    event = as_if_alone(rule, event)
    # What was recorded of an event does not hold the rows that an action is done for: its executions do.
    told = (action for action in compiled.actions if action.each is not None and _holds_rows(event, action.each))
    rows = dict(rows_of(list(told), lambda each: event.context))
    for action in sorted(rule.actions, key=lambda action: action.position):
        if action.enabled:
            yield _action(action, event, rows.get(action.position))


def _holds_rows(event: Event, each: Each) -> bool:
    # Rows that somebody wrote need not have every field: what is missing is found where it is read.
    return not missing_of([each.source] if each.source else each.reads, event)


def _action(action: ActionSpec, event: Event, rows: Sequence[Any] | str | None) -> ActionCame:
    if registry.find(action.kind) is None:
        return ActionCame(action.kind, troubles={"": registry.unknown(action.kind)})
    if isinstance(rows, str):
        return ActionCame(action.kind, troubles={"": rows})
    if rows is not None and not rows:
        return ActionCame(action.kind, times=0)
    # Of an action for each of many rows the first one tells enough.
    event = event if rows is None else event._replace(context={**event.context, EACH: rows[0]})
    told: dict[str, Any] = {}
    troubles: dict[str, str] = {}
    for name, value in without_secret_values(action.config).items():
        try:
            filled = _filled(value, event)
        except (TemplateError, ConditionError, InvalidRule) as error:
            troubles[name] = str(error)
        else:
            if filled is not _UNTOLD and filled not in (None, "", [], {}):
                told[name] = json.loads(json.dumps(snapshot.plain(filled), default=str))
    return ActionCame(action.kind, told, None if rows is None else len(rows), troubles)


def _filled(value: Any, event: Event) -> Any:
    """Return a setting with its texts filled in and its expressions worked out, however deep they stand in it."""
    if isinstance(value, str) or _is_expression(value):
        reads = values.reads(value)
        if any(path[:1] == (ROW,) or (path[:1] == (EACH,) and EACH not in event.context) for path in reads):
            return _UNTOLD
        if missing := missing_of(reads, event):
            names = ", ".join(".".join(path) for path in missing)
            raise TemplateError(gettext("The sample lacks what it reads: %s.") % names)
        return values.evaluate(value, event.context)
    if isinstance(value, Mapping):
        filled = {key: _filled(inner, event) for key, inner in value.items()}
        return {key: inner for key, inner in filled.items() if inner is not _UNTOLD}
    if isinstance(value, list):
        return [inner for item in value if (inner := _filled(item, event)) is not _UNTOLD]
    return value


def _is_expression(value: Any) -> bool:
    if not isinstance(value, Mapping) or len(value) != 1:
        return False
    return next(iter(value)) in operators() and not jsonlogic.check(value)
