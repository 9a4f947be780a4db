"""What deliveries say of their endpoints, taken note of."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from django.db import DatabaseError, InterfaceError, router, transaction

from rules_engine.sending import against_rivals, count_after_commit
from webhooks.deliveries import verdict
from webhooks.deliveries.delivery import DeliveryOutcome, Message
from webhooks.endpoints import breaker, notices
from webhooks.endpoints.policy import Report
from webhooks.errors import EndpointGone, Unanswered
from webhooks.models import Endpoint

#: What deliveries and their seconds are counted as, by endpoint.
DELIVERIES, SECONDS = "webhooks_deliveries", "webhooks_delivery_seconds"

logger = logging.getLogger("webhooks")


def in_force(message: Message, outcome: DeliveryOutcome) -> DeliveryOutcome:
    """Give the outcome, unless it is the 410 of an address that the endpoint has left: the new one may be well."""
    gone = outcome.result
    if message.is_test or not isinstance(gone, EndpointGone) or not _moved([message.endpoint]):
        return outcome
    return DeliveryOutcome(Unanswered(verdict.FORMER_ADDRESS_GONE, gone.detail))


def _moved(endpoints: Iterable[Endpoint]) -> set[str]:
    """Give the slugs whose endpoint has another address since the delivery was made, or is deleted."""
    then = {endpoint.pk: endpoint for endpoint in endpoints}
    rows = Endpoint.objects.using(router.db_for_write(Endpoint)).filter(pk__in=then)
    now = dict(rows.values_list("pk", "url"))
    return {endpoint.slug for pk, endpoint in then.items() if now.get(pk) != endpoint.url}


def note(outcomes: Iterable[tuple[Message, DeliveryOutcome]]) -> None:
    """Count what endpoints answered for or against them, and disable those that are gone."""
    outcomes = list(outcomes)
    _count(outcomes)
    endpoints: dict[str, Endpoint] = {}
    reports: dict[str, list[Report]] = {}
    for message, outcome in outcomes:
        if message.is_test:
            continue
        endpoint = endpoints.setdefault(message.endpoint.slug, message.endpoint)
        if isinstance(outcome.result, EndpointGone):
            if endpoint.enabled:
                against_rivals(partial(_disable, endpoint))
        elif outcome.report is not None:
            reports.setdefault(endpoint.slug, []).append(outcome.report)
    well = {slug for slug, of_endpoint in reports.items() if all(report.taken for report in of_endpoint)}
    well = {slug for slug in well if not breaker.is_troubled(endpoints[slug])}
    if well:
        against_rivals(partial(breaker.clear, [endpoints[slug] for slug in well]))
    if unwell := reports.keys() - well:
        # What an address said says nothing about the next one.
        for slug in unwell - _moved(endpoints[slug] for slug in unwell):
            # Of two workers that write it at once, MariaDB may undo one whole.
            against_rivals(partial(_record, endpoints[slug], reports[slug]))


# That it was disabled, and who is told of it, stand or fall together.


def _disable(endpoint: Endpoint) -> None:
    with transaction.atomic(using=router.db_for_write(Endpoint)):
        if endpoint.disable("It answered 410: the receiver is gone for good."):
            notices.disabled(endpoint)


def _record(endpoint: Endpoint, reports: Sequence[Report]) -> None:
    with transaction.atomic(using=router.db_for_write(Endpoint)):
        if breaker.record(endpoint, reports):
            notices.disabled(endpoint)


def _count(outcomes: Sequence[tuple[Message, DeliveryOutcome]]) -> None:
    """Count for monitors what endpoints said, and how long they took to say it."""
    counts: Counter[tuple[str, tuple[str, ...]]] = Counter()
    for message, outcome in outcomes:
        if message.is_test or outcome.report is None:
            continue
        slug = message.endpoint.slug
        counts[DELIVERIES, (slug, "taken" if outcome.report.taken else "failed")] += 1
        took = getattr(outcome.result, "detail", {}).get("duration_ms")
        if isinstance(took, int):
            counts[f"{SECONDS}_count", (slug,)] += 1
            counts[f"{SECONDS}_sum", (slug,)] += took * 1000
    count_after_commit(counts, router.db_for_write(Endpoint))


def note_if_possible(outcomes: Sequence[tuple[Message, DeliveryOutcome]]) -> None:
    """``note``, where the database lets it: what was sent is not to be sent again for want of this."""
    try:
        note(outcomes)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("What %d deliveries say of their endpoints was lost: %s", len(outcomes), error)
