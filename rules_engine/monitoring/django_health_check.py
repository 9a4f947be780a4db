"""A check for django-health-check 4, to be named in ``HealthCheckView.as_view(checks=[…])`` by its dotted path."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable, ServiceWarning

from rules_engine.monitoring import health


@dataclass
class RulesEngine(HealthCheck):  # type: ignore[misc]  # the package is none of ours to have
    """Makes one check of the engine's, or all of them where none is named. Raises ``ServiceUnavailable`` for what is
    not well, and ``ServiceWarning`` for what could not be found out."""

    check: str = ""

    @property
    def timeout(self) -> timedelta:
        """As long as the checks take at most."""
        return timedelta(seconds=health.limits().seconds)

    def run(self) -> None:
        """Make the checks."""
        made = health.checks([self.check] if self.check else ())
        state = health.overall(made)
        unwell = " ".join(f"{one.name}: {one.says}" for one in made if one.state == state)
        if state == "unhealthy":
            raise ServiceUnavailable(unwell)
        if state == "unknown":
            raise ServiceWarning(unwell)
