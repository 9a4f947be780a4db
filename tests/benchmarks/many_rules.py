"""What a save costs among 1,000 and 10,000 rules on its model, and what an edit of one of them costs."""

from __future__ import annotations

from typing import Any

from rules_engine.live import watcher
from rules_engine.models import Rule, RuleAction
from rules_engine.testing import refresh
from tests.benchmarks import refresh as refreshing
from tests.benchmarks.models import BY_CHANGE, BY_CONDITION
from tests.benchmarks.rounds import interleave
from tests.benchmarks.site import HAS_SOME, LOG, Scale, changing, fill, without_rules
from tests.benchmarks.tables import Found, of_rounds

ORDERS = 10
#: By what the rules of a model are told apart.
KINDS: dict[str, Any] = {"change": BY_CHANGE, "condition": BY_CONDITION}


def told_apart(kind: str, status: str) -> dict[str, Any]:
    """Return what only a rule for that status has: the value of a change condition, or an equality in its condition."""
    if kind == "change":
        return {"changes": [{"field": "status", "to": status}], "condition": HAS_SOME}
    return {"condition": {"and": [{"==": [{"var": "instance.status"}, status]}, HAS_SOME]}}


def create(kind: str, count: int, label: str) -> None:
    """Store so many rules on a model, of which the last waits for "paid"."""
    names = [*(f"s{number}" for number in range(count - 1)), "paid"]
    rules = Rule.objects.bulk_create(
        [
            Rule(
                slug=f"{kind}-{count}-{name}",
                name=name,
                model=label,
                signals=["post_save"],
                operations=["update"],
                **told_apart(kind, name),
            )
            for name in names
        ],
        batch_size=1_000,
    )
    actions = [RuleAction(rule=rule, position=0, kind=LOG[0], config=LOG[1]) for rule in rules]
    RuleAction.objects.bulk_create(actions, batch_size=1_000)


def measure(scale: Scale) -> Found:
    """P5: a save that none of them matches, and one that one of them does."""
    without_rules()
    keys = fill(ORDERS)
    counts = (1, 1_000) if scale.quick else (1, 1_000, 10_000)
    cases: dict[str, tuple[str, int, str, Any]] = {}
    for kind, classes in KINDS.items():
        for count in counts:
            with watcher.without_reading():
                create(kind, count, classes[count]._meta.label_lower)
            for label, status in (("none", "held"), ("one", "paid")):
                cases[_name(kind, count, label)] = (kind, count, label, changing(classes[count], keys, status))
    refresh()
    rounds = interleave({name: case[3] for name, case in cases.items()}, scale.rounds(10))
    figures, rows = {}, []
    for name, (kind, count, label, _variant) in cases.items():
        head, [row] = of_rounds(rounds, [name], _name(kind, 1, label))
        rows.append(row)
        if count > 1:
            figures[name] = rounds.ratio(name, _name(kind, 1, label)).middle
    without_rules()
    edit, taken, remark = edits(counts[-1])
    if not scale.quick:
        figures |= {"refresh after one edit of 10,000": edit, "memory a rule of 10,000": taken}
    return Found(head, tuple(rows), figures, (remark,))


def edits(count: int) -> tuple[float, float, str]:
    """Return milliseconds of CPU to refresh after one edit of so many rules, KB a rule, and both in words.

    Of rules on one model and of rules on twenty, whichever took more.
    """
    found = [refreshing.measured(count, classes) for classes in (1, 20)]
    without_rules()
    edit, taken = max(row[2] for row in found), max(row[3] for row in found) / 1024
    return edit, taken, f"  {count:,} rules: {edit:.1f} ms of CPU to refresh after one edit, {taken:.1f} KB a rule"


def _name(kind: str, count: int, label: str) -> str:
    return f"{count} by {kind}, {label} matches"
