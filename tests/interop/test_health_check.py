"""The engine's health check beside django-health-check 4, through that package's own view."""

from __future__ import annotations

import asyncio

import pytest
from django.test import RequestFactory
from health_check.views import HealthCheckView

from rules_engine.models import Heartbeat
from rules_engine.work.workers import heartbeats

pytestmark = pytest.mark.django_db(transaction=True)

OURS = "rules_engine.monitoring.django_health_check.RulesEngine"


def asked(check: str) -> int:
    view = HealthCheckView.as_view(checks=[(OURS, {"check": check})])
    response = asyncio.run(view(RequestFactory().get("/health/?format=json")))
    return int(response.status_code)


def test_its_view_answers_as_the_engine_does():
    heartbeats.reset()
    heartbeats.beat(Heartbeat.Kind.SWEEP)
    assert asked("workers") == 200
    assert asked("database") == 200
    Heartbeat.objects.all().delete()
    assert asked("workers") == 500
