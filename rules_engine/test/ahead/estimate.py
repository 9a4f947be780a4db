"""How often a rule would act: worked out from what was counted. Pure: no database, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rules_engine.rules.schedules.happening import seconds_of
from rules_engine.types import RuleSpec

SECONDS_A_DAY = 24 * 3600
#: What was counted: events that were recorded, times of a schedule, or dates of objects that come.
Counted = Literal["events", "times", "dates"]


@dataclass(frozen=True, slots=True)
class Basis:
    """What was counted, over how many days, and on how many of these the rule acts."""

    counted: Counted
    count: int
    days: float
    acts: int
    #: Where an action acts for each of some rows: how many these are, on average, by its position.
    rows: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """How often a day the rule acts, and each kind of its actions. ``is_most``: a limit may make it less."""

    basis: Basis
    acts: float
    actions: Mapping[str, float]
    is_most: bool = False


def estimated(spec: RuleSpec, basis: Basis) -> Estimate | None:
    """Return how often the rule would act in a day; None where nothing was counted."""
    if basis.count == 0 or basis.days <= 0:
        return None
    acts = basis.acts / basis.days * _share(spec, basis)
    most = _most(spec)
    actions: dict[str, float] = {}
    for action in spec.actions:
        if action.enabled:
            often = min(acts, most) * basis.rows.get(action.position, 1.0)
            actions[action.kind] = actions.get(action.kind, 0.0) + often
    return Estimate(basis, min(acts, most), actions, is_most=_holds_back(spec))


def _share(spec: RuleSpec, basis: Basis) -> float:
    # Events are looked at without chance; what time brings about knows none.
    share = spec.sample_percent / 100 if basis.counted == "events" else 1.0
    schedule = spec.schedule or {}
    # What made it up is used up.
    return share / schedule["times"] if schedule.get("kind") == "often" else share


def _most(spec: RuleSpec) -> float:
    """Return how often a day it may act by its limit; that of a limit for each of some keys is not known."""
    return min(_most_silences(spec), _most_by_limit(spec))


def _most_silences(spec: RuleSpec) -> float:
    schedule = spec.schedule or {}
    if schedule.get("kind") != "silent" or schedule.get("by"):
        return float("inf")
    return SECONDS_A_DAY / seconds_of(schedule)


def _most_by_limit(spec: RuleSpec) -> float:
    if not spec.throttle_count or not spec.throttle_seconds or spec.throttle_by:
        return float("inf")
    return spec.throttle_count * SECONDS_A_DAY / spec.throttle_seconds


def _holds_back(spec: RuleSpec) -> bool:
    kind = (spec.schedule or {}).get("kind")
    # What has to stay so, or to come several times, or not to come, is less often than what begins it.
    is_counted = bool(spec.throttle_count) or kind in ("stays", "often", "silent")
    return is_counted or spec.once or spec.coalesce_seconds is not None


def rounded(number: float) -> int:
    """Return about how many that is: two digits say enough; less than one is none."""
    if number < 1:
        return 0
    size = int(10 ** max(0, len(str(int(number))) - 2))
    return round(number / size) * size
