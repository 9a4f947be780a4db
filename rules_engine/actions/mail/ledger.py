"""What the attempts of an execution before this one mailed, as their records have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ledger:
    """What the attempts before this one did, by address in lower case."""

    sent: frozenset[str]
    refused: Mapping[str, str]
    #: How often each letter was tried and not taken: the same ones would keep all later ones from their turn.
    not_taken: Mapping[str, int] = field(default_factory=dict)
    #: When the last attempt's were put off first, as ISO 8601, or empty.
    waiting_since: str = ""

    @classmethod
    def of(cls, earlier: Sequence[Mapping[str, Any]]) -> Ledger:
        """From the attempts' details. Who was refused is not asked again, unless a person wants another try:
        that is so when the last attempt had left nobody over."""
        sent = frozenset(address.lower() for detail in earlier for address in detail.get("to") or ())
        tried = [detail for detail in earlier if "refused" in detail]
        last = tried[-1] if tried else {}
        not_taken = Counter(address.lower() for detail in tried for address in detail.get("not_taken") or ())
        refused = dict(last.get("refused") or {}) if last.get("left") else {}
        since = earlier[-1].get("waiting_since") if earlier else None
        return cls(sent, refused, not_taken, since if isinstance(since, str) else "")

    def owed(self, addresses: Iterable[str]) -> list[str]:
        """Return those who are still to be mailed: whose letters were not taken twice after the others."""
        return sorted(filter(self.owes, addresses), key=lambda address: self.not_taken.get(address.lower(), 0) // 2)

    def owes(self, address: str) -> bool:
        """Say whether the address is still to be mailed."""
        return address.lower() not in self.sent and address not in self.refused
