"""Telling which entry was changed, removed or put in: the chain against the rows that are there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import router
from django.db.models import CharField, Exists, OuterRef, Q
from django.db.models.functions import Cast

from rules_engine.audit.hashing import UNREADABLE, Row, entry_hash, rows_of, seal_hash
from rules_engine.errors import RulesEngineError
from rules_engine.models import AuditEntry, AuditSeal

#: Seals read at once; each names up to a batch of entries.
SEALS_AT_ONCE = 20
#: How long an entry may have been on its way: the longest transaction that writes one.
LONGEST_TRANSACTION = timedelta(days=1)


class NoHead(RulesEngineError):
    """That is no head of the chain as rules_audit_verify --export prints it."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the chain at some time, to be kept where whoever writes to the database cannot write."""

    seal: int
    hash: str
    entries: int
    sealed_at: str

    def as_json(self) -> str:
        """Return the one line that ``parse_head`` reads."""
        return json.dumps({name: getattr(self, name) for name in ("seal", "hash", "entries", "sealed_at")})


def current_head() -> Head | None:
    """Return the end of the chain; None where nothing was sealed yet."""
    using = router.db_for_write(AuditSeal)
    last = AuditSeal.objects.using(using).defer("entries", "removed").order_by("-number").first()
    return Head(last.number, last.hash, last.total, last.sealed_at.isoformat()) if last else None


def parse_head(text: str) -> Head:
    """Read what ``as_json`` wrote. Raises ``NoHead``."""
    try:
        said = json.loads(text)
        return Head(int(said["seal"]), str(said["hash"]), int(said["entries"]), str(said["sealed_at"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        expected = '{"seal": …, "hash": …, "entries": …, "sealed_at": …}'
        message = f"Expected a head as rules_audit_verify --export prints it ({expected}), and got {text[:100]!r}."
        raise NoHead(message) from error


class Verification:
    """One look at the whole trail; ``problems()`` gives its sentences, and counts as it goes."""

    def __init__(self, head: Head | None = None, longest_transaction: timedelta = LONGEST_TRANSACTION) -> None:
        self.head, self.longest_transaction = head, longest_transaction
        self.using = router.db_for_write(AuditSeal)
        self.seals = self.entries = self.forgotten = self.unsealed = 0
        #: By key: what was removed by retention or erasure, as it was then, why, and which seal says so.
        self._removed: dict[str, tuple[str, str, int]] = {}
        #: Entries that a seal has and whose rows name none.
        self._unmarked: set[str] = set()
        self._last = 0
        self._until: datetime | None = None

    def problems(self) -> Iterator[str]:
        """Give a sentence for each thing that is not as it was sealed: first of the chain, then of the entries."""
        yield from self._of_chain()
        for seal in self._seals(0, self._last):
            yield from self._of_entries(seal)
        yield from self._of_marks()
        yield from self._of_unsealed()

    def _seals(self, after: int, upto: int | None = None) -> Iterator[AuditSeal]:
        while True:
            rows = AuditSeal.objects.using(self.using).filter(number__gt=after).order_by("number")
            if upto is not None:
                rows = rows.filter(number__lte=upto)
            numbers = list(rows.values_list("number", flat=True)[:SEALS_AT_ONCE])
            if not numbers:
                return
            for number in numbers:
                yield self._seal(number)
            after = numbers[-1]

    def _seal(self, number: int) -> AuditSeal:
        """One seal; without anything in it where it cannot be read, or is gone in the meantime."""
        try:
            seal = AuditSeal.objects.using(self.using).filter(number=number).first()
        except UNREADABLE:
            seal = None
        return seal or AuditSeal(number=number, entries=[], removed=[], total=0)

    def _of_chain(self) -> Iterator[str]:
        expected, previous, total = 1, "", 0
        for seal in self._seals(0):
            self.seals += 1
            total += len(_pairs(seal.entries))
            if seal.number != expected:
                yield _missing(expected, seal.number - 1)
            elif seal.previous != previous:
                yield f"Seal {seal.number} does not follow seal {seal.number - 1}: one of them was changed."
            if seal_hash(seal) != seal.hash:
                yield f"Seal {seal.number} was changed: its hash is not the hash of what it says."
            yield from self._against_head(seal, total)
            self._remember(seal)
            expected, previous = seal.number + 1, seal.hash
        if self.head is not None and self.head.seal > self._last:
            yield (
                f"The chain was cut off: it ends at seal {self._last}, and the head that was kept is seal "
                f"{self.head.seal} of {self.head.sealed_at}."
            )

    def _against_head(self, seal: AuditSeal, total: int) -> Iterator[str]:
        head = self.head
        if head is not None and head.seal == seal.number and (head.hash, head.entries) != (seal.hash, total):
            yield f"Seal {seal.number} is not the head that was kept: it, or what is before it, was written anew."

    def _remember(self, seal: AuditSeal) -> None:
        self._last = seal.number
        for key, digest in _pairs(seal.removed):
            self._removed[key] = (digest, seal.reason, seal.number)

    def _removal(self, key: str) -> tuple[str, str, int] | None:
        if key not in self._removed:
            for seal in self._seals(self._last):  # retention may be at work
                for removed, digest in _pairs(seal.removed):
                    self._removed[removed] = (digest, seal.reason, seal.number)
        return self._removed.get(key)

    def _of_entries(self, seal: AuditSeal) -> Iterator[str]:
        hashes = {key: digest for key, digest in _pairs(seal.entries) if _is_key(key)}
        rows = rows_of([UUID(key) for key in hashes], self.using)
        for key, digest in hashes.items():
            self.entries += 1
            row = rows.get(key)
            yield from self._gone(key, digest, seal) if row is None else self._there(key, digest, seal, row)
        if seal.until is not None:
            self._until = seal.until

    def _gone(self, key: str, digest: str, seal: AuditSeal) -> Iterator[str]:
        removal = self._removal(key)
        if removal is None:
            yield f"Entry {key} was removed: seal {seal.number} has it, and neither retention nor erasure took it away."
            return
        self.forgotten += 1
        if removal[0] != digest:
            yield f"Entry {key} was changed after seal {seal.number} and before {removal[1]} removed it."

    def _there(self, key: str, digest: str, seal: AuditSeal, row: Row) -> Iterator[str]:
        removal = self._removed.get(key)
        if row["seal"] is None:
            self._unmarked.add(key)
        if removal is not None:
            yield f"Entry {key} was put in: seal {removal[2]} says that {removal[1]} removed it."
        elif entry_hash(row) != digest:
            yield f"Entry {key} was changed after seal {seal.number} ({seal.sealed_at:%Y-%m-%d %H:%M})."
        elif row["seal"] != seal.number:
            yield f"Entry {key} was changed: seal {seal.number} has it, and its row says seal {row['seal']}."
        elif self._is_late(row.get("created_at"), self._until):
            yield self._late(key, row["created_at"], self._until)

    def _is_late(self, recorded: Any, until: datetime | None) -> bool:
        """Say whether an entry that is sealed after others claims to be much older than they are."""
        if until is None or not isinstance(recorded, datetime):
            return False
        return recorded < until - self.longest_transaction

    def _late(self, key: str, recorded: Any, until: Any) -> str:
        return (
            f"Entry {key} was put in: it says that it was recorded at {recorded:%Y-%m-%d %H:%M}, and was not there "
            f"when everything up to {until:%Y-%m-%d %H:%M} was sealed."
        )

    def _of_marks(self) -> Iterator[str]:
        """Rows that name a seal which does not have them: put in past Django, or without their seal."""
        sealed = AuditEntry.objects.using(self.using).filter(seal__isnull=False).order_by()
        seals = AuditSeal.objects.using(self.using).filter(number=OuterRef("seal"))
        yield from self._unknown(sealed.filter(~Exists(seals)))
        for seal in self._seals(0, self._last):
            of_seal = sealed.filter(seal=seal.number)
            listed = [UUID(key) for key, _digest in _pairs(seal.entries) if _is_key(key)]
            if of_seal.count() > sealed.filter(seal=seal.number, pk__in=listed).count():
                yield from self._unknown(of_seal.filter(~Q(pk__in=listed)))

    def _unknown(self, entries: Any) -> Iterator[str]:
        named = entries.annotate(key=Cast("pk", CharField(max_length=255))).values_list("key", "seal")
        for key, number in named.iterator():
            yield f"Entry {_spelled(key)} was put in: its row says seal {number}, which does not have it."

    def _of_unsealed(self) -> Iterator[str]:
        unsealed = AuditEntry.objects.using(self.using).unsealed()
        self.unsealed = unsealed.count()
        if self._until is None:
            return
        late = unsealed.filter(created_at__lt=self._until - self.longest_transaction)
        named = late.annotate(key=Cast("pk", CharField(max_length=255))).values_list("key", "created_at")
        for key, recorded in named.iterator():
            if _spelled(key) not in self._unmarked:  # that one was told already
                yield self._late(_spelled(key), recorded, self._until)


def _missing(first: int, last: int) -> str:
    seals = f"Seal {first} was" if first == last else f"Seals {first} to {last} were"
    return f"{seals} removed from the chain."


def _pairs(value: Any) -> list[tuple[str, str]]:
    """Keys and hashes as a seal has them; of what was written past us, whatever looks like that."""
    if not isinstance(value, list):
        return []
    return [(str(pair[0]), str(pair[1])) for pair in value if isinstance(pair, list) and len(pair) == 2]


def _is_key(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _spelled(key: str) -> str:
    try:
        return str(UUID(key))
    except ValueError:
        return key
