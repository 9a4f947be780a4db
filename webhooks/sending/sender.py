"""Empties the queue ``webhooks``: claims by the batch, sends hundreds at once, records by the batch.

The thread that was asked to drain does all that concerns the database; the network has an event loop of its own
(``loop``). One slow endpoint must hold up nobody:

- it has its share of the slots, of which a replay takes half, and one share is always left over;
- when the time is up, what is in flight is waited for, and meanwhile endpoints that answer quickly go on being served.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import DatabaseError, InterfaceError

from rules_engine import paused
from rules_engine.sending import (
    AttemptOutcome,
    Claim,
    LeaseKeeper,
    claim_crashed,
    claim_lanes,
    due_lanes,
    give_back,
    may_run,
    record,
    start,
)
from webhooks import conf
from webhooks.deliveries.verdict import succeeded
from webhooks.endpoints import breaker
from webhooks.http.client import Response
from webhooks.models import Endpoint
from webhooks.models.lanes import is_test, slug_of
from webhooks.sending import records
from webhooks.sending.collector import Collector
from webhooks.sending.loop import Answered, InFlight, Sent
from webhooks.sending.pace import SLOW, STUCK, Pace
from webhooks.sending.posting import message_of, outcome_of
from webhooks.sending.shares import in_turn, rooms
from webhooks.sending.stopping import Stop, put_off
from webhooks.sending.switching import Switching

logger = logging.getLogger("webhooks")

#: Answers of slow endpoints, and failures, recorded between two looks for work, so that they hold up no other.
LATER_AT_ONCE = 10
#: Seconds between looks for new work while deliveries are in flight.
LOOK = 0.025
#: Seconds between two looks for what was in flight when another process died.
SUSPECTS = 1.0
#: Deliveries of one drain from which on the garbage collector passes by what was there before.
MUCH = 200
#: The longest wait for a rate between two looks for other work.
PATIENCE = 0.2


class Sender:
    """One drain of the queue. Use it once: ``Sender(seconds=10).run()``."""

    def __init__(self, seconds: float, limit: int | None = None) -> None:
        self.end = time.monotonic() + seconds
        #: What was in flight at the end has come back by then.
        self.last = self.end + conf.deadline_seconds()
        self.limit = limit
        self.slots = conf.slots()
        self.begun = 0
        self.pace = Pace()
        self.in_flight = InFlight(self.slots)
        self.leases = LeaseKeeper()
        self.collector = Collector()
        self.switching = Switching()
        #: What is in flight, by ``Sent.key``, and how many of each claim there are still.
        self.started: dict[object, AttemptOutcome] = {}
        self.of_claim: dict[str, int] = {}
        #: What has come back and is not on record yet.
        self.answered: list[Answered] = []
        #: What is in flight may take the process down, and has to be alone.
        self.alone = False
        self.stop = Stop()
        #: When a lane that its rate holds back may go on, if it says.
        self.ready_at = float("inf")
        #: When to look again for what was in flight in a process that died.
        self.suspects_at = float("-inf")

    def run(self) -> int:
        """Send what is due until nothing is, or the time is up. Returns how many deliveries it began."""
        with put_off() as self.stop, self.in_flight, self.leases, self.collector, self.switching:
            try:
                while self._go_on():
                    pass
            finally:
                # Also where the database or a signal ended it: what was sent has to be recorded.
                self._wait_for_all()
                self._give_back()
        return self.begun

    def _go_on(self) -> bool:
        """Look once for work and for answers; say whether there is reason to look again."""
        self.ready_at = float("inf")
        taken = self._take() if self._may_take() else 0
        answered = self._collect()
        if taken or answered or len(self.in_flight):
            return True
        if self.ready_at >= self.end or self.stop.is_asked:
            return False
        time.sleep(min(max(self.ready_at - time.monotonic(), 0), PATIENCE))
        return True

    def _may_take(self) -> bool:
        if self.limit is not None and self.begun >= self.limit:
            return False
        if self.stop.is_asked or not self.in_flight.is_open or (self.alone and len(self.in_flight)):
            return False
        now = time.monotonic()
        return now < self.end or (now < self.last and bool(self.answered or self._slow() & self.in_flight.endpoints()))

    def _slow(self) -> set[str]:
        """Give the endpoints that are slow, as far as this drain knows."""
        return self.pace.slow(
            waiting=self.in_flight.longer_than(SLOW),
            stuck=self.in_flight.longer_than(STUCK),
        )

    def _take(self) -> int:
        """Claim and send what fits; returns how many executions it took, also those that are over at once."""
        slow, lanes = self._slow(), due_lanes(conf.QUEUE)
        if time.monotonic() >= self.end:
            lanes = [lane for lane in lanes if slug_of(lane) not in slow]
        if not lanes:
            return 0
        # One at the start, however busy the queue is; the others when there is nothing else.
        if not self.begun and (taken := self._take_crashed(lanes)):
            return taken
        return self._take_rooms(lanes, slow) or self._take_crashed(lanes)

    def _take_rooms(self, lanes: Sequence[str], slow: set[str]) -> int:
        """Claim and send what fits into the shares of these lanes; returns how many executions it took."""
        careful = slow | self.pace.unknown({slug_of(lane) for lane in lanes})
        limit = None if self.limit is None else self.limit - self.begun
        by_endpoint, quick = self.in_flight.by_endpoint(), self.pace.quick() - slow
        room = rooms(in_turn(lanes, slow), by_endpoint, careful, quick, slots=self.slots, limit=limit)
        if not room:
            return 0
        endpoints = _endpoints_of(room)
        unrestricted = {lane: count for lane, count in room.items() if _is_unrestricted(lane, endpoints.get(lane))}
        suspects = self._looks_for_suspects()
        taken = 0
        if unrestricted:
            # Together: each statement costs as much as two deliveries.
            taken = self._begin(claim_lanes(conf.QUEUE, unrestricted, suspects=suspects), endpoints)
        for lane in [lane for lane in room if lane not in unrestricted]:
            taken += self._take_allowed(lane, endpoints[lane], room[lane], suspects)
        return taken

    def _looks_for_suspects(self) -> bool:
        """Say whether to claim what was in flight when a process died: that costs 3 ms for 10,000 that wait. Always
        before the drain ends for want of work."""
        now = time.monotonic()
        if now < self.suspects_at and len(self.in_flight):
            return False
        self.suspects_at = now + SUSPECTS
        return True

    def _take_allowed(self, lane: str, endpoint: Endpoint, room: int, suspects: bool) -> int:
        """Claim and send what fits of one lane, as far as its endpoint allows; returns how many executions it took."""
        before = self.in_flight.of(endpoint.slug)
        with _counting(endpoint):
            allowed = breaker.allowance(endpoint, room)
            if not allowed:
                self.ready_at = min(self.ready_at, time.monotonic() + breaker.ready_in(endpoint))
                return 0
            claim = claim_lanes(conf.QUEUE, {lane: allowed}, in_order=endpoint.ordered, suspects=suspects)
        taken = self._begin(claim, {lane: endpoint})
        breaker.give_back(endpoint, allowed - (self.in_flight.of(endpoint.slug) - before), allowed)
        return taken

    def _take_crashed(self, lanes: Sequence[str]) -> int:
        """Send what may have taken a process down twice, with nothing beside it; returns how many it took."""
        if len(self.in_flight) or time.monotonic() >= self.end:
            return 0
        endpoints = _endpoints_of(lanes)
        awake = [lane for lane in lanes if lane not in endpoints or breaker.is_awake(endpoints[lane])]
        claim = claim_crashed(conf.QUEUE, awake)
        self.alone = bool(claim)
        return self._begin(claim, endpoints)

    def _begin(self, claim: Claim, endpoints: Mapping[str, Endpoint | None]) -> int:
        if not claim:
            return 0
        self.leases.workers.add(claim.worker)
        batch: list[Sent] = []
        over: list[AttemptOutcome] = []
        started = start(may_run(claim), claim.worker)
        for execution in started:
            message = message_of(execution, endpoints.get(execution.lane))
            if isinstance(message, Exception):
                over.append(AttemptOutcome(execution, claim.worker, message))
                continue
            sent = Sent(execution.pk, claim.worker, message)
            batch.append(sent)
            # Lost, until something else is known.
            self.started[sent.key] = AttemptOutcome(execution, claim.worker, LookupError())
        self.of_claim[claim.worker] = len(batch)
        self.begun += len(started)
        if self.begun >= MUCH:
            self.collector.pass_by()
        self.in_flight.send(batch)
        record(over)
        self._let_go(claim.worker)
        return len(claim.executions)

    def _collect(self) -> int:
        """Record what has come back; waits a moment for it. Returns how many."""
        timeout = LOOK if len(self.in_flight) and not self.answered else 0
        self.answered += self.in_flight.answered(timeout)
        now, later = _first(self.answered, self._slow())
        finished, outcomes = [], []
        for answered in now:
            attempt, message = self.started[answered.sent.key], answered.sent.message
            outcome = outcome_of(answered)
            finished.append(AttemptOutcome(attempt.execution, attempt.worker, outcome.result))
            outcomes.append((message, outcome))
            self.pace.note(message.endpoint.slug, answered.seconds)
        record(finished)
        self.answered = later
        for attempt in finished:
            del self.started[attempt.execution.pk, attempt.worker]
            self.of_claim[attempt.worker] -= 1
            self._let_go(attempt.worker)
        records.note_if_possible(outcomes)
        return len(now)

    def _wait_for_all(self) -> None:
        while len(self.in_flight) or self.answered:
            self._collect()

    def _give_back(self) -> None:
        """Make what an error kept from being begun due again at once, and not when its lease has ended."""
        try:
            for worker in self.leases.workers.copy():
                give_back(worker)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Leases cannot be given back (%s); they will end by themselves.", error)

    def _let_go(self, worker: str) -> None:
        if not self.of_claim.get(worker):
            self.of_claim.pop(worker, None)
            self.leases.workers.discard(worker)


def _first(answers: Sequence[Answered], slow: Collection[str]) -> tuple[list[Answered], list[Answered]]:
    """Split into those to be recorded now and those to be recorded later: of failures, and of endpoints that are slow,
    hundreds come back at once."""
    prompt: list[Answered] = []
    late: list[Answered] = []
    for answered in answers:
        is_good = isinstance(answered.answer, Response) and succeeded(answered.answer.status)
        if is_good and answered.sent.message.endpoint.slug not in slow:
            prompt.append(answered)
        else:
            late.append(answered)
    return prompt + late[:LATER_AT_ONCE], late[LATER_AT_ONCE:]


def _endpoints_of(lanes: Iterable[str]) -> dict[str, Endpoint]:
    """Read the endpoints of these lanes, by lane; those that are gone are left out."""
    by_slug = breaker.endpoints(list({slug_of(lane) for lane in lanes}))
    return {lane: by_slug[slug_of(lane)] for lane in lanes if slug_of(lane) in by_slug}


def _is_unrestricted(lane: str, endpoint: Endpoint | None) -> bool:
    """Say whether deliveries of the lane begin without asking; what cannot be sent at all ends there."""
    return endpoint is None or not endpoint.enabled or is_test(lane) or breaker.is_unrestricted(endpoint)


def _counting(endpoint: Endpoint) -> AbstractContextManager[Any]:
    """Let one worker at a time count what is in flight and claim more, where the endpoint bounds it."""
    if endpoint.concurrency is None:
        return nullcontext()
    return breaker.locked(endpoint)


def drain(seconds: float, limit: int | None = None) -> int:
    """Empty the queue ``webhooks``, as workers ask for it; see ``rules_engine.sending.register_drain``."""
    with paused():  # the sender's own connecting is no event
        return Sender(seconds, limit).run()
