"""Settings of what people on call look at: traces, metrics, health, troubles."""

from __future__ import annotations

from collections.abc import Mapping

from rules_engine.conf.accessors import setting
from rules_engine.errors import SettingsError
from rules_engine.retry import is_wait
from rules_engine.setting_values import (
    SETTING,
    UP_TO_A_YEAR,
    ConfiguredBreaker,
    ConfiguredHealth,
    ConfiguredMetrics,
    breaker_problem,
    flag,
    is_health,
    is_metrics,
    is_trace_url,
    usable,
    usable_secret,
)


@setting
def traces() -> bool:
    """Whether spans are made where ``opentelemetry-api`` is installed. Default True."""
    return flag("TRACES", True)


@setting
def trace_url() -> str:
    """Where a trace is shown, such as "https://tempo.example.com/trace/{trace_id}". Default "", without links."""
    return str(usable("TRACE_URL", "", is_trace_url, "an address with {trace_id} in it"))


@setting
def metrics() -> ConfiguredMetrics | None:
    """What is counted for monitors, and who may read it. Default None: nothing is counted. ``{}`` is the usual."""
    expected = 'None, or a dict, perhaps with "token" (empty, or 16 characters and more) and "labels" (a whole number)'
    value = usable_secret("METRICS", None, is_metrics, expected)
    return None if value is None else ConfiguredMetrics(**value)


@setting
def health() -> ConfiguredHealth | None:
    """From where on the health check says that something is not well. Default None: the usual."""
    value = usable("HEALTH", None, is_health, 'None, or a dict of seconds, perhaps with "public" (True or False)')
    return None if value is None else ConfiguredHealth(**value)


@setting
def trouble_seconds() -> float:
    """Seconds after which due work is overdue, and workers that nobody saw are missed. Default 300; 0 is never."""
    return float(usable("TROUBLE_SECONDS", 300.0, is_wait, f"a number of seconds from 0, {UP_TO_A_YEAR}"))


@setting
def breaker() -> ConfiguredBreaker:
    """When a rule that keeps failing is paused by itself, and who is told by mail: see ``ConfiguredBreaker``."""
    written = usable("BREAKER", {}, lambda value: isinstance(value, Mapping), "a dict")
    if (problem := breaker_problem(written)) is not None:
        raise SettingsError(f"{SETTING}['BREAKER']{problem}")
    return ConfiguredBreaker(**written)
