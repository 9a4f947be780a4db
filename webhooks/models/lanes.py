"""The lanes of an endpoint. Fresh deliveries have the endpoint's slug for a lane; what is replayed waits in one of its
own, behind them; test deliveries in a third, so that no pause holds them back and no figure counts them."""

from __future__ import annotations

_REPLAYED, _TEST = ":replay", ":test"


def replayed(slug: str) -> str:
    """Name the lane of deliveries that were replayed. No slug has a colon."""
    return slug + _REPLAYED


def test(slug: str) -> str:
    """Name the lane of test deliveries."""
    return slug + _TEST


def counted(slug: str) -> tuple[str, str]:
    """Name the lanes whose deliveries say how the endpoint does."""
    return slug, replayed(slug)


def every(slug: str) -> tuple[str, ...]:
    """Name all of an endpoint's lanes."""
    return (*counted(slug), test(slug))


def slug_of(lane: str) -> str:
    """Give the slug of the endpoint that a lane belongs to."""
    return lane.partition(":")[0]


def is_replayed(lane: str) -> bool:
    """Tell whether what waits there was replayed."""
    return lane.endswith(_REPLAYED)


def is_test(lane: str) -> bool:
    """Tell whether what waits there are test deliveries."""
    return lane.endswith(_TEST)
