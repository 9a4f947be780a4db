"""Charging endpoints with what they answered."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from django.db import DatabaseError, InterfaceError, router

from webhooks.deliveries import verdict
from webhooks.deliveries.delivery import Message, Verdict
from webhooks.endpoints import breaker, notices
from webhooks.endpoints.breaker import Charge
from webhooks.errors import EndpointGone, Unanswered
from webhooks.models import Endpoint

logger = logging.getLogger("webhooks")


def in_force(message: Message, found: Verdict) -> Verdict:
    """The verdict, unless it is the 410 of an address that the endpoint has left: the new one may be well."""
    if message.is_test or not isinstance(found.outcome, EndpointGone) or not _elsewhere([message.endpoint]):
        return found
    return Verdict(Unanswered(verdict.FORMER_ADDRESS_GONE, found.outcome.detail))


def _elsewhere(endpoints: Iterable[Endpoint]) -> set[str]:
    """Those of the slugs whose endpoint has another address since the delivery was made, or is deleted."""
    then = {one.pk: one for one in endpoints}
    rows = Endpoint.objects.using(router.db_for_write(Endpoint)).filter(pk__in=then)
    now = dict(rows.values_list("pk", "url"))
    return {one.slug for pk, one in then.items() if now.get(pk) != one.url}


def note(verdicts: Iterable[tuple[Message, Verdict]]) -> None:
    """Charge endpoints with what they answered, and disable those that are gone."""
    endpoints: dict[str, Endpoint] = {}
    charges: dict[str, list[Charge]] = {}
    for message, found in verdicts:
        if message.is_test:
            continue
        endpoint = endpoints.setdefault(message.endpoint.slug, message.endpoint)
        if isinstance(found.outcome, EndpointGone):
            if endpoint.enabled and endpoint.disable("It answered 410: the receiver is gone for good."):
                notices.disabled(endpoint)
        elif found.charge is not None:
            charges.setdefault(endpoint.slug, []).append(found.charge)
    clear = {slug for slug, of_one in charges.items() if all(one.taken for one in of_one)}
    clear = {slug for slug in clear if not breaker.is_troubled(endpoints[slug])}
    if clear:
        breaker.clear(endpoints[slug] for slug in clear)
    if charged := charges.keys() - clear:
        # What an address said says nothing about the next one.
        for slug in charged - _elsewhere(endpoints[slug] for slug in charged):
            if breaker.charge(endpoints[slug], charges[slug]):
                notices.disabled(endpoints[slug])


def note_if_possible(verdicts: Sequence[tuple[Message, Verdict]]) -> None:
    """``note``, where the database lets it: what was sent is on record already."""
    try:
        note(verdicts)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("What %d deliveries say of their endpoints was lost: %s", len(verdicts), error)
