"""The trace on the pages of an event and an execution: its id, and a link to where the site shows traces."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from project.clinic.models import Doctor
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule

pytestmark = pytest.mark.django_db(transaction=True)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NAMES = ("event", "execution")


@pytest.fixture
def traced() -> None:
    create_rule(model=Doctor, actions=[("log_message", {"message": "x"})])
    Doctor.objects.create(first_name="Ada")
    Event.objects.update(trace=f"00-{TRACE}-00f067aa0ba902b7-01")


def page(client: Client, name: str) -> str:
    row: Any = Event.objects.get() if name == "event" else Execution.objects.get()
    return client.get(reverse(f"admin:rules_engine_{name}_change", args=[row.pk])).content.decode()


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_is_a_link_where_the_site_says_where_traces_are(
    traced: None, admin_client: Client, settings: Any, name: str
) -> None:
    address = 'https://traces.example.com/{trace_id}?a=1&b="<2>'
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TRACE_URL": address}
    its = f"https://traces.example.com/{TRACE}?a=1&amp;b=&quot;&lt;2&gt;"
    assert f'<a href="{its}">{TRACE}</a>' in page(admin_client, name)


@pytest.mark.parametrize("name", NAMES)
def test_elsewhere_it_is_its_id(traced: None, admin_client: Client, name: str) -> None:
    shown = page(admin_client, name)
    assert TRACE in shown
    assert f">{TRACE}</a>" not in shown


@pytest.mark.parametrize("name", NAMES)
def test_without_a_trace_nobody_is_told_of_traces(traced: None, admin_client: Client, settings: Any, name: str) -> None:
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "TRACE_URL": "https://traces.example.com/{trace_id}"}
    Event.objects.update(trace=None)
    shown = page(admin_client, name)
    assert "traces.example.com" not in shown
    assert "field-trace_shown" not in shown
