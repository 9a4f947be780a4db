"""Watches what announces itself to nobody: cache keys that vanish, and new rows of the audit trail."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.cache import cache
from django.db import DatabaseError, connections

from project.clinic.models import Doctor
from project.demo.arrivals import arrivals
from project.shop.models import Order
from rules_engine.models import AuditEntry

EVERY_SECONDS = 0.25
#: How long a key that a rule deleted stays away, so that people see the gap, before the demo fills it again.
REFILL_SECONDS = 5.0
SHOWN = 5
FIXED_KEYS = ("doctor_list", "available_doctors", "order_list")


class Lookout:
    """Keeps keys in the cache filled, and says which went."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        #: key → when it may be filled again (monotonic); 0 while it is in the cache.
        self.keys: dict[str, float] = {}
        self.seen_entries = {entry.pk for entry in _latest_entries()}

    def look(self) -> None:
        """Look once."""
        self._look_at_cache()
        self._look_at_audit_trail()

    def run(self) -> None:
        """Look until stopped."""
        while not self.stopped.wait(EVERY_SECONDS):
            try:
                self.look()
            except DatabaseError as error:
                arrivals.add("log", "The demo could not read its database.", str(error), good=False)
        connections.close_all()

    def states(self) -> dict[str, bool]:
        """The keys, and whether each is in the cache."""
        return {key: not gone for key, gone in sorted(self.keys.items())}

    def _look_at_cache(self) -> None:
        now = time.monotonic()
        cached = cache.get_many(list(self.keys))
        gone = [key for key, refill_at in self.keys.items() if not refill_at and key not in cached]
        if gone:
            self.keys |= dict.fromkeys(gone, now + REFILL_SECONDS)
            told = f"Deleted from the cache; the demo caches again in {REFILL_SECONDS:g} seconds."
            arrivals.add("cache", ", ".join(gone), told)
        wanted = _wanted_keys()
        self.keys = {key: at for key, at in self.keys.items() if key in wanted}
        due = [key for key in wanted if key not in self.keys or 0 < self.keys[key] <= now]
        for key in due:
            cache.add(key, "cached by the demo", None)  # what somebody else cached stays until it is deleted
        self.keys |= dict.fromkeys(due, 0.0)

    def _look_at_audit_trail(self) -> None:
        for entry in reversed(_latest_entries()):
            if entry.pk not in self.seen_entries:
                self.seen_entries.add(entry.pk)
                arrivals.add("audit", str(entry), _told(entry))


def _wanted_keys() -> list[str]:
    doctors = Doctor.objects.order_by("pk").values_list("pk", flat=True)[:SHOWN]
    orders = Order.objects.order_by("pk").values_list("pk", flat=True)[:SHOWN]
    return [*FIXED_KEYS, *(f"doctor_{pk}" for pk in doctors), *(f"order_{pk}" for pk in orders)]


def _latest_entries() -> list[AuditEntry]:
    return list(AuditEntry.objects.order_by("-created_at")[:50])


def _told(entry: AuditEntry) -> str:
    who = f"By {entry.actor_name or 'the system'}"
    where = f", at {entry.request_path}" if entry.request_path else ""
    changes = [f"{name}: {json.dumps(ends['old'])} → {json.dumps(ends['new'])}" for name, ends in entry.changes.items()]
    return "\n".join([f"{who}{where}.", *changes])


#: The one that is on duty, for the page.
on_duty: Lookout | None = None


@contextmanager
def watching() -> Iterator[Lookout]:
    """A lookout is on duty, in a thread of its own, while the block runs."""
    global on_duty
    lookout = on_duty = Lookout()
    lookout.look()
    thread = threading.Thread(target=lookout.run, name="demo-lookout", daemon=True)
    thread.start()
    try:
        yield lookout
    finally:
        on_duty = None
        lookout.stopped.set()
        thread.join(1)
