"""Empties the queue ``webhooks``: claims by the batch, sends hundreds at once, records by the batch.

The thread that was asked to drain does all that concerns the database; the network has an event loop of its own
(``flights``). One slow endpoint must hold up nobody:

- it has its share of the slots, of which a replay takes half, and one share is always left over;
- when the time is up, what is in flight is waited for, and meanwhile endpoints that answer quickly go on being served.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from django.db import DatabaseError, InterfaceError, connections, router

from rules_engine import paused
from rules_engine.actions import ActionContext, ActionResult
from rules_engine.sending import (
    AttemptOutcome,
    Claim,
    LeaseKeeper,
    claim_crashed,
    claim_lanes,
    due_lanes,
    finish,
    give_back,
    may_run,
    start,
)
from webhooks import conf
from webhooks.deliveries import delivery
from webhooks.deliveries.delivery import DeliveryOutcome, Message
from webhooks.deliveries.verdict import succeeded
from webhooks.endpoints import breaker
from webhooks.http.client import Response
from webhooks.models import Endpoint
from webhooks.models.lanes import is_test, slug_of
from webhooks.sending import records
from webhooks.sending.loop import Departure, Flights, Landing
from webhooks.sending.shares import in_turn, rooms
from webhooks.sending.stopping import Stop, put_off

if TYPE_CHECKING:
    from rules_engine.models import Execution

logger = logging.getLogger("webhooks")

#: An endpoint is slow that takes so many seconds to answer, lately; one that is quick as a rule, when it keeps one
#: waiting for longer: a moment in which this process is busy says nothing about the endpoint.
SLOW, STUCK = 1.0, 3.0
#: How much of what is known of an endpoint's pace the latest answer changes.
LATEST = 0.3
#: Answers of slow endpoints, and failures, recorded between two looks for work, so that they hold up no other.
LATER_AT_ONCE = 10
#: Seconds between looks for new work while deliveries are in flight.
LOOK = 0.025
#: Seconds between two looks for what was in flight when another process died.
SUSPECTS = 1.0
#: The longest wait for a rate between two looks for other work.
PATIENCE = 0.2
#: Seconds between two tries to record what is known.
PAUSE = 1.0
#: Seconds that a database which does not answer is asked again to take what is known by then.
KEEP_TRYING = 30.0


class Sender:
    """One drain of the queue. Use it once: ``Sender(seconds=10).run()``."""

    def __init__(self, seconds: float, limit: int | None = None) -> None:
        self.end = time.monotonic() + seconds
        #: What was in flight at the end has landed by then.
        self.last = self.end + conf.deadline_seconds()
        self.limit = limit
        self.slots = conf.slots()
        self.begun = 0
        #: Seconds that endpoints take to answer, lately.
        self.pace: dict[str, float] = {}
        self.flights = Flights(self.slots)
        self.leases = LeaseKeeper()
        #: What is in flight, by the departure's key, and how many of each claim there are still.
        self.started: dict[object, AttemptOutcome] = {}
        self.of_claim: dict[str, int] = {}
        #: What has come back and is not on record yet.
        self.landed: list[Landing] = []
        #: What is in flight may take the process down, and has to be alone.
        self.alone = False
        self.stop = Stop()
        #: When a lane that its rate holds back may go on, if it says.
        self.ready_at = float("inf")
        #: When to look again for what was in flight in a process that died.
        self.suspects_at = float("-inf")

    def run(self) -> int:
        """Send what is due until nothing is, or the time is up. Returns how many deliveries it began."""
        with put_off() as self.stop, self.flights, self.leases:
            try:
                while self._go_on():
                    pass
            finally:
                # Also where the database or a signal ended it: what was sent has to be recorded.
                self._land()
                self._give_back()
        return self.begun

    def _go_on(self) -> bool:
        """One look for work and for answers; whether there is reason for another."""
        self.ready_at = float("inf")
        taken = self._take() if self._may_take() else 0
        landed = self._collect()
        if taken or landed or len(self.flights):
            return True
        if self.ready_at >= self.end or self.stop.is_asked:
            return False
        time.sleep(min(max(self.ready_at - time.monotonic(), 0), PATIENCE))
        return True

    def _may_take(self) -> bool:
        if self.limit is not None and self.begun >= self.limit:
            return False
        if self.stop.is_asked or not self.flights.is_open or (self.alone and len(self.flights)):
            return False
        now = time.monotonic()
        return now < self.end or (now < self.last and bool(self.landed or self._slow() & self.flights.lanes()))

    def _slow(self) -> set[str]:
        """The endpoints that are slow, as far as this drain knows."""
        unknown = self.flights.longer_than(SLOW) - self.pace.keys()
        late = {slug for slug, seconds in self.pace.items() if seconds > SLOW}
        return unknown | late | self.flights.longer_than(STUCK)

    def _take(self) -> int:
        """Claim and launch what fits; returns how many executions it took, also those that are over at once."""
        slow, lanes = self._slow(), due_lanes(conf.QUEUE)
        if time.monotonic() >= self.end:
            lanes = [lane for lane in lanes if slug_of(lane) not in slow]
        if not lanes:
            return 0
        lanes, slugs = in_turn(lanes, slow), {slug_of(lane) for lane in lanes}
        found = breaker.endpoints(list(slugs))
        known = {lane: found[slug_of(lane)] for lane in lanes if slug_of(lane) in found}
        # One at the start, however busy the queue is; the others when there is nothing else.
        if not self.begun and (taken := self._take_crashed(lanes, known)):
            return taken
        limit = None if self.limit is None else self.limit - self.begun
        room = rooms(
            lanes, self.flights.by_endpoint(), slow | (slugs - self.pace.keys()), slots=self.slots, limit=limit
        )
        free = {lane: count for lane, count in room.items() if _is_free(lane, known.get(lane))}
        # Together: each statement costs as much as two deliveries.
        suspects = self._looks_for_suspects()
        taken = self._begin(claim_lanes(conf.QUEUE, free, suspects=suspects), known) if free else 0
        taken += sum(self._take_allowed(lane, known[lane], room[lane], suspects) for lane in room if lane not in free)
        return taken or self._take_crashed(lanes, known)

    def _looks_for_suspects(self) -> bool:
        """Whether to claim what was in flight when a process died: that costs 3 ms for 10,000 that wait. Always before
        the drain ends for want of work."""
        now = time.monotonic()
        if now < self.suspects_at and len(self.flights):
            return False
        self.suspects_at = now + SUSPECTS
        return True

    def _take_allowed(self, lane: str, endpoint: Endpoint, room: int, suspects: bool) -> int:
        """The same for one lane, as far as its endpoint allows."""
        before = self.flights.of(endpoint.slug)
        with _alone(endpoint):
            allowed = breaker.allowance(endpoint, room)
            if not allowed:
                self.ready_at = min(self.ready_at, time.monotonic() + breaker.ready_in(endpoint))
                return 0
            claim = claim_lanes(conf.QUEUE, {lane: allowed}, in_order=endpoint.ordered, suspects=suspects)
        taken = self._begin(claim, {lane: endpoint})
        breaker.give_back(endpoint, allowed - (self.flights.of(endpoint.slug) - before), allowed)
        return taken

    def _take_crashed(self, lanes: Sequence[str], known: Mapping[str, Endpoint]) -> int:
        """What may have taken a process down twice goes out with nothing beside it."""
        if len(self.flights) or time.monotonic() >= self.end:
            return 0
        awake = [lane for lane in lanes if lane not in known or breaker.is_awake(known[lane])]
        claim = claim_crashed(conf.QUEUE, awake)
        self.alone = bool(claim)
        return self._begin(claim, known)

    def _begin(self, claim: Claim, endpoints: Mapping[str, Endpoint | None]) -> int:
        if not claim:
            return 0
        self.leases.workers.add(claim.worker)
        departures, over = [], []
        started = start(may_run(claim), claim.worker)
        for execution in started:
            message = _message(execution, endpoints.get(execution.lane))
            if isinstance(message, Exception):
                over.append(AttemptOutcome(execution, claim.worker, message))
                continue
            departure = Departure(execution.pk, claim.worker, message)
            departures.append(departure)
            # Lost, until something else is known.
            self.started[departure.key] = AttemptOutcome(execution, claim.worker, LookupError())
        self.of_claim[claim.worker] = len(departures)
        self.begun += len(started)
        self.flights.launch(departures)
        self._finish(over)
        self._let_go(claim.worker)
        return len(claim.executions)

    def _collect(self) -> int:
        """Record what has come back; waits a moment for it. Returns how many."""
        self.landed += self.flights.landed(LOOK if len(self.flights) and not self.landed else 0)
        landings, later = _first(self.landed, self._slow())
        finished, outcomes = [], []
        for landing in landings:
            sent, message = self.started[landing.departure.key], landing.departure.message
            outcome = _outcome(landing)
            finished.append(AttemptOutcome(sent.execution, sent.worker, outcome.result))
            outcomes.append((message, outcome))
            before = self.pace.get(message.endpoint.slug, landing.seconds)
            self.pace[message.endpoint.slug] = before + LATEST * (landing.seconds - before)
        self._finish(finished)
        self.landed = later
        for one in finished:
            del self.started[one.execution.pk, one.worker]
            self.of_claim[one.worker] -= 1
            self._let_go(one.worker)
        records.note_if_possible(outcomes)
        return len(landings)

    def _land(self) -> None:
        while len(self.flights) or self.landed:
            self._collect()

    def _give_back(self) -> None:
        """What an error kept from being begun is due again at once, and not when its lease has ended."""
        try:
            for worker in self.leases.workers.copy():
                give_back(worker)
        except (DatabaseError, InterfaceError) as error:
            logger.warning("Leases cannot be given back (%s); they will end by themselves.", error)

    def _finish(self, finished: Sequence[AttemptOutcome]) -> None:
        """Record what is known, and keep trying while the database is away: what was sent must not be sent again."""
        give_up = time.monotonic() + KEEP_TRYING
        while finished:
            try:
                finish(finished)
                return
            except (DatabaseError, InterfaceError) as error:
                if time.monotonic() >= give_up:
                    raise
                logger.warning("%d deliveries cannot be recorded yet: %s", len(finished), error)
                connections[router.db_for_write(Endpoint)].close()
                time.sleep(PAUSE)

    def _let_go(self, worker: str) -> None:
        if not self.of_claim.get(worker):
            self.of_claim.pop(worker, None)
            self.leases.workers.discard(worker)


def _first(landings: Sequence[Landing], slow: Collection[str]) -> tuple[list[Landing], list[Landing]]:
    """Those to be recorded now and those to be recorded later: of failures, and of endpoints that are slow, hundreds
    come back at once."""
    now: list[Landing] = []
    late: list[Landing] = []
    for one in landings:
        is_good = isinstance(one.answer, Response) and succeeded(one.answer.status)
        (now if is_good and one.departure.message.endpoint.slug not in slow else late).append(one)
    return now + late[:LATER_AT_ONCE], late[LATER_AT_ONCE:]


def _is_free(lane: str, endpoint: Endpoint | None) -> bool:
    """Whether nothing has to be asked before deliveries of the lane begin; what cannot be sent at all ends there."""
    return endpoint is None or not endpoint.enabled or is_test(lane) or breaker.is_unrestricted(endpoint)


def _alone(endpoint: Endpoint) -> AbstractContextManager[Any]:
    """Where deliveries in flight are counted before more are claimed, one worker at a time does both."""
    if endpoint.concurrency is None:
        return nullcontext()
    return breaker.locked(endpoint)


def _message(execution: Execution, endpoint: Endpoint | None) -> Message | Exception:
    try:
        found = delivery.usable(endpoint, slug_of(execution.lane), is_test=is_test(execution.lane))
        return delivery.message(found, execution.context(), execution.config)
    except Exception as error:  # the execution boundary: one that cannot be sent takes no other along
        return error


def _outcome(landing: Landing) -> DeliveryOutcome:
    sent = landing.departure.message
    try:
        return records.in_force(sent, delivery.judge(sent, landing.answer))
    except Exception as error:  # the execution boundary: likewise one whose answer cannot be read
        logger.exception("The answer of the endpoint %s was not understood.", sent.endpoint.slug)
        return DeliveryOutcome(error)


def send_one(context: ActionContext, config: Mapping[str, Any]) -> ActionResult | Exception:
    """Make one delivery by itself, counted for or against its endpoint like any other."""
    from webhooks.errors import DeliveryError
    from webhooks.http.client import deliver_now

    slug = str(config.get("endpoint", ""))
    endpoint = delivery.usable(breaker.endpoints([slug]).get(slug), slug, is_test=delivery.is_test(config))
    message = delivery.message(endpoint, context, config)
    try:
        outcome = delivery.judge(message, deliver_now(endpoint.url, message.body, message.headers, context=message.tls))
    except DeliveryError as error:
        outcome = delivery.judge(message, error)
    outcome = records.in_force(message, outcome)
    records.note([(message, outcome)])
    return outcome.result


def drain(seconds: float, limit: int | None = None) -> int:
    """What workers call for the queue ``webhooks``; see ``rules_engine.register_drain``."""
    with paused():  # the sender's own connecting is no event
        return Sender(seconds, limit).run()
