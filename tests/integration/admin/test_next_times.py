"""When a rule on time acts next, beside its form while that is filled in: by the clock of the rule's zone."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import translation

from rules_engine.admin.cards.next_times import next_times_said
from rules_engine.models import Rule
from rules_engine.testing import create_rule
from tests.integration.admin.conftest import post_data

pytestmark = pytest.mark.django_db(transaction=True)

URL = reverse("admin:rules_engine_rule_sentence")
LOG = ("log_message", {"message": "x"})
#: A Friday afternoon.
NOW = datetime(2031, 5, 9, 15, tzinfo=UTC)
WEEKDAYS = {"kind": "every", "each": "weekday", "at": "08:00", "zone": "Europe/Berlin"}
BEFORE = {"kind": "date", "path": "instance.date", "count": 3, "unit": "days", "direction": "before", "at": "18:00"}


def times(schedule: Any, model: str = "") -> str:
    return next_times_said(Rule(model=model, signals=[], schedule=schedule).spec_with([]), NOW)


def test_the_next_three_times_are_told() -> None:
    assert times(WEEKDAYS) == (
        "Next (time zone Berlin): Mon May 12, 2031, 8 a.m.; Tue May 13, 2031, 8 a.m.; Wed May 14, 2031, 8 a.m."
    )
    cron = {"kind": "every", "cron": "30 18 1 * *"}
    assert times(cron).startswith("Next (time zone UTC): Sun June 1, 2031, 6:30 p.m.; Tue July 1, 2031")


def test_a_cron_text_that_is_not_finished_is_told_what_it_lacks() -> None:
    assert 'Expected five fields such as "0 8 * * 1-5"' in times({"kind": "every", "cron": "0 8 * *"})
    assert "no list of holidays" in times({**WEEKDAYS, "holidays": "QQ"})
    assert times({"kind": "every", "each": "month", "since": "9999-12-31"}) == "There is no such time any more."


def test_of_a_date_an_example_says_whether_before_or_after_is_meant() -> None:
    said = times(BEFORE, "clinic.appointment")
    assert said == "Example (time zone UTC): for Sun June 8, 2031 it acts on Thu June 5, 2031, 6 p.m."
    moment = {**BEFORE, "path": "instance.status_changed_at", "direction": "after", "zone": "Asia/Tokyo"}
    assert times(moment, "shop.order") == (
        "Example (time zone Tokyo): for Mon June 9, 2031, noon it acts on Thu June 12, 2031, 6 p.m."
    )


def test_where_nobody_can_tell_yet_nothing_is_told() -> None:
    assert times({**BEFORE, "path": ""}, "clinic.appointment") == ""
    assert times({"kind": "often", "times": 5, "count": 1, "unit": "hours"}) == ""
    assert times({**WEEKDAYS, "each": None}) == ""


def test_they_are_told_in_german() -> None:
    with translation.override("de"):
        assert times(WEEKDAYS).startswith("Nächste Zeiten (Zeitzone Berlin): Mo 12. Mai 2031, 08:00; Di 13.")
        assert times(BEFORE, "clinic.appointment") == (
            "Beispiel (Zeitzone UTC): Beim Datum So 8. Juni 2031 handelt sie am Do 5. Juni 2031, 18:00."
        )


def test_they_come_with_the_sentence_as_the_form_is_filled_in(admin_client: Client) -> None:
    body = {**post_data(), "model": "", "signals": [], "operations": [], "schedule": json.dumps(WEEKDAYS)}
    answer = admin_client.post(URL, body).json()
    assert answer["times"].startswith("Next (time zone Berlin): ")
    assert answer["times"].count("8 a.m.") == 3
    assert "Next" not in "".join(part["text"] for part in answer["parts"])


def test_a_stored_rule_tells_its_times(admin_client: Client) -> None:
    rule = create_rule("", signals=(), schedule={**WEEKDAYS, "zone": "Asia/Tokyo"}, actions=[LOG])
    assert admin_client.get(f"{URL}?pk={rule.pk}").json()["times"].startswith("Next (time zone Tokyo): ")
