"""How many deliveries of each lane one look for work may take, so that no endpoint keeps another from its own."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from math import ceil

from webhooks.models.lanes import is_replayed, is_test, slug_of

#: In flight to one endpoint at most, however many slots are free: receivers mind more connections from one process.
MOST = 100
#: Of an endpoint that is slow, or that has not answered yet, at one look: to put fifty deliveries together, and to
#: record fifty, takes a moment that an endpoint which answers at once would wait for.
BITE = 10
#: The part of its share up to which what is in flight to an endpoint is worth a claim that makes it full again.
FULL = 0.75
#: The part of its share that an endpoint which is quick gets at one look. What is sent together comes back together,
#: and with all of it in one wave nothing is left to be put together or recorded while the network has it.
WAVE = 0.5


def in_turn(lanes: Iterable[str], slow: Collection[str]) -> list[str]:
    """Put lanes into the order in which they are served: what happens now before what is replayed, slow endpoints after
    others, and otherwise as chance has it, so that each has its turn where there are more lanes than slots."""
    shuffled = list(lanes)
    random.shuffle(shuffled)
    return sorted(shuffled, key=lambda lane: (is_replayed(lane), slug_of(lane) in slow))


def rooms(
    lanes: Iterable[str],
    in_flight: Mapping[str, int],
    careful: Collection[str],
    quick: Collection[str] = (),
    *,
    slots: int,
    limit: int | None = None,
) -> dict[str, int]:
    """Say how many each lane may take now, by lane, in the order given; those that may take none are left out.

    ``in_flight`` is counted by slug. Of the endpoints in ``careful`` a bite is taken at most. Those in ``quick`` are
    served again once a quarter of their share is free, but for tests: somebody waits for those. One share of the slots
    is always left for an endpoint that nothing was due for until now, and a replay takes half of its endpoint's.
    ``limit`` bounds them together.
    """
    lanes = list(lanes)
    taken = Counter({slug: count for slug, count in in_flight.items() if count})
    share = max(1, min(MOST, slots // (len(taken.keys() | {slug_of(lane) for lane in lanes}) + 1)))
    left = slots - taken.total()
    if limit is not None:
        left = min(left, limit)
    rooms_by_lane = {}
    for lane in lanes:
        slug = slug_of(lane)
        if slug in quick and in_flight.get(slug, 0) > share * FULL and not is_test(lane):
            # It is busy for now, and to claim by the handful costs each delivery a part of a dozen statements.
            continue
        most = BITE if slug in careful else ceil(share * WAVE) if slug in quick else slots
        room = min(share - taken[slug], left, most)
        if is_replayed(lane):
            # The other half is for what happens meanwhile, however long the replay.
            room -= room // 2
        if room > 0:
            rooms_by_lane[lane] = room
            taken[slug] += room
            left -= room
    return rooms_by_lane
