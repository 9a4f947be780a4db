"""What installing a pack would change here, and doing it. What an administrator edited is not overwritten unasked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Any, Literal

from django.db import router, transaction
from django.utils import timezone
from django.utils.text import slugify

from rules_engine.live import watcher
from rules_engine.live.compiler import content_of, digest_of
from rules_engine.models import Rule, RuleAction, RuleTest, RuleVersion
from rules_engine.models.rule import LONGEST_SLUG
from rules_engine.models.rule_set import rules_changed
from rules_engine.packs import writing
from rules_engine.packs.fields import ACTION_FIELDS, RULE_FIELDS, TEST_FIELDS
from rules_engine.surroundings.own_rules import is_changed_here
from rules_engine.types import RuleSpec, RuleTestSpec

#: ``kept``: edited here, and the pack's rule is as it was installed. ``conflict``: both changed, or nobody knows.
Verdict = Literal["new", "changed", "unchanged", "kept", "conflict"]
#: The key in a version's content that says from which pack the operator installed it.
FROM_PACK = "pack"


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one rule of a pack. ``here`` is the rule in the database, None where there is none."""

    rule: RuleSpec
    here: RuleSpec | None
    verdict: Verdict

    @property
    def writes(self) -> bool:
        """Say whether installing writes this rule."""
        return self.verdict in ("new", "changed")


def with_ending(
    rules: Sequence[RuleSpec], tests: Mapping[str, Sequence[RuleTestSpec]], name: str
) -> tuple[Sequence[RuleSpec], Mapping[str, Sequence[RuleTestSpec]]]:
    """Return rules and their tests as those of one tenant: a slug is taken once for all, so each ends in its name."""
    if not name:
        return rules, tests
    ending = f"-{slugify(name)}"
    slugs = {rule.slug: rule.slug[: LONGEST_SLUG - len(ending)] + ending for rule in rules}
    named = {slugs[slug]: of_rule for slug, of_rule in tests.items() if slug in slugs}
    return [replace(rule, slug=slugs[rule.slug]) for rule in rules], named


def plan(rules: Sequence[RuleSpec], *, overwrite: bool = False, lock: bool = False) -> list[Change]:
    """Say what installing would do with each rule, in the pack's order; reads the database and writes nothing.

    With ``lock`` the rules that are here are held until the caller's transaction ends.
    """
    using = router.db_for_write(Rule)
    slugs = [rule.slug for rule in rules]
    rows = Rule.objects.using(using).filter(slug__in=slugs)
    here = {spec.slug: spec for spec in (rows.select_for_update() if lock else rows).specs()}
    installed = _installed(slugs, using)
    changes = []
    for rule in rules:
        verdict = _verdict(rule, here.get(rule.slug), installed.get(rule.slug, []))
        if rule.slug in here and not is_changed_here(here[rule.slug].surroundings):
            verdict = "conflict"
        elif overwrite and verdict in ("kept", "conflict"):
            verdict = "changed"
        changes.append(Change(rule, here.get(rule.slug), verdict))
    return changes


def _verdict(rule: RuleSpec, here: RuleSpec | None, installed: Sequence[str]) -> Verdict:
    if here is None:
        return "new"
    ours, theirs = _digest(here), _digest(rule)
    if ours == theirs:
        return "unchanged"
    if ours in installed:
        return "changed"
    return "kept" if installed and installed[-1] == theirs else "conflict"


def _digest(rule: RuleSpec) -> str:
    return digest_of(content_of(rule))


def _installed(slugs: Iterable[str], using: str) -> dict[str, list[str]]:
    """Return the digests of the forms that packs gave each rule, oldest first."""
    rows = RuleVersion._default_manager.using(using).filter(rule_slug__in=slugs, content__has_key=FROM_PACK)
    digests: dict[str, list[str]] = {}
    for slug, digest in rows.order_by("number").values_list("rule_slug", "digest"):
        digests.setdefault(slug, []).append(digest)
    return digests


def install(changes: Iterable[Change], pack: str, *, disabled: bool = False) -> list[Change]:
    """Write what the plan says, all of it or nothing; returns what was written.

    A rule that is here keeps its switch, unless ``disabled``, and its labels; what an operator installs has no author.
    """
    using = router.db_for_write(Rule)
    written = [change for change in changes if change.writes]
    # The rule set is read once, when all of them stand: a rule without its actions is no form that should ever run.
    with transaction.atomic(using=using):
        with watcher.without_reading():
            for change in written:
                rule = _write(change, disabled, using)
                _remember(change.rule, pack, using)
                if change.here is not None and change.here.enabled and not rule.enabled:
                    rules_changed.send(Rule, using=using, instance=rule, deleted=False)
        if written:
            rules_changed.send(Rule, using=using, instance=None, deleted=False)
    return written


def install_tests(changes: Iterable[Change], tests: Mapping[str, Sequence[RuleTestSpec]]) -> int:
    """Keep a pack's tests with the rules that are as the pack has them, and return how many were written.

    A test of that name takes the pack's form; tests that the pack does not have were made here, and stay.
    """
    using = router.db_for_write(Rule)
    rows, written = RuleTest.objects.using(using), 0
    for change in changes:
        slug = change.rule.slug
        if change.verdict in ("kept", "conflict") or not tests.get(slug):
            continue
        rule = Rule.objects.using(using).get(slug=slug)
        here = {row.name: row.spec() for row in rows.filter(rule=rule)}
        for test in tests[slug]:
            if here.get(test.name) != test:
                columns = {name: getattr(test, name) for name in TEST_FIELDS if name not in ("rule", "name")}
                rows.update_or_create(rule=rule, name=test.name, defaults=columns)
                written += 1
    return written


def _write(change: Change, disabled: bool, using: str) -> Rule:
    spec = change.rule
    # By the names that a pack may write, so that a new field of a rule is installed from the day packs know it.
    columns = {name: _column(getattr(spec, name)) for name in RULE_FIELDS if name != "slug"}
    columns["enabled"] = (spec if change.here is None else change.here).enabled and not disabled
    columns["author"] = None
    columns["labels"] = columns["labels"] or None
    rows = Rule.objects.using(using)
    if change.here is None:
        rows.bulk_create([Rule(slug=spec.slug, **columns)])
    else:
        del columns["labels"]
        rows.filter(slug=spec.slug).update(**columns, updated_at=timezone.now())
    rule: Rule = rows.get(slug=spec.slug)
    actions = RuleAction.objects.using(using)
    actions.filter(rule=rule).delete()
    actions.bulk_create(
        RuleAction(rule=rule, **{name: getattr(action, name) for name in ACTION_FIELDS if name != "rule"})
        for action in spec.actions
    )
    return rule


def _column(value: Any) -> Any:
    """Return the value as the database has it, where a spec's tuples are lists."""
    return list(value) if isinstance(value, tuple) else value


def _remember(rule: RuleSpec, pack: str, using: str) -> None:
    """Note in the rule's history that this form came from a pack: what the next install compares with."""
    content, digest = {**content_of(rule), FROM_PACK: pack}, _digest(rule)
    rows = RuleVersion._default_manager.using(using).filter(rule_slug=rule.slug)
    latest = rows.order_by("-number").first()
    if latest is not None and latest.digest == digest:
        rows.filter(pk=latest.pk).update(content=content)
    else:
        number = 1 if latest is None else latest.number + 1
        rows.create(rule_slug=rule.slug, number=number, digest=digest, content=content)


def difference(change: Change) -> str:
    """Say how the rule here differs from the pack's, line by line; empty where both are the same but for the switch."""
    before = "" if change.here is None else writing.text([change.here])
    # Whether a rule is on, and what it is grouped by, is the administrator's business and not what packs compare.
    kept = change.rule if change.here is None else change.here
    after = writing.text([replace(change.rule, enabled=kept.enabled, labels=kept.labels)])
    lines = unified_diff(before.splitlines(), after.splitlines(), "here", "in the pack", lineterm="", n=2)
    return "\n".join(lines)
