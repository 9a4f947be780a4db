"""What an ordeal does: the rules, the changes that set them off, and what has to have come of each change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping


class Scenario:
    """Subclass it in a module of the site's tests, and give its dotted name to the ordeal.

    ``kinds`` are the kinds of effects that the ledger has to have booked of each change, by the last part of the
    address that they were posted to.
    """

    kinds: Collection[str] = ("ledger",)

    def prepare(self, ledger: str) -> None:
        """Make the rules, once the database has its tables; ``ledger`` is the address of the ledger."""
        raise NotImplementedError

    def save(self, change: str) -> None:
        """Make a change, which the database remembers by this name. It is called within a transaction."""
        raise NotImplementedError

    def saved(self) -> Collection[str]:
        """Return the names of the changes that are in the database."""
        raise NotImplementedError

    def in_database(self) -> Mapping[str, Counter[str]]:
        """Return the effects that are in the database, and so happen exactly once: by kind, how many of each change."""
        return {}
