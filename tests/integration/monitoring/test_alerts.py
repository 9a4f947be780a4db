"""The files that a site takes over: alerts that fire on what is scraped, a dashboard of metrics that there are, and a
page that tells of each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from django.utils import timezone

from project.clinic.models import Doctor
from rules_engine.live import cache, faults, watcher
from rules_engine.models import Execution, Heartbeat
from rules_engine.models.tallies import counting
from rules_engine.monitoring.backlog import MOST_COUNTED
from rules_engine.monitoring.catalogue import METRICS
from rules_engine.testing import create_rule
from rules_engine.work.workers import heartbeats
from rules_engine.work.workers.heartbeats import patience
from tests.factories import make_doctor, make_endpoint
from tests.integration.monitoring import promql
from tests.integration.monitoring.scrapes import samples, text
from webhooks.endpoints import breaker
from webhooks.endpoints import metrics as of_webhooks
from webhooks.endpoints.policy import Report

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("_on")]

DOCS = Path(__file__).resolve().parents[3] / "docs"
ALERTS = yaml.safe_load((DOCS / "monitoring" / "rules-engine.yml").read_text(encoding="utf-8"))
RULES = {rule["alert"]: rule for group in ALERTS["groups"] for rule in group["rules"]}
DASHBOARD = json.loads((DOCS / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
PAGE = (DOCS / "howto" / "monitoring.md").read_text(encoding="utf-8")
KNOWN = {metric.name: metric for metric in (*METRICS, *of_webhooks.METRICS)}
LOG = ("log_message", {"message": "x"})
FAILS = {"+": [{"var": "instance.first_name"}, {}]}


def series(metric: Any) -> set[str]:
    """The names under which a metric is told."""
    ends = {
        "gauge": [""],
        "counter": ["_total"],
        "histogram": ["_bucket", "_sum", "_count"],
        "summary": ["_sum", "_count"],
    }
    return {metric.name + end for end in ends[metric.kind]}


SERIES = {name for metric in KNOWN.values() for name in series(metric)}


def at_work() -> None:
    heartbeats.reset()
    heartbeats.beat(Heartbeat.Kind.SWEEP)


def no_worker() -> None:
    Heartbeat.objects.update(seen_at=timezone.now() - timedelta(seconds=31))


def dead_endpoint() -> None:
    endpoint = make_endpoint("dead")
    breaker.record(endpoint, [Report(taken=False, error="refused")] * 5)


def failing_rule() -> None:
    make_doctor()


def growing_queue() -> None:
    make_doctor()
    one = Execution.objects.get()
    columns = {field.attname: getattr(one, field.attname) for field in one._meta.fields if field.name != "id"}
    Execution.objects.bulk_create([Execution(**columns) for _ in range(1100)])


def oldest_too_old() -> None:
    make_doctor()
    Execution.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=6))


def old_watcher() -> None:
    watcher._looked_at -= 60


def faults_in_the_receiver() -> None:
    faults.of_process.note(OSError("No space left on device"), "could not be told")


def a_broker_that_refuses() -> None:
    counting.add(counting.HINTS, ("failed",))


def late_webhooks() -> None:
    make_endpoint("late")
    create_rule(Doctor, actions=[("webhook", {"endpoint": "late"})])
    make_doctor()
    Execution.objects.update(next_attempt_at=timezone.now() - timedelta(minutes=6))


def given_up() -> None:
    counting.count_after_commit({(counting.EXECUTIONS, ("log_message", "discarded")): 1}, "default")


@pytest.fixture
def _watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that looks for changed rules, as none does in tests."""
    monkeypatch.setattr(watcher, "has_loaded", lambda: True)
    cache.refresh(force=True)
    watcher._note_look()


def told() -> promql.Scrape:
    scraped: promql.Scrape = {}
    for sample in samples(text()):
        scraped.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return scraped


@pytest.mark.usefixtures("_watched")
@pytest.mark.parametrize(
    ("alert", "happens"),
    [
        ("RulesNoWorker", no_worker),
        ("RulesQueueGrows", growing_queue),
        ("RulesOldestDueIsOld", oldest_too_old),
        ("RulesRuleFails", failing_rule),
        ("RulesActionsGivenUp", given_up),
        ("RulesWatcherIsOld", old_watcher),
        ("RulesFaults", faults_in_the_receiver),
        ("RulesHintsFail", a_broker_that_refuses),
        ("WebhooksEndpointIsDead", dead_endpoint),
        ("WebhooksAreLate", late_webhooks),
    ],
)
def test_an_alert_fires_when_it_happens_and_not_before(alert: str, happens: Callable[[], None]) -> None:
    at_work()
    create_rule(Doctor, condition=FAILS if happens is failing_rule else None, actions=[LOG])
    before = told()
    expression = promql_parser.parse(RULES[alert]["expr"])
    assert promql.evaluate(expression, before, before) == {}
    happens()
    firing = promql.evaluate(expression, before, told())
    assert len(firing) == 1
    # A worker is missed after a while; then a scrape, an evaluation, and what the alert waits for.
    missed = patience().total_seconds() if happens is no_worker else 0
    assert missed + 15 + 15 + float(str(RULES[alert].get("for", "0s")).removesuffix("s")) <= 60
    labels = re.findall(r"\$labels\.(\w+)", RULES[alert]["annotations"]["summary"])
    assert set(labels) <= {name for name, _ in next(iter(firing))}


def test_a_queue_of_more_than_are_counted_goes_on_being_an_alert() -> None:
    full: promql.Scrape = {"rules_engine_due_executions": {(("queue", "rules"),): MOST_COUNTED + 1.0}}
    assert promql.evaluate(promql_parser.parse(RULES["RulesQueueGrows"]["expr"]), full, full)


def test_where_nothing_is_scraped_that_is_an_alert() -> None:
    expression = promql_parser.parse(RULES["RulesNotScraped"]["expr"])
    assert promql.evaluate(expression, {}, {}) == {(): 1.0}
    assert promql.evaluate(expression, {}, told()) == {}


def test_the_dashboard_asks_for_metrics_that_there_are() -> None:
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked += [rule["expr"] for rule in RULES.values()]
    named = {name for expression in asked for name in promql.names(promql_parser.parse(expression))}
    assert named - SERIES == set()
    assert {metric.name for metric in KNOWN.values() if not series(metric) & named} == set()


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_has_every_metric_with_its_kind_and_labels() -> None:
    told_of = rows("What each metric means")
    written = {row[0].strip("`"): (row[1], tuple(re.findall(r"`(\w+)`", row[2]))) for row in told_of}
    assert written == {name: (metric.kind, tuple(metric.labels)) for name, metric in KNOWN.items()}


def test_the_page_says_what_to_do_at_every_alert() -> None:
    assert {row[0] for row in rows("What to do at each alert")} == set(RULES)
