"""All figures as Prometheus takes them. The one module that needs the extra ``metrics``."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress

from django.db import DatabaseError, InterfaceError
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from rules_engine import conf
from rules_engine.live import cache
from rules_engine.models import Tally
from rules_engine.models.tallies import counting
from rules_engine.monitoring.catalogue import ENDS, HINTS, METRICS, OUTCOMES
from rules_engine.monitoring.figures import gauges
from rules_engine.monitoring.metric import Metric, Sample, registered

Values = dict[tuple[str, ...], int]


class RulesCollector(Collector):
    """Reads the figures at each scrape. Raises ``DatabaseError`` where the database cannot be read."""

    def describe(self) -> Iterable[Family]:
        """Say nothing: a registry that is told of this collector is not to ask the database."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Yield all metrics: the engine's own, and what apps have registered."""
        began = time.perf_counter()
        with suppress(DatabaseError, InterfaceError):  # what cannot be written is at another time; reading tells
            counting.write_now()
        counted = _counted()
        for metrics, read in ((METRICS, gauges), *registered()):
            samples = defaultdict(list)
            for sample in read():
                samples[sample.name].append(sample)
            if metrics is METRICS:
                samples["rules_engine_scrape_seconds"] = [
                    Sample("rules_engine_scrape_seconds", time.perf_counter() - began)
                ]
            for metric in metrics:
                yield _family(metric, samples[metric.name], counted)


def exposition(accept: str) -> tuple[bytes, str]:
    """Return all metrics as text, and its type, as far as the header ``Accept`` asks for one. Raises
    ``DatabaseError`` and ``InterfaceError`` where the database cannot be read."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RulesCollector())
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


def _counted() -> dict[str, Values]:
    """Read all numbers that processes have counted, by name and labels: one query, of as many rows as are bounded."""
    counted: dict[str, Values] = defaultdict(dict)
    for name, labels, value in Tally.objects.values_list("name", "labels", "value"):
        counted[name][tuple(labels)] = value
    _foresee(counted)
    return counted


def _foresee(counted: dict[str, Values]) -> None:
    """Tell as 0 what nothing was counted of yet, and may be: an alert sees a rise, and none from nothing."""
    rules = cache.current().rules
    kinds = (action.kind for rule in rules for action in rule.actions)
    expected = (
        (counting.EVALUATIONS, (rule.slug for rule in rules), OUTCOMES),
        (counting.EXECUTIONS, kinds, ENDS),
    )
    for name, firsts, outcomes in expected:
        values = counted[name]
        for first in _bounded([labels[0] for labels in values], firsts):
            for outcome in outcomes:
                values.setdefault((first, outcome), 0)
    for outcome in HINTS:
        counted[counting.HINTS].setdefault((outcome,), 0)


def _bounded(counted: Iterable[str], live: Iterable[str]) -> list[str]:
    """Return first labels, those that something was counted of before all others, as many as are told apart."""
    settings = conf.metrics()
    told = dict.fromkeys([*counted, *live])
    told.pop(counting.OF_ANY_KIND, None)  # which has one end alone
    return list(told)[: settings.labels + 1 if settings else 0]


def _family(metric: Metric, samples: Sequence[Sample], counted: dict[str, Values]) -> Family:
    if metric.kind == "gauge":
        gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
        for sample in samples:
            gauge.add_metric(sample.labels, sample.value)
        return gauge
    if metric.kind == "counter":
        counter = CounterMetricFamily(metric.name, metric.help, labels=metric.labels)
        values = counted[metric.name] if metric.labels else {(): 0, **counted[metric.name]}
        for labels, value in sorted(values.items()):
            counter.add_metric(labels, value)
        return counter
    sums = {labels: total / counting.MICROSECONDS for labels, total in counted[f"{metric.name}_sum"].items()}
    if metric.kind == "summary":
        summary = SummaryMetricFamily(metric.name, metric.help, labels=metric.labels)
        for labels, count in sorted(counted[f"{metric.name}_count"].items()):
            summary.add_metric(labels, count, sums.get(labels, 0.0))
        return summary
    histogram = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    for labels, total in sorted(sums.items()):
        histogram.add_metric(labels, _buckets(labels, counted[f"{metric.name}_bucket"]), total)
    return histogram


def _buckets(labels: tuple[str, ...], counted: Values) -> list[tuple[str, float]]:
    """Return how many took at most so long, for each bound."""
    buckets, so_far = [], 0
    for bound in (*(f"{bound:g}" for bound in counting.BOUNDS), "+Inf"):
        so_far += counted.get((*labels, bound), 0)
        buckets.append((bound, float(so_far)))
    return buckets
