"""How often a rule would act in a day, and what that is worked out from, in words. Nothing is asked of a database."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.reading.estimated import _because, _often
from rules_engine.test.ahead.estimate import Basis, Estimate


def estimate(acts: float = 0.0, *, is_most: bool = False, **actions: float) -> Estimate:
    return Estimate(Basis("events", 1, 1.0, 1), acts, actions, is_most)


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (estimate(send_email=1), "About 1 mail a day."),
        (estimate(send_email=1234), "About 1,200 mails a day."),
        (estimate(webhook=1), "About 1 webhook a day."),
        (estimate(webhook=20, send_email=2), "About 20 webhooks, 2 mails a day."),
        (estimate(log_message=7), "About 7 × “Write a log message” a day."),
        (estimate(gone_kind=7), "About 7 × “gone_kind” a day."),
        (estimate(send_email=3, is_most=True), "At most about 3 mails a day."),
        # What rounds to none is not told beside what does not.
        (estimate(5, send_email=0.2, webhook=4), "About 4 webhooks a day."),
        (estimate(5, send_email=0.2), "It would act on about 5 events a day."),
        (estimate(0.2), "It would act less than once a day."),
    ],
)
def test_it_is_said_about_how_often(of: Estimate, said: str) -> None:
    with translation.override("en"):
        assert _often(of) == said


@pytest.mark.parametrize(
    ("counted", "days", "count", "acts", "begins", "said"),
    [
        ("events", 1.0, 1, 1, False, "Of 1 change that was recorded in 1 day it would have acted on 1."),
        ("events", 7.0, 1_200, 30, False, "Of 1,200 changes that were recorded in 7 days it would have acted on 30."),
        ("events", 1 / 24, 2, 0, False, "Of 2 changes that were recorded in 1 hour it would have acted on 0."),
        # A part of an hour is one.
        ("events", 0.001, 2, 0, False, "in 1 hour it would have acted"),
        # From two days on, hours are not told.
        ("events", 2.4, 2, 0, False, "in 2 days it would have acted"),
        ("events", 3.0, 2, 1, True, "Of 2 changes that were recorded in 3 days, 1 would count for it."),
        ("dates", 30.0, 1, 1, False, "Of 1 date that comes in 30 days it would act on 1, as things are."),
        ("dates", 30.0, 9, 4, False, "Of 9 dates that come in 30 days it would act on 4, as things are."),
        ("times", 7.0, 1, 1, False, "Its schedule has 1 time in 7 days."),
        ("times", 7.0, 5, 5, False, "Its schedule has 5 times in 7 days."),
    ],
)
def test_it_is_said_what_that_is_worked_out_from(
    counted: Any, days: float, count: int, acts: int, begins: bool, said: str
) -> None:
    with translation.override("en"):
        assert said in _because(Basis(counted, count, days, acts), begins=begins)
