"""What a metric is, and what other apps add. Plain data: nothing here needs the library that metrics are told with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, as monitors see it. Counters are told with ``_total`` after their name.

    The values of counters, histograms and summaries are what processes have counted under that name
    (``count_after_commit``); a gauge has its values from whoever registered it.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "summary"]
    help: str
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """A value of a gauge. ``labels`` are the values of its labels, in the metric's order."""

    name: str
    value: float
    labels: Sequence[str] = ()


#: Gives the values of gauges, as they are now.
Read = Callable[[], Iterable[Sample]]

_registered: dict[str, tuple[Sequence[Metric], Read]] = {}


def register_metrics(app: str, metrics: Sequence[Metric], read: Read) -> None:
    """Have metrics of an app told with the engine's own. ``read`` is called at each scrape: one or two queries, please,
    whose cost is bounded."""
    _registered[app] = metrics, read


def registered() -> Sequence[tuple[Sequence[Metric], Read]]:
    """Return what apps have registered: their metrics, and what reads their gauges."""
    return list(_registered.values())
