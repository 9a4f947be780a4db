"""The other side: how a Django project checks the webhooks that it receives.

The contract of a sender that follows Standard Webhooks: a delivery comes at least once and in no fixed order, each
repetition with the same ``webhook-id``; a receiver keeps the ids it has handled, answers 2xx within seconds, and does
the work afterwards. ::

    def hook(request):
        try:
            verify(request.body, request.headers, [settings.HOOK_SECRET])
        except InvalidSignature:
            return HttpResponse(status=401)
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Iterable, Mapping

from webhooks.errors import InvalidSignature
from webhooks.signing import key_of, signature

TOLERANCE_SECONDS = 300.0


def verify(
    body: bytes, headers: Mapping[str, str], secrets: Iterable[str], tolerance: float = TOLERANCE_SECONDS
) -> None:
    """Returns when ``body`` and its headers were signed with one of ``secrets``, lately.

    ``body`` is the raw request body, before any parsing; header names may be in any case; ``tolerance`` is the
    greatest difference between the sender's clock and ours, in seconds. Raises ``InvalidSignature``, whose text is
    for logs, and ``InvalidSecret`` for a secret of our own that is malformed.
    """
    named = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, timestamp, signatures = (named[f"webhook-{part}"] for part in ("id", "timestamp", "signature"))
    except KeyError as missing:
        raise InvalidSignature(f"The header {missing.args[0]} is missing.") from None
    _check_age(timestamp, tolerance)
    offered = [one.encode() for one in signatures.split()]
    expected = [signature(key_of(secret), message_id, timestamp, body).encode() for secret in secrets]
    # Every pair is compared, so that the time taken says nothing about which one fitted.
    fits = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in offered]
    if not any(fits):
        raise InvalidSignature("None of the signatures was made with a secret that is valid here.")


def _check_age(timestamp: str, tolerance: float) -> None:
    # The length bound keeps int() cheap; ten digits last until the year 2286.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise InvalidSignature("The header webhook-timestamp is not a whole number of seconds.")
    age = time.time() - int(timestamp)
    if abs(age) > tolerance:
        side = "old" if age > 0 else "in the future"
        raise InvalidSignature(f"The timestamp is {abs(age):.0f} seconds {side}; at most {tolerance:g} are accepted.")
