"""What commands say of the tests that are kept with rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rules_engine.management.terminal import counted, shown
from rules_engine.test.kept.running import Verdict


def lines_of(verdicts: Iterable[Verdict], *, only_failing: bool = False) -> Iterator[str]:
    """Yield a line for each test, and below one that fails each difference."""
    for verdict in verdicts:
        if only_failing and verdict.is_passed:
            continue
        yield f"{'passed' if verdict.is_passed else 'FAILED'}  {shown(verdict.rule)}: {shown(verdict.test.name)}"
        for difference in verdict.differences:
            yield f"        {shown(difference)}"


def summary(verdicts: list[Verdict]) -> str:
    """Return ``3 tests, 1 fails``."""
    failed = sum(not verdict.is_passed for verdict in verdicts)
    if not failed:
        return f"{counted(len(verdicts), 'test')}, all passed"
    return f"{counted(len(verdicts), 'test')}, {failed:,} failed"


def as_json(verdict: Verdict) -> Mapping[str, Any]:
    """Return a verdict for scripts."""
    return {
        "rule": verdict.rule,
        "test": verdict.test.name,
        "passed": verdict.is_passed,
        "differences": list(verdict.differences),
    }
