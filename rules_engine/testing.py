"""For tests of sites that use rules; the plugin ``rules_engine.pytest_plugin`` forgets rules after each test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction

from rules_engine import models, types
from rules_engine.context.paths import label_of
from rules_engine.errors import InvalidRule, PermanentError, Rejected, TransientError
from rules_engine.live import cache, watcher
from rules_engine.live.authors import trusted
from rules_engine.packs import checking, files
from rules_engine.rules import registry
from rules_engine.rules.contract import Action
from rules_engine.rules.matching import evaluate
from rules_engine.rules.validation import rule_problems
from rules_engine.test.kept.running import of_pack, run_all, stored_tests
from rules_engine.types import ActionContext, ActionResult, Evaluation, FieldChange, MatchSubject
from rules_engine.work import tasks
from rules_engine.work.claims import claim
from rules_engine.work.run import run_claim

__all__ = ["ActionContractTests", "assert_rule_tests", "create_rule", "explain", "refresh", "reset", "run_due"]


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


class ActionContractTests:
    """What every action must hold to. Subclass it in a test module, and name the kind and a config that works.

    ::

        class TestPageOnCall(ActionContractTests):
            kind = "page_on_call"
            config = {"text": "Order {{ instance.pk }}"}
            context = {"instance": {"pk": 1}}
            rule = RuleSpec(slug="r", model="shop.order", signals=("post_save",))
    """

    kind: str
    config: Mapping[str, Any] = {}
    context: Mapping[str, Any] = {}
    rule = types.RuleSpec(slug="contract", signals=("post_save",))

    def action(self) -> Action:
        """Find the registered action under test."""
        action = registry.find(self.kind)
        assert action is not None, registry.unknown(self.kind)
        return action

    def test_it_names_itself(self) -> None:
        """It has a label for people and a flat schema for the form."""
        assert str(self.action().label)
        assert self.action().schema.get("type") == "object"

    def test_a_working_config_has_no_problems(self) -> None:
        """Hold that the config under test passes its own validation."""
        assert not list(self.action().validate_config(self.config, self.rule))

    def test_an_empty_config_is_refused_or_fine_and_never_crashes(self) -> None:
        """Validation takes anything an administrator may leave out."""
        list(self.action().validate_config({}, self.rule))
        list(self.action().reads({}, self.rule))

    def test_what_it_reads_are_paths(self) -> None:
        """Reads are tuples of names that begin with a root of the context."""
        for path in self.action().reads(self.config, self.rule):
            assert isinstance(path, tuple)
            assert path

    def test_it_runs_or_fails_in_words(self) -> None:
        """It returns a result, or raises one of the two errors that workers know what to do with.

        A kind that ``vetoes`` may raise ``Rejected``: that is what it is for.
        """
        expected = (PermanentError, TransientError, *((Rejected,) if self.action().vetoes else ()))
        try:
            result = self.action().run(self._context(), self.config)
        except expected as error:
            assert str(error)
        else:
            assert isinstance(result, ActionResult)

    def _context(self) -> ActionContext:
        from django.utils import timezone

        event_id = types.new_id()
        event = types.Event(
            id=event_id,
            signal=self.rule.signals[0],
            operation="create",
            model=self.rule.model,
            pk=1,
            occurred_at=timezone.now(),
            root_id=event_id,
            depth=0,
            context=self.context,
        )
        return ActionContext(types.new_id(), 1, event, self.rule.slug, 1)
