"""How quickly endpoints answer, as far as one drain knows: whom a slow one must not hold up."""

from __future__ import annotations

from collections.abc import Set

#: An endpoint is slow that takes so many seconds to answer, lately; one that is quick as a rule, when it keeps one
#: waiting for longer: a moment in which this process is busy says nothing about the endpoint.
SLOW, STUCK = 1.0, 3.0
#: One that takes so many at most is quick: its slots are free again before waiting for some more of them costs much.
QUICK = 0.2
#: How much of what is known of an endpoint's pace the latest answer changes.
LATEST = 0.3


class Pace:
    """The seconds that endpoints take to answer, lately, by slug."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, slug: str, seconds: float) -> None:
        """Take note of one answer."""
        before = self._seconds.get(slug, seconds)
        self._seconds[slug] = before + LATEST * (seconds - before)

    def unknown(self, slugs: Set[str]) -> set[str]:
        """Give those of these endpoints that have not answered yet."""
        return set(slugs - self._seconds.keys())

    def quick(self) -> set[str]:
        """Give the endpoints that are quick, lately."""
        return {slug for slug, seconds in self._seconds.items() if seconds <= QUICK}

    def slow(self, *, waiting: Set[str], stuck: Set[str]) -> set[str]:
        """Give the endpoints that are slow: those that were, lately, and those that keep a delivery waiting now.

        ``waiting`` have kept one for ``SLOW`` seconds, which counts where nothing else is known of them, and ``stuck``
        for ``STUCK``.
        """
        late = {slug for slug, seconds in self._seconds.items() if seconds > SLOW}
        return self.unknown(waiting) | late | stuck
