"""Each endpoint gets its share of a sender's slots, whatever waits for the others."""

from __future__ import annotations

from webhooks.sending.shares import BITE, MOST, in_turn, rooms


def test_one_share_is_left_for_an_endpoint_that_has_nothing_due_yet():
    assert rooms(["crm", "erp", "bank"], {}, set(), slots=200) == {"crm": 50, "erp": 50, "bank": 50}


def test_one_endpoint_never_gets_more_than_so_many_at_once():
    assert rooms(["crm"], {}, set(), slots=1000) == {"crm": MOST}


def test_what_is_in_flight_counts_against_an_endpoints_share():
    assert rooms(["crm", "erp"], {"crm": 40, "erp": 0}, set(), slots=120) == {"erp": 40}
    assert rooms(["crm"], {"crm": 10, "bank": 100}, set(), slots=120) == {"crm": 10}, "all slots but ten are taken"


def test_a_replay_leaves_half_of_its_endpoints_share_to_what_is_fresh():
    assert rooms(["crm:replay"], {}, set(), slots=80) == {"crm:replay": 20}
    assert rooms(["crm", "crm:replay"], {}, set(), slots=80) == {"crm": 40}


def test_the_lanes_of_one_endpoint_share_its_share():
    assert rooms(["crm:test", "crm"], {"crm": 30}, set(), slots=80) == {"crm:test": 10}


def test_a_slow_endpoint_takes_little_at_a_time():
    assert rooms(["slow", "well"], {}, {"slow"}, slots=300) == {"slow": BITE, "well": 100}


def test_a_quick_endpoint_is_served_again_once_a_quarter_is_free():
    lanes, slots = ["crm", "crm:test"], 80
    assert rooms(["crm"], {"crm": 31}, set(), {"crm"}, slots=slots) == {}
    assert rooms(["crm"], {"crm": 30}, set(), {"crm"}, slots=slots) == {"crm": 10}
    assert rooms(["crm"], {"crm": 31}, set(), {"erp"}, slots=slots) == {"crm": 9}
    assert rooms(lanes, {"crm": 31}, set(), {"crm"}, slots=slots) == {"crm:test": 9}, "somebody waits for a test"
    assert rooms(["crm"], {"crm": 2}, set(), {"crm"}, slots=6) == {"crm": 1}, "of a small share each slot is a third"


def test_more_lanes_than_slots_take_one_each_as_far_as_they_go():
    shares = rooms([f"e{number}" for number in range(10)], {}, set(), slots=4)
    assert shares == {"e0": 1, "e1": 1, "e2": 1, "e3": 1}


def test_a_limit_bounds_all_of_them_together():
    assert rooms(["crm", "erp"], {}, set(), slots=90, limit=40) == {"crm": 30, "erp": 10}
    assert rooms(["crm"], {}, set(), slots=90, limit=0) == {}


def test_what_happens_now_goes_before_replays_and_slow_endpoints():
    lanes = ["crm:replay", "slow", "slow:replay", "well"]
    assert in_turn(lanes, {"slow"}) == ["well", "slow", "crm:replay", "slow:replay"]
    turns = {tuple(in_turn(["a", "b", "c"], set())) for _ in range(100)}
    assert len(turns) > 1, "none of three is always the first"
