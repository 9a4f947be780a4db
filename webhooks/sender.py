"""Empties the queue ``webhooks``: claims by the batch, sends hundreds at once, records by the batch.

The thread that was asked to drain does all that concerns the database; the network has an event loop of its own
(``flights``). One slow endpoint must hold up nobody:

- it has at most half of the slots that the others leave;
- when the time is up, what is in flight is waited for, and meanwhile endpoints that answer quickly go on being served.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.db import DatabaseError, InterfaceError, connections, router

from rules_engine import (
    ActionContext,
    ActionResult,
    Claim,
    Finished,
    LeaseKeeper,
    PermanentError,
    claim_crashed,
    claim_lanes,
    due_lanes,
    finish_many,
    paused,
    screen,
    start_many,
)
from webhooks import breaker, conf, delivery, notices
from webhooks.breaker import Charge
from webhooks.delivery import Message, Verdict
from webhooks.errors import EndpointGone, WebhookError
from webhooks.flights import Departure, Flights, Landing
from webhooks.models import Endpoint

logger = logging.getLogger("webhooks")

#: Seconds after which an endpoint counts as slow for the rest of a drain.
SLOW = 1.0
#: Seconds between looks for new work while deliveries are in flight.
LOOK = 0.05
#: Seconds that a database which does not answer is asked again to take what is known by then.
KEEP_TRYING = 30.0


class Sender:
    """One drain of the queue. Use it once: ``Sender(seconds=10).run()``."""

    def __init__(self, seconds: float, limit: int | None = None) -> None:
        self.end = time.monotonic() + seconds
        self.limit = limit
        self.slots = conf.slots()
        self.begun = 0
        self.slow: set[str] = set()
        self.flights = Flights(self.slots)
        self.leases = LeaseKeeper()
        #: What is in flight, by the execution's id, and how many of each claim there are still.
        self.started: dict[object, Finished] = {}
        self.of_claim: dict[str, int] = {}

    def run(self) -> int:
        """Send what is due until nothing is, or the time is up. Returns how many deliveries it began."""
        with self.flights, self.leases:
            while True:
                more = self._take() if self._may_take() else 0
                landings = self.flights.landed(LOOK if len(self.flights) else 0)
                if landings:
                    self._record(landings)
                if not more and not len(self.flights):
                    return self.begun

    def _may_take(self) -> bool:
        if self.limit is not None and self.begun >= self.limit:
            return False
        self.slow |= self.flights.longer_than(SLOW)
        return time.monotonic() < self.end or any(self.flights.of(slug) for slug in self.slow)

    def _take(self) -> int:
        """Claim and launch what fits; returns how many executions it took, also those that are over at once."""
        lanes = due_lanes(conf.QUEUE)
        if time.monotonic() >= self.end:
            lanes = [lane for lane in lanes if lane not in self.slow]
        if not lanes:
            return self._take_crashed()
        known, taken = breaker.endpoints(lanes), 0
        for lane in lanes:
            taken += self._take_lane(lane, known.get(lane))
        return taken or self._take_crashed()

    def _take_lane(self, lane: str, endpoint: Endpoint | None) -> int:
        room = (self.slots - len(self.flights) + self.flights.of(lane)) // 2 - self.flights.of(lane)
        if self.limit is not None:
            room = min(room, self.limit - self.begun)
        if room <= 0:
            return 0
        if endpoint is None or not endpoint.enabled:
            return self._begin(claim_lanes(conf.QUEUE, [lane], room), {lane: endpoint})
        with _alone(endpoint):
            allowed = breaker.allowance(endpoint, room)
            if not allowed:
                return 0
            claim = claim_lanes(conf.QUEUE, [lane], allowed, in_order=endpoint.ordered)
        return self._begin(claim, {lane: endpoint})

    def _take_crashed(self) -> int:
        """What may have taken a process down twice goes out with nothing beside it."""
        if len(self.flights) or time.monotonic() >= self.end:
            return 0
        claim = claim_crashed(conf.QUEUE)
        return self._begin(claim, breaker.endpoints([one.lane for one in claim.executions])) if claim else 0

    def _begin(self, claim: Claim, endpoints: Mapping[str, Endpoint | None]) -> int:
        if not claim:
            return 0
        self.leases.workers.add(claim.worker)
        departures, over = [], []
        started = start_many(screen(claim), claim.worker)
        for execution in started:
            try:
                endpoint = delivery.usable(endpoints.get(execution.lane), execution.lane)
                message = delivery.message(endpoint, execution.context(), execution.config)
            except (PermanentError, WebhookError) as error:
                over.append(Finished(execution, claim.worker, error))
                continue
            departures.append(Departure(execution.pk, message))
            # Lost, until something else is known.
            self.started[execution.pk] = Finished(execution, claim.worker, LookupError())
        self.of_claim[claim.worker] = len(departures)
        self._finish(over)
        self._let_go(claim.worker)
        self.begun += len(started)
        self.flights.launch(departures)
        return len(claim.executions)

    def _record(self, landings: Sequence[Landing]) -> None:
        finished, verdicts = [], []
        for landing in landings:
            sent = self.started.pop(landing.departure.execution_id)
            verdict = delivery.judge(landing.departure.message, landing.answer)
            finished.append(Finished(sent.execution, sent.worker, verdict.outcome))
            verdicts.append((landing.departure.message, verdict))
            self.of_claim[sent.worker] -= 1
            if landing.seconds > SLOW:
                self.slow.add(landing.departure.message.endpoint.slug)
        self._finish(finished)
        note(verdicts)
        for worker in {one.worker for one in finished}:
            self._let_go(worker)

    def _finish(self, finished: Sequence[Finished]) -> None:
        """Record what is known, and keep trying while the database is away: what was sent must not be sent again."""
        give_up = time.monotonic() + KEEP_TRYING
        while finished:
            try:
                finish_many(finished)
                return
            except (DatabaseError, InterfaceError) as error:
                if time.monotonic() >= give_up:
                    raise
                logger.warning("%d deliveries cannot be recorded yet: %s", len(finished), error)
                connections[router.db_for_write(Endpoint)].close()
                time.sleep(1)

    def _let_go(self, worker: str) -> None:
        if not self.of_claim.get(worker):
            self.of_claim.pop(worker, None)
            self.leases.workers.discard(worker)


def _alone(endpoint: Endpoint) -> AbstractContextManager[Any]:
    """Where deliveries in flight are counted before more are claimed, one worker at a time does both."""
    if endpoint.concurrency is None:
        return nullcontext()
    return breaker.locked(endpoint)


def note(verdicts: Iterable[tuple[Message, Verdict]]) -> None:
    """Charge endpoints with what they answered, and disable those that are gone."""
    endpoints: dict[str, Endpoint] = {}
    charges: dict[str, list[Charge]] = {}
    for message, verdict in verdicts:
        endpoint = endpoints.setdefault(message.endpoint.slug, message.endpoint)
        if isinstance(verdict.outcome, EndpointGone):
            if endpoint.enabled:
                endpoint.disable("It answered 410: the receiver is gone for good.")
        elif verdict.charge is not None:
            charges.setdefault(endpoint.slug, []).append(verdict.charge)
    for slug, found in charges.items():
        if breaker.charge(endpoints[slug], found):
            notices.disabled(endpoints[slug])


def send_one(context: ActionContext, config: Mapping[str, Any]) -> ActionResult | Exception:
    """One delivery by itself, charged like any other."""
    from webhooks.client import deliver_now
    from webhooks.errors import DeliveryError

    slug = str(config.get("endpoint", ""))
    endpoint = delivery.usable(breaker.endpoints([slug]).get(slug), slug)
    message = delivery.message(endpoint, context, config)
    try:
        verdict = delivery.judge(message, deliver_now(endpoint.url, message.body, message.headers))
    except DeliveryError as error:
        verdict = delivery.judge(message, error)
    note([(message, verdict)])
    return verdict.outcome


def drain(seconds: float, limit: int | None = None) -> int:
    """What workers call for the queue ``webhooks``; see ``rules_engine.register_drain``."""
    with paused():  # the sender's own connecting is no event
        return Sender(seconds, limit).run()
