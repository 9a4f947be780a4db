"""Figures as they are written on an endpoint's page."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from webhooks import conf
from webhooks.admin.buttons import MARKS
from webhooks.admin.figures import _seconds, list_url, percent
from webhooks.models import Endpoint, lanes


@pytest.mark.parametrize(
    ("share", "written"),
    [
        (None, "–"),
        (0.0, "0 %"),
        (1.0, "100 %"),
        (0.5, "50 %"),
        (0.98765, "98.77 %"),
        (0.999, "over 99.9 %"),
        (0.99999, "over 99.9 %"),
        (0.00001, "0.001 %"),
    ],
)
def test_a_share_is_never_100_percent_while_one_failed(share: float | None, written: str) -> None:
    assert percent(share) == written


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(None, "–"), (0.0, "0 ms"), (0.0123, "12 ms"), (0.9994, "999 ms"), (1.0, "1.0 s"), (75.26, "75.3 s")],
)
def test_a_time_is_written_in_milliseconds_below_a_second(seconds: float | None, written: str) -> None:
    assert _seconds(seconds) == written


def test_the_list_of_deliveries_is_of_all_lanes_of_the_endpoint() -> None:
    query = parse_qs(urlsplit(list_url(Endpoint(slug="crm"), "failed")).query)
    assert query == {"queue__exact": [conf.QUEUE], "lane__in": [",".join(lanes.every("crm"))], "tab": ["failed"]}


def test_every_status_has_a_mark() -> None:
    assert set(MARKS) == {"open", "failing", "paused", "probing", "waiting", "disabled"}
