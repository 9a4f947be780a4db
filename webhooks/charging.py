"""Charging endpoints with what they answered."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from django.db import DatabaseError, InterfaceError

from webhooks import breaker, notices
from webhooks.breaker import Charge
from webhooks.delivery import Message, Verdict
from webhooks.errors import EndpointGone
from webhooks.models import Endpoint

logger = logging.getLogger("webhooks")


def note(verdicts: Iterable[tuple[Message, Verdict]]) -> None:
    """Charge endpoints with what they answered, and disable those that are gone."""
    endpoints: dict[str, Endpoint] = {}
    charges: dict[str, list[Charge]] = {}
    for message, verdict in verdicts:
        if message.is_test:
            continue
        endpoint = endpoints.setdefault(message.endpoint.slug, message.endpoint)
        if isinstance(verdict.outcome, EndpointGone):
            if endpoint.enabled:
                endpoint.disable("It answered 410: the receiver is gone for good.")
        elif verdict.charge is not None:
            charges.setdefault(endpoint.slug, []).append(verdict.charge)
    clear = [slug for slug, found in charges.items() if all(one.taken for one in found)]
    clear = [slug for slug in clear if not breaker.is_troubled(endpoints[slug])]
    if clear:
        breaker.clear(endpoints[slug] for slug in clear)
    for slug in charges.keys() - clear:
        found = charges[slug]
        if breaker.charge(endpoints[slug], found):
            notices.disabled(endpoints[slug])


def note_if_possible(verdicts: Sequence[tuple[Message, Verdict]]) -> None:
    """``note``, where the database lets it: what was sent is on record already."""
    try:
        note(verdicts)
    except (DatabaseError, InterfaceError) as error:
        logger.warning("What %d deliveries say of their endpoints was lost: %s", len(verdicts), error)
