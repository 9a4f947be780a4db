"""The engine's own metrics."""

from __future__ import annotations

from rules_engine.monitoring.metric import Metric

METRICS = (
    Metric("rules_engine_due_executions", "gauge", "Executions that are due, counted up to 10,001.", ("queue",)),
    Metric("rules_engine_later_executions", "gauge", "Executions due later, counted up to 20,002.", ("queue",)),
    Metric("rules_engine_running_executions", "gauge", "Executions at work now, counted up to 10,001.", ("queue",)),
    Metric("rules_engine_oldest_due_seconds", "gauge", "How long the oldest due execution has been due.", ("queue",)),
    Metric("rules_engine_held_matches", "gauge", "Held matches that wait, counted up to 10,001.", ("due",)),
    Metric("rules_engine_captured_changes", "gauge", "What triggers captured and no rule was told, up to 10,001."),
    Metric("rules_engine_worker_hosts", "gauge", "Hosts that were lately seen at it.", ("kind",)),
    Metric("rules_engine_worker_seen_seconds", "gauge", "How long ago one was last seen at it.", ("kind",)),
    Metric("rules_engine_watcher_age_seconds", "gauge", "How long ago the process that answers looked for new rules."),
    Metric("rules_engine_live_rules", "gauge", "Rules that the process that answers has in force."),
    Metric("rules_engine_scrape_seconds", "gauge", "How long it took to read all this."),
    Metric("rules_engine_evaluations", "counter", "Rules tried on changes, by what came of it.", ("rule", "outcome")),
    Metric("rules_engine_executions", "counter", "Executions that have ended, by their state.", ("kind", "outcome")),
    Metric("rules_engine_attempts", "counter", "Attempts that have ended, by what came of them.", ("kind", "outcome")),
    Metric("rules_engine_attempt_seconds", "histogram", "How long attempts took.", ("kind",)),
    Metric("rules_engine_hints", "counter", "Hints to workers, by whether they could be sent.", ("outcome",)),
    Metric("rules_engine_faults", "counter", "Changes that rules could not be told of, or whose matches were lost."),
)
#: What is told as 0 before it first happens, for a rise from nothing cannot be seen: of each live rule, of each kind of
#: action in one, and of hints.
OUTCOMES = ("matched", "not_matched", "error")
ENDS = ("succeeded", "discarded", "refused", "cancelled")
HINTS = ("sent", "failed")
