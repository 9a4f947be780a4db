"""A bulk write of very many rows takes memory for what was there before, and not for objects or events."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import F

from rules_engine import watching_bulk
from rules_engine.models import Event
from rules_engine.testing import create_rule
from tests.zoo.models import Crate

pytestmark = pytest.mark.django_db

ROWS = int(os.environ.get("BULK_ROWS", "10000"))
LOG = [("log_message", {"message": "{{ instance.name }} {{ old.price }}"})]


def peak_of(work: Callable[[], Any]) -> float:
    """The bytes that the work has at most, a row."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / ROWS
    finally:
        tracemalloc.stop()


@pytest.fixture
def _crates() -> None:
    for start in range(0, ROWS, 1_000):
        Crate.objects.bulk_create([Crate(name=f"c{n}", price=n % 100) for n in range(start, start + 1_000)])


@pytest.mark.usefixtures("_crates")
def test_rows_that_constants_rule_out_are_not_kept() -> None:
    create_rule(model=Crate, changes=[{"field": "name"}], condition={"<": [{"var": "instance.price"}, 1]}, actions=LOG)
    assert peak_of(lambda: Crate.objects.update(name="x")) < 400
    assert Event.objects.count() == ROWS // 100


@pytest.mark.usefixtures("_crates")
def test_of_an_expression_a_row_is_kept_as_it_came() -> None:
    create_rule(
        model=Crate, changes=[{"field": "price"}], condition={">": [{"var": "instance.price"}, 99]}, actions=LOG
    )
    assert peak_of(lambda: Crate.objects.update(price=F("price") + Decimal("0.5"))) < 900
    assert Event.objects.count() == ROWS // 100


@pytest.mark.usefixtures("_crates")
def test_where_every_row_matches_events_are_made_and_forgotten_in_parts() -> None:
    Crate.objects.filter(pk__gt=Crate.objects.order_by("pk")[2_000].pk).delete()
    create_rule(model=Crate, actions=LOG)
    with watching_bulk():
        peak = peak_of(lambda: Crate.objects.update(name="x")) * ROWS
    assert Event.objects.count() == 2_001
    # Of 500 objects with their events, and not of all of them: an event takes ten kilobytes while it is written.
    assert peak < 500 * 16_000
