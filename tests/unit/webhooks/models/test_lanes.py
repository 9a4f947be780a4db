"""The lanes of an endpoint, by their names alone."""

from __future__ import annotations

import pytest

from webhooks.models import lanes


def test_fresh_deliveries_wait_under_the_slug_itself() -> None:
    assert lanes.counted("crm")[0] == "crm"
    assert lanes.slug_of("crm") == "crm"


@pytest.mark.parametrize("slug", ["crm", "c-r_m", "0"])
def test_every_lane_leads_back_to_its_endpoint(slug: str) -> None:
    assert {lanes.slug_of(lane) for lane in lanes.every(slug)} == {slug}
    assert len(set(lanes.every(slug))) == 3


def test_test_deliveries_count_for_nothing() -> None:
    assert lanes.test("crm") in lanes.every("crm")
    assert lanes.test("crm") not in lanes.counted("crm")


def test_a_replay_counts_and_is_told_from_what_is_fresh() -> None:
    assert lanes.replayed("crm") in lanes.counted("crm")
    assert [lanes.is_replayed(lane) for lane in lanes.every("crm")] == [False, True, False]
    assert [lanes.is_test(lane) for lane in lanes.every("crm")] == [False, False, True]


def test_an_endpoint_named_like_a_lane_has_lanes_of_its_own() -> None:
    assert not set(lanes.every("replay")) & set(lanes.every("test"))
    assert not lanes.is_replayed("replay")
    assert not lanes.is_test("test")
