"""How many inputs a property is tried with."""

from __future__ import annotations

import os

#: By hand: so many of each property, and others each time.
BY_HAND = os.environ.get("PROPERTY_EXAMPLES")
#: Whether the fixed set is meant, which is always the same.
FIXED = BY_HAND is None
#: In jobs of CI beside the one that tries them all: on another database, or another Django.
DIVISOR = int(os.environ.get("PROPERTY_DIVISOR", "1"))
#: A property that few inputs are enough for keeps them.
FEWEST = 10


def examples(number: int) -> int:
    """Give that number, less of it where another job tries them all, or what was asked for by hand."""
    return int(BY_HAND or max(number // DIVISOR, min(number, FEWEST)))
