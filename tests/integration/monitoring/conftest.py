"""Metrics that are on, with a token; and reading them as Prometheus does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import override_settings

from rules_engine.models.tallies import counting
from tests.integration.monitoring.scrapes import TOKEN


@pytest.fixture
def _on() -> Iterator[None]:
    counting.reset()
    with override_settings(
        RULES_ENGINE={**getattr(settings, "RULES_ENGINE", {}), "METRICS": {"token": TOKEN}},
        ROOT_URLCONF="tests.integration.monitoring.addresses",
    ):
        yield
    counting.reset()
