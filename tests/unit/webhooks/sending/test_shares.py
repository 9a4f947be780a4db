"""Each endpoint gets its share of a sender's slots, whatever waits for the others."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
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


def test_a_quick_endpoint_gets_its_share_in_two_waves():
    assert rooms(["crm"], {}, set(), {"crm"}, slots=81) == {"crm": 20}
    assert rooms(["crm"], {"crm": 20}, set(), {"crm"}, slots=81) == {"crm": 20}
    assert rooms(["crm", "crm:test"], {}, set(), {"crm"}, slots=80) == {"crm": 20, "crm:test": 20}
    assert rooms(["crm"], {}, set(), {"crm"}, slots=2) == {"crm": 1}, "a share is one at least, and so is a wave"


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


SLUGS = st.sampled_from(["a", "b", "c", "d"])
LANES = st.lists(st.builds(str.__add__, SLUGS, st.sampled_from(["", ":replay", ":test"])), unique=True, max_size=8)


@settings(max_examples=examples(80), deadline=None)
@given(
    LANES,
    st.dictionaries(SLUGS, st.integers(0, 60)),
    st.sets(SLUGS),
    st.sets(SLUGS),
    st.integers(1, 500),
    st.none() | st.integers(0, 30),
)
def test_no_endpoint_takes_what_is_anothers(
    lanes: list[str], in_flight: dict[str, int], careful: set[str], quick: set[str], slots: int, limit: int | None
):
    given_rooms = rooms(lanes, in_flight, careful, quick, slots=slots, limit=limit)
    busy = sum(in_flight.values())
    assert list(given_rooms) == [lane for lane in lanes if lane in given_rooms], "in the order given"
    assert all(room > 0 for room in given_rooms.values())
    assert sum(given_rooms.values()) <= max(slots - busy, 0)
    assert limit is None or sum(given_rooms.values()) <= limit
    # One share more than there are endpoints, so that one is always left.
    endpoints = {lane.partition(":")[0] for lane in lanes} | {slug for slug, count in in_flight.items() if count}
    share = max(1, min(MOST, slots // (len(endpoints) + 1)))
    for slug in endpoints:
        more = sum(room for lane, room in given_rooms.items() if lane.partition(":")[0] == slug)
        assert more <= max(share - in_flight.get(slug, 0), 0)
        assert slug not in careful or all(
            room <= BITE for lane, room in given_rooms.items() if lane.partition(":")[0] == slug
        )
    assert all(2 * given_rooms.get(f"{slug}:replay", 0) <= share + 1 for slug in endpoints)


@settings(max_examples=examples(80), deadline=None)
@given(LANES.filter(bool), st.integers(6, 500))
def test_where_nothing_is_in_flight_every_endpoint_has_its_turn(lanes: list[str], slots: int):
    served = {lane.partition(":")[0] for lane in rooms(lanes, {}, set(), slots=slots)}
    assert served == {lane.partition(":")[0] for lane in lanes}


@settings(max_examples=examples(80), deadline=None)
@given(LANES, st.sets(SLUGS))
def test_turns_lose_no_lane_and_put_what_is_slow_behind(lanes: list[str], slow: set[str]):
    turns = in_turn(lanes, slow)
    assert sorted(turns) == sorted(lanes)
    ranks = [(lane.endswith(":replay"), lane.partition(":")[0] in slow) for lane in turns]
    assert ranks == sorted(ranks)
