"""One delivery without its network: what is sent to which endpoint, and what its answer means."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext

from rules_engine.actions import ActionContext, ActionResult, PermanentError
from webhooks.deliveries import chats, formats, payload, verdict
from webhooks.endpoints.policy import Report
from webhooks.errors import DeliveryError, DestinationRefused, EndpointGone, Unanswered, Undeliverable
from webhooks.http import tls
from webhooks.http.destination import header_problems
from webhooks.signing.masking import masked, masked_url, url_secrets, words
from webhooks.signing.signatures import Signer, signed, signer

if TYPE_CHECKING:
    from webhooks.http.client import Response
    from webhooks.models import Endpoint

TRACEPARENT = "traceparent"
USER_AGENT = "django-signal-rules"
#: Characters of a refusing answer that an error's message quotes.
LONGEST_QUOTE = 200
#: The endpoint's columns that decide how deliveries reach it and what proves who sent them.
ROUTED_BY = (
    *("url", "secret", "previous_secret", "previous_secret_expires_at", "headers", "sends_traceparent"),
    *("ca_certificates", "client_certificate", "verify_tls"),
)


@dataclass(frozen=True, slots=True)
class Message:
    """What is posted: the bytes that were signed, to the endpoint as it was then. ``attempt`` counts from 1."""

    endpoint: Endpoint
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    attempt: int
    is_test: bool = False
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class DeliveryOutcome:
    """What a delivery came to. ``report`` is None where it says nothing about the endpoint: the fault was ours."""

    result: ActionResult | Exception
    report: Report | None = None


def is_test(config: Mapping[str, Any]) -> bool:
    """Tell whether a delivery is a test of its endpoint: it counts neither for nor against it, and is sent once."""
    return config.get("test") is True


def usable(endpoint: Endpoint | None, slug: str, *, is_test: bool = False) -> Endpoint:
    """Give the endpoint, if deliveries may go to it; a test may to one that is disabled.

    Raises ``PermanentError`` with a sentence that says why not.
    """
    if endpoint is None:
        message = gettext('There is no endpoint "%(slug)s" any more. Make one with that slug, or change the rule.')
        raise PermanentError(message % {"slug": slug})
    if not endpoint.enabled and not is_test:
        message = gettext('The endpoint "%(slug)s" is disabled.') % {"slug": slug}
        raise PermanentError(f"{message} {endpoint.disabled_reason}".rstrip())
    return endpoint


@dataclass(frozen=True, slots=True)
class _Route:
    """What all deliveries to an endpoint have in common: made once for the endpoint as it was read.

    ``made_of`` is the endpoint's columns that it was made of; ``shown_url`` is for records, which hold none of
    ``hidden``.
    """

    made_of: tuple[Any, ...] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    #: Whether the receiver is told of the trace; not where the endpoint has a header of its own for that.
    tells_trace: bool
    signers: tuple[Signer, ...] = field(repr=False)
    hidden: tuple[str, ...] = field(repr=False)
    shown_url: str
    tls: ssl.SSLContext | None


def message(endpoint: Endpoint, context: ActionContext, config: Mapping[str, Any]) -> Message:
    """Make what to post now: the body is the same at every attempt, timestamp and signature are fresh.

    Raises ``PermanentError`` where there can be no body, and ``EncryptionKeyError``.
    """
    route = _route(endpoint)
    message_id = str(context.execution_id)
    timestamp = int(_now(endpoint).timestamp())
    encoded = formats.encode(endpoint.payload_form, context.event, config.get("payload"), message_id)
    headers = {
        "User-Agent": USER_AGENT,
        **route.headers,
        **encoded.headers,
        "Content-Type": encoded.content_type,
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed(route.signers, message_id, timestamp, encoded.body),
    }
    if context.traceparent and route.tells_trace:
        # Alone: a trace's id is made by chance, and what tracestate holds is between the site and its vendors.
        headers[TRACEPARENT] = context.traceparent
    return Message(endpoint, encoded.body, headers, context.attempt, is_test(config), route.tls)


def _route(endpoint: Endpoint) -> _Route:
    """Give the endpoint's route, which is kept with the instance: each look for work reads the endpoints anew."""
    columns = vars(endpoint)
    kept: _Route | None = columns.get("_route")
    if kept is None or kept.made_of != tuple(map(columns.get, ROUTED_BY)):
        kept = columns["_route"] = _made_route(endpoint)
    return kept


def _made_route(endpoint: Endpoint) -> _Route:
    if problems := header_problems(endpoint.headers):
        # Saving refuses these; a fixture or an UPDATE may bring them all the same.
        raise PermanentError(f'The headers of the endpoint "{endpoint.slug}" cannot be sent. {" ".join(problems)}')
    secrets = endpoint.signing_secrets()
    hidden = url_secrets(endpoint.url)
    for secret in secrets:
        hidden += [secret, secret.partition("_")[2]]
    for value in endpoint.headers.values():
        hidden += words(value)
    return _Route(
        headers=endpoint.headers,
        tells_trace=endpoint.sends_traceparent and TRACEPARENT not in map(str.lower, endpoint.headers),
        signers=tuple(map(signer, secrets)),
        hidden=tuple(hidden),
        shown_url=masked_url(endpoint.url),
        tls=_tls(endpoint),
        # What was encrypted is read by now, and stands there as it is.
        made_of=tuple(map(vars(endpoint).get, ROUTED_BY)),
    )


def _tls(endpoint: Endpoint) -> ssl.SSLContext | None:
    try:
        return tls.context_of(endpoint)
    except (ssl.SSLError, ValueError):
        message = gettext('The certificates of the endpoint "%(slug)s" cannot be used; save others.')
        raise PermanentError(message % {"slug": endpoint.slug}) from None


def _now(endpoint: Endpoint) -> datetime:
    """Read the database's clock where the endpoint came with it: a worker's may be wrong by an hour."""
    now: datetime = getattr(endpoint, "now", None) or datetime.now(UTC)
    return now


def judge(sent: Message, answer: Response | DeliveryError) -> DeliveryOutcome:
    """Tell what came of it, for the execution and for the endpoint."""
    if isinstance(answer, DeliveryError):
        return _unanswered(sent.endpoint, answer)
    detail, refusal = _detail(sent, answer), _refusal(sent, answer)
    if refusal is None:
        result = ActionResult(f"{sent.endpoint.slug} answered {answer.status}", detail)
        return DeliveryOutcome(result, Report(taken=True))
    return _refused(sent, answer, detail, refusal)


def _refusal(sent: Message, answer: Response) -> str | None:
    if verdict.succeeded(answer.status):
        return chats.refusal(sent.endpoint.payload_form, answer.excerpt)
    return verdict.refusal_text(answer.status, is_test=sent.is_test)


def _refused(sent: Message, answer: Response, detail: dict[str, Any], refusal: str) -> DeliveryOutcome:
    # What the receiver said may quote what it was sent. That is for whoever may view the event's model, and stands on
    # the execution alone; how an endpoint does is told to everybody who sees endpoints.
    text = refusal + _quotation(detail["excerpt"])
    if answer.status == verdict.GONE:
        return DeliveryOutcome(EndpointGone(text, detail), Report(taken=False, error=refusal))
    answered_at = _now(sent.endpoint) + timedelta(seconds=answer.duration)
    asked = verdict.retry_after_seconds(answer.retry_after, answered_at)
    if answer.status == verdict.TOO_MANY:
        asked = verdict.longer(asked, chats.asked_wait(sent.endpoint.payload_form, answer.excerpt))
    wait = verdict.wait(asked, sent.attempt, sent.endpoint.retry_schedule())
    report = Report(taken=False, error=refusal, asked=asked)
    return DeliveryOutcome(Unanswered(text, detail, retry_after=wait), report)


def _unanswered(endpoint: Endpoint, error: DeliveryError) -> DeliveryOutcome:
    detail = {"url": masked_url(endpoint.url), "error_kind": error.kind, "our_fault": error.ours}
    if isinstance(error, DestinationRefused):
        return DeliveryOutcome(Undeliverable(str(error), detail))
    text = f"{error} ({error.kind})"
    if error.ours:
        return DeliveryOutcome(Unanswered(text, detail))
    return DeliveryOutcome(Unanswered(text, detail), Report(taken=False, error=text))


def _quotation(excerpt: str) -> str:
    text = " ".join(excerpt.split())
    return f" It said: {text[:LONGEST_QUOTE]}" if text else ""


def _detail(sent: Message, response: Response) -> dict[str, Any]:
    size, route = len(sent.body), _route(sent.endpoint)
    detail: dict[str, Any] = {
        "status": response.status,
        "duration_ms": round(response.duration * 1000),
        "url": route.shown_url,
        "excerpt": masked(response.excerpt, (*_signatures(sent), *route.hidden)),
        "bytes": size,
    }
    if size > payload.LARGE:
        detail["warning"] = f"The payload is {size:,} bytes; receivers expect at most {payload.LARGE:,}."
    return detail


def _signatures(sent: Message) -> list[str]:
    """List the message's signatures, as an answer may quote them."""
    together = sent.headers["webhook-signature"]
    each = together.split()
    return [together, *each, *(signature.partition(",")[2] for signature in each)]
