"""Where the boxes of a picture stand."""

from __future__ import annotations

import random
from itertools import combinations, pairwise

import pytest

from rules_engine.admin.flow.layout import WIDTH, Layout, Place, laid_out


def plan_of(*arrows: tuple[str, str], height: float = 30.0) -> Layout:
    keys = dict.fromkeys(key for arrow in arrows for key in arrow)
    return laid_out(dict.fromkeys(keys, height), arrows)


def overlap(one: Place, other: Place) -> bool:
    beside = one.x + WIDTH <= other.x or other.x + WIDTH <= one.x
    apart = one.y + one.height <= other.y or other.y + other.height <= one.y
    return not beside and not apart


def test_arrows_lead_to_the_right() -> None:
    places = plan_of(("a", "b"), ("b", "c"), ("a", "c")).places
    assert places["a"].x < places["b"].x < places["c"].x


def test_a_loop_is_drawn_with_one_arrow_backwards() -> None:
    plan = plan_of(("a", "b"), ("b", "c"), ("c", "a"))
    assert (len(plan.paths), len(plan.backwards)) == (2, 1)
    assert plan.places["a"].x < plan.places["b"].x < plan.places["c"].x


def test_an_arrow_over_several_columns_passes_each_of_them() -> None:
    plan = plan_of(("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"))
    longest = max(plan.paths, key=len)
    assert len(longest) == 6
    assert all(before[0] <= after[0] for before, after in pairwise(longest))


def test_what_nothing_joins_stands_close_together() -> None:
    plan = plan_of(("a", "b"), ("c", "d"))
    assert plan.height < 150


def test_nothing_at_all_is_an_empty_picture() -> None:
    plan = laid_out({}, [("a", "b")])
    assert (plan.places, plan.paths, plan.width) == ({}, [], 0)


def test_a_long_chain_is_laid_out_without_recursion() -> None:
    plan = plan_of(*((f"{number}", f"{number + 1}") for number in range(2_000)))
    assert len(plan.places) == 2_001


@pytest.mark.parametrize("seed", range(30))
def test_boxes_never_overlap_and_lie_within_the_picture(seed: int) -> None:
    chance = random.Random(seed)
    heights = {f"{number}": float(chance.choice((32, 48, 64))) for number in range(chance.randint(1, 40))}
    keys = list(heights)
    plan = laid_out(heights, [(chance.choice(keys), chance.choice(keys)) for _ in range(chance.randint(0, 60))])
    assert set(plan.places) == set(keys)
    assert not [pair for pair in combinations(plan.places.values(), 2) if overlap(*pair)]
    for place in plan.places.values():
        assert 0 <= place.x <= plan.width - WIDTH
        assert 0 <= place.y <= plan.height - place.height
