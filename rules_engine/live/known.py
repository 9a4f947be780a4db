"""The rules as this process knows them, and reading again just those that others changed.

What a number of the rule set changed is written down with it (``models.rule_set``). Where that is not known for each
number since ours, all rules are read, and those are compiled anew that are not what they were.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from rules_engine.live.compiler import compile_rule, in_sites_language
from rules_engine.live.versions import newest_numbers, number_versions
from rules_engine.models import Rule, RuleSetChange
from rules_engine.models.rule import RuleQuerySet
from rules_engine.models.rule_set import MOST_CHANGES, MOST_NAMED
from rules_engine.rules import registry
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import RuleSpec

#: Equal for rules that are alike to the type of each value; so long that no two others are.
DIGEST_BYTES = 16
#: Rules that are read and compiled together: what they are written as takes several times the memory of what is kept.
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Known:
    """A rule as it was read, and what was compiled of it. Without a digest it is compiled again each time: what is
    missing may be registered by then."""

    rule: CompiledRule
    position: int
    digest: bytes


#: By the rules' keys, in the order in which they are tried.
KnownRules = Mapping[Any, Known]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: the rules, at which number of the rule set, and the stamp of that number, empty for none."""

    number: int
    stamp: str
    rules: KnownRules


def read(number: int, using: str, last: Reading | None) -> Reading:
    """Read the enabled rules at that number; of what was read last, all that is still so is taken over.

    The number is read before the rules, and by the caller: a change in between is seen again.
    """
    if last is not None and number == last.number:
        return Reading(number, last.stamp, _with_changes((), using, last.rules))
    changes = _changes(number, using, number if last is None else last.number)
    stamp = changes[-1].stamp if changes and changes[-1].number == number else ""
    touched = None if last is None else _touched(changes, number, last)
    if last is None or touched is None:
        return Reading(number, stamp, _all(using, {} if last is None else last.rules))
    return Reading(number, stamp, _with_changes(touched, using, last.rules))


def _changes(number: int, using: str, since: int) -> list[RuleSetChange]:
    first = since if number - MOST_CHANGES < since < number else number
    rows = RuleSetChange.objects.using(using).filter(number__gte=first, number__lte=number)
    return list(rows.order_by("number", "pk"))


def _touched(changes: Sequence[RuleSetChange], number: int, last: Reading) -> set[Any] | None:
    """Return the keys of the rules that changed since; None where that is not known of each number, where there are
    too many, and where our own number has become another one, as after a rollback."""
    if [change.number for change in changes] != list(range(last.number, number + 1)):
        return None
    if changes[0].stamp != last.stamp:
        return None
    keys: set[Any] = set()
    for change in changes[1:]:
        if change.rules is None:
            return None
        keys.update(change.rules)
    return keys if len(keys) <= MOST_NAMED else None


def _all(using: str, last: KnownRules) -> KnownRules:
    rows = Rule.objects.using(using).filter(enabled=True)
    rules = _compiled(rows.specs_by_key(AT_ONCE), using, last)
    if len(rules) < AT_ONCE:
        return rules
    keys = _in_order(rows)
    left = [key for key in keys if key not in rules]
    for begin in range(0, len(left), AT_ONCE):
        rules.update(_compiled(rows.filter(pk__in=left[begin : begin + AT_ONCE]).specs_by_key(), using, last))
    return {key: rules[key] for key in keys if key in rules}


def _in_order(rows: RuleQuerySet) -> list[Any]:
    """Return the keys of the rules in the order in which they are tried, as the database sorts texts."""
    return list(rows.order_by("position", "slug").values_list("pk", flat=True))


def _with_changes(touched: Collection[Any], using: str, last: KnownRules) -> KnownRules:
    """Return the rules with those read anew that were touched, and those that could not be compiled for good."""
    keys = {*touched, *(key for key, known in last.items() if not known.digest)}
    if not keys:
        return last
    rows = Rule.objects.using(using).filter(enabled=True)
    fresh = _compiled(rows.filter(pk__in=keys).specs_by_key(), using, last)
    rules = {key: fresh.get(key, known) for key, known in last.items() if key not in keys or key in fresh}
    moved = [key for key, known in fresh.items() if key not in last or _place(last[key]) != _place(known)]
    if not moved:
        return rules
    rules.update(fresh)
    # A rule that is not there any more is one that changed since the number was read: it is seen again.
    return {key: rules[key] for key in _in_order(rows) if key in rules}


def _place(known: Known) -> tuple[int, str]:
    return known.position, known.rule.slug


def _compiled(specs: Mapping[Any, RuleSpec], using: str, last: KnownRules) -> dict[Any, Known]:
    digests = {key: blake2b(repr(spec).encode(), digest_size=DIGEST_BYTES).digest() for key, spec in specs.items()}
    same = {key: last[key] for key, digest in digests.items() if key in last and last[key].digest == digest}
    newest = newest_numbers([known.rule.slug for known in same.values()], using)
    same = {key: known for key, known in same.items() if newest.get(known.rule.slug) == known.rule.version}
    new = _compile({key: spec for key, spec in specs.items() if key not in same}, using)
    known = {
        key: Known(rule, specs[key].position, digests[key] if _is_final(rule) else b"") for key, rule in new.items()
    }
    return {key: same[key] if key in same else known[key] for key in specs}


def _compile(specs: Mapping[Any, RuleSpec], using: str) -> dict[Any, CompiledRule]:
    if not specs:
        return {}
    versions = number_versions(specs.values(), using)
    with in_sites_language():
        return {key: compile_rule(spec, versions[spec.slug]) for key, spec in specs.items()}


def _is_final(rule: CompiledRule) -> bool:
    """Say whether compiling it again would come to the same; what is missing may be registered by then."""
    return not rule.fault and all(registry.find(action.kind) is not None for action in rule.actions)
