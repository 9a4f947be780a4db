"""P19: what traces that are off, and the counting of metrics, cost a save.

``DATABASE_URL=… python -m tests.benchmarks.monitored`` measures this goal alone on that database.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Any
from unittest import mock

from tests.benchmarks import one_database

if __name__ == "__main__":
    one_database.set_up()

from rules_engine import conf
from rules_engine.outbox import writing
from rules_engine.setting_values import ConfiguredMetrics
from rules_engine.testing import create_rule
from rules_engine.tracing import spans
from tests.benchmarks import models
from tests.benchmarks.rounds import Rounds, Times
from tests.benchmarks.site import HAS_SOME, LOG, Scale, changes, clear, fill, without_rules
from tests.benchmarks.tables import Found, of_rounds

#: A condition that no order meets and that rules none out before it is asked.
HAS_NONE = {"<": [{"var": "instance.quantity"}, 0]}
#: Saves of each variant in a round.
ORDERS = 20
NO_CHECKS, AGAIN = "asks for neither", "asks for neither, again (A/A)"
SWITCHED_OFF, NOT_INSTALLED = "TRACES is False", "opentelemetry-api not installed"
NOT_CONFIGURED, COUNTED = "opentelemetry-api not configured", "METRICS counted"
MATCHED, NOT_MATCHED = "matches", "does not match"
#: What is another in a variant: a module, one of its names, and what that stands for.
Patches = Sequence[tuple[Any, str, Any]]


def _conf(*, traces: bool, metrics: ConfiguredMetrics | None = None) -> Patches:
    # Kept as the real ones are, so that asking takes as long.
    is_on = cache(lambda: traces and spans.trace is not None)
    return (conf, "traces", cache(lambda: traces)), (spans, "is_on", is_on), (conf, "metrics", cache(lambda: metrics))


NONE: Patches = ((writing, "write", writing._write), *_conf(traces=False))
VARIANTS: Mapping[str, Patches] = {
    NO_CHECKS: NONE,
    AGAIN: NONE,
    SWITCHED_OFF: _conf(traces=False),
    NOT_INSTALLED: (*_conf(traces=True), (spans, "trace", None)),
    NOT_CONFIGURED: _conf(traces=True),
    COUNTED: _conf(traces=False, metrics=ConfiguredMetrics()),
}


def save_by_save(acts: Sequence[Callable[[], None]], names: Sequence[str], rounds: int) -> Rounds:
    """Time each act in each variant, one right after the other in an order that is shuffled: what is looked for is a
    hundredth of a save, and a machine changes its mind from block to block. The CPU's time is this thread's."""
    chance = random.Random(1)
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for number in range(rounds + 1):
        clear()
        sums = {name: [0.0, 0.0] for name in names}
        for act in acts:
            for name in chance.sample(names, len(names)):
                with ExitStack() as stack:
                    for patch in VARIANTS[name]:
                        stack.enter_context(mock.patch.object(*patch))
                    cpu, wall = time.thread_time(), time.perf_counter()
                    act()
                    sums[name][0] += time.perf_counter() - wall
                    sums[name][1] += time.thread_time() - cpu
        if number:  # one round more, before them, is not counted
            for name, (wall, cpu) in sums.items():
                taken[name].append((wall / len(acts), cpu / len(acts)))
    clear()
    return Rounds({name: Times(*zip(*of_name, strict=True)) for name, of_name in taken.items()})


def measure(scale: Scale) -> Found:
    """Save orders that one rule matches, and orders that it does not match."""
    without_rules()
    names = [name for name in VARIANTS if name != NOT_CONFIGURED or spans.trace is not None]
    rows: list[tuple[str, ...]] = []
    figures: dict[str, float] = {}
    # These ask nothing about what was before: each save is alike, however often an order is saved.
    for kind, rule in ((MATCHED, {"condition": HAS_SOME}), (NOT_MATCHED, {"condition": HAS_NONE})):
        without_rules()
        create_rule(models.OneRuleOrder, actions=[LOG], **rule)
        acts = [changes(models.OneRuleOrder, [key], "paid") for key in fill(ORDERS)]
        rounds = save_by_save(acts, names, scale.rounds(200))
        head, found = of_rounds(rounds, names, NO_CHECKS)
        rows += [(f"{kind}: {name}", *cells) for name, *cells in found]
        figures |= {f"{name}, {kind}": rounds.cpu_ratio(name, NO_CHECKS) for name in names}
    without_rules()
    remarks = () if NOT_CONFIGURED in names else ("  Left out: opentelemetry-api is not installed.",)
    return Found(head, tuple(rows), figures, remarks)


if __name__ == "__main__":
    one_database.main(["--only", "P19", *sys.argv[1:]])
