"""One change of an object: Django tells of it before and after, and people know one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rules_engine.test.why import Told

#: What a signal tells of before, by the one that tells of it after.
AFTER = {"pre_save": "post_save", "pre_delete": "post_delete"}
#: Between the two a save is written; longer than this no save takes.
APART = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Change:
    """What was told of it last, and what was told of it before that."""

    told: Told
    before: Sequence[Told] = ()

    @property
    def events(self) -> Sequence[Any]:
        """The events, the last one first."""
        return [self.told.event, *(told.event for told in self.before)]


def changes_of(told: Sequence[Told], refused: Collection[Any] = ()) -> list[Change]:
    """Return the changes that these events tell of, the newest first, as the events come. ``refused`` are the keys of
    those after which nothing happened: a rule did not allow it."""
    before: dict[Any, list[Told]] = {}
    taken: dict[Any, list[Told]] = {}
    for each in reversed(told):
        event = each.event
        if event.signal in AFTER:
            if event.pk not in refused:
                before[_kind(event, AFTER[event.signal])] = [each]
            continue
        earlier = before.pop(_kind(event, event.signal), [])
        taken[event.pk] = [one for one in earlier if event.occurred_at - one.event.occurred_at <= APART]
    paired = {one.event.pk for earlier in taken.values() for one in earlier}
    return [Change(each, taken.get(each.event.pk, ())) for each in told if each.event.pk not in paired]


def _kind(event: Any, signal: str) -> tuple[Any, ...]:
    return signal, event.operation, event.model, event.object_pk, event.actor_id, event.request_id
