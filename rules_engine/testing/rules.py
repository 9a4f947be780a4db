"""Rules in tests: made, carried out, explained, and their own tests run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from rules_engine import models, types
from rules_engine.context.paths import label_of
from rules_engine.errors import InvalidRule
from rules_engine.live import cache, watcher
from rules_engine.live.authors import trusted
from rules_engine.packs import checking, files
from rules_engine.rules import registry
from rules_engine.rules.matching import evaluate
from rules_engine.rules.validation import rule_problems
from rules_engine.test.kept.running import of_pack, run_all, stored_tests
from rules_engine.types import Evaluation, FieldChange, MatchSubject
from rules_engine.work import tasks
from rules_engine.work.claims import claim
from rules_engine.work.run import run_claim


def create_rule(
    model: Any = "",
    signals: Sequence[str] = ("post_save",),
    operations: Sequence[str] | None = None,
    changes: Sequence[Mapping[str, Any]] | None = None,
    condition: Any = None,
    actions: Iterable[Sequence[Any]] = (),
    **fields: Any,
) -> models.Rule:
    """Make a rule, live in this process at once.

    ``model`` is a model class or a label; ``actions`` is ``[(kind, config), …]``, each perhaps with a third part:
    further fields of ``RuleAction``, such as ``{"delay": 60}``; ``fields`` are further fields of ``Rule`` (a slug is
    made up). Raises ``InvalidRule`` with every problem when the rule could not run.
    """
    label = model if isinstance(model, str) else label_of(model)
    slug = fields.pop("slug", None) or f"rule-{types.new_id().hex}"
    rule = models.Rule(
        slug=slug,
        name=fields.pop("name", slug),
        model=label,
        signals=list(signals),
        operations=list(operations or ()),
        changes=[dict(change) for change in changes or ()],
        condition=condition,
        **fields,
    )
    rows = [
        models.RuleAction(
            **{"position": n, "kind": kind, "config": dict(config), "timing": _usual_timing(kind), **dict(*further)}
        )
        for n, (kind, config, *further) in enumerate(actions)
    ]
    problems = rule_problems(rule.spec_with([row.spec() for row in rows]))
    if problems:
        raise InvalidRule(problems)
    with watcher.without_reading(), transaction.atomic():
        rule.save(force_insert=True)
        for row in rows:
            row.rule = rule
        models.RuleAction.objects.bulk_create(rows)
    refresh()
    return rule


def _usual_timing(kind: str) -> str:
    action = registry.find(kind)
    return action.timings[0] if action else "after_commit"


def refresh() -> None:
    """Read the rules again: after changing or loading them in a test."""
    cache.refresh(force=True)


def reset() -> None:
    """Forget all rules in this process, and what their authors may; the database is left alone."""
    cache.reset()
    trusted.forget()


def run_due(limit: int | None = None, *, now: datetime | None = None) -> int:
    """Claim and run what is due, in this process and without a broker. Returns how many executions it ran.

    ``now`` is the time by which rules on time are due; None is the database's.
    """
    ran = 0
    while limit is None or ran < limit:
        tasks.tell_besides(now=now)
        claimed = claim(limit=None if limit is None else limit - ran)
        if not claimed:
            break
        ran += run_claim(claimed)
    return ran


def explain(rule: models.Rule, event: models.Event | types.Event) -> Evaluation:
    """Try the rule, as it is in the database now, on a recorded event; nothing is done."""
    captured = event.captured() if isinstance(event, models.Event) else event
    compiled = cache.compile_one(rule)
    changes = {
        name: FieldChange(name, change["old"], change["new"])
        for name, change in (captured.context.get("changes") or {}).items()
    }
    subject = MatchSubject(captured.signal, captured.operation, changes, captured.occurred_at, context=captured.context)
    return evaluate(compiled, subject)


def assert_rule_tests(*slugs: str, pack: str | Path | None = None) -> None:
    """Run the tests that are kept with these rules, all of them where none is named; with ``pack`` those of a pack, by
    its name or its file.

    Raises ``AssertionError`` with every difference, and where there are no tests, or a pack that has problems.
    """
    if pack is None:
        rules = models.Rule.objects.filter(slug__in=slugs) if slugs else models.Rule.objects.all()
        specs = rules.specs()
        tests = stored_tests(specs)
        verdicts = [verdict for spec in specs for verdict in run_all(spec, tests[spec.slug])]
    else:
        checked = checking.check(files.read(files.locate(str(pack))))
        assert not checked.problems, "\n".join(map(str, checked.problems))
        verdicts = [verdict for verdict in of_pack(checked) if not slugs or verdict.rule in slugs]
    assert verdicts, "There are no such tests."
    untested = sorted(set(slugs) - {verdict.rule for verdict in verdicts})
    assert not untested, f"There are no tests of {', '.join(untested)}."
    failed = [verdict for verdict in verdicts if not verdict.is_passed]
    told = [f"{verdict.rule}: {verdict.test.name}: {said}" for verdict in failed for said in verdict.differences]
    assert not told, "\n".join(told)
