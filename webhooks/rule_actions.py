"""The action ``webhook``: a signed POST to an endpoint."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import DatabaseError, router, transaction

from rules_engine import (
    Action,
    ActionContext,
    ActionResult,
    PermanentError,
    Problem,
    Route,
    RuleSpec,
    did_you_mean,
    problems,
    reads,
    register_action,
)
from webhooks import conf, payload, verdict
from webhooks.errors import DeliveryError, DestinationRefused, EndpointGone, Unanswered
from webhooks.masking import masked, masked_url, query_secrets
from webhooks.signing import sign

if TYPE_CHECKING:
    from webhooks.client import Response
    from webhooks.models import Endpoint

USER_AGENT = "django-signal-rules"

#: Characters of a refusing answer that an error's message quotes.
LONGEST_QUOTE = 200

#: Everything DESIGN §6 offers, for the default payload; what is not named here is in every context.
WHOLE_CONTEXT = (("instance", "*"), ("old", "*"), ("changes", "*"), ("changed",), ("actor",), ("request",))
OF_A_MODEL = ("instance", "old", "changes", "changed")


@register_action
class Webhook(Action):
    """POSTs the event to an endpoint, signed by Standard Webhooks 1.0.

    At least once: the receiver tells repetitions by ``webhook-id``, the execution's id. URL, headers and secret are
    those of the endpoint at each attempt, so that mending an endpoint mends what is waiting for it; what is waiting
    for an endpoint that was disabled is discarded.
    """

    kind: ClassVar[str] = "webhook"
    label: ClassVar[str] = "Call a webhook"
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "keys": {
            "endpoint": {
                "type": "string",
                "title": "Endpoint",
                "required": True,
                "helpText": "The slug of an endpoint, from Webhooks › Endpoints.",
            },
            "payload": {
                "type": "string",
                "title": "Payload",
                "widget": "textarea",
                "helpText": 'Empty: the whole event. Or JSON, such as {"id": "{{ instance.id }}"}.',
            },
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        known = ", ".join(self.schema["keys"])
        for key in config:
            if key not in self.schema["keys"]:
                hint = did_you_mean(key, list(self.schema["keys"]))
                yield Problem(f"/{key}", f'A webhook has no setting "{key}".{hint} The settings are: {known}.')
        yield from _endpoint_problems(config.get("endpoint"))
        template = config.get("payload")
        if not isinstance(template, str | Mapping | list | None):
            yield Problem("/payload", f"The payload should be a text or JSON, and is {template!r}.")
            return
        for text in payload.texts(template):
            yield from problems(text, rule, "/payload")

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[tuple[str, ...]]:
        if template := config.get("payload"):
            return {path for text in payload.texts(template) for path in reads(text)}
        return [path for path in WHOLE_CONTEXT if rule.model or path[0] not in OF_A_MODEL]

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        return ("webhooks.view_endpoint",)

    def route(self, config: Mapping[str, Any]) -> Route:
        return Route(conf.QUEUE, lane=str(config.get("endpoint", "")))

    def retry_schedule(self, config: Mapping[str, Any]) -> Sequence[float] | None:
        """Seconds before the second, third, … attempt."""
        return conf.retry_schedule()

    def python(self, config: Mapping[str, Any], rule: RuleSpec) -> Sequence[str]:
        """A call to be filled in: address, headers and secret are the endpoint's."""
        return [
            "def call_endpoint(slug, payload):",
            '    """Sign and POST it, with retries: this is yours to write."""',
            "    raise NotImplementedError(slug)",
            "",
            f"# The endpoint is found under Webhooks > Endpoints; the payload is {_payload_words(config)}.",
            f"call_endpoint({str(config.get('endpoint', ''))!r}, {config.get('payload') or None!r})",
        ]

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        endpoint = _endpoint(str(config.get("endpoint", "")))
        body = payload.body(context.event, config.get("payload"))
        headers = _headers(endpoint, str(context.execution_id), body)
        response = _answer(endpoint, body, headers)
        detail = _detail(endpoint, response, headers, len(body))
        if verdict.succeeded(response.status):
            return ActionResult(f"{endpoint.slug} answered {response.status}", detail)
        text = verdict.refusal_text(response.status) + _said(detail["excerpt"])
        if response.status == verdict.GONE:
            endpoint.disable("It answered 410: the receiver is gone for good.")
            raise EndpointGone(text, detail)
        asked = verdict.retry_after_seconds(response.retry_after, datetime.now(UTC))
        schedule = self.retry_schedule(config) or ()
        raise Unanswered(text, detail, retry_after=verdict.wait(asked, context.attempt, schedule))


def _payload_words(config: Mapping[str, Any]) -> str:
    return "a template over the event" if config.get("payload") else "the whole event"


def _endpoint_problems(slug: Any) -> Iterable[Problem]:
    from webhooks.models import Endpoint

    if not isinstance(slug, str) or not slug:
        yield Problem("/endpoint", "A webhook needs the slug of an endpoint, and none is given.")
        return
    try:
        # A savepoint: on PostgreSQL a failed query would otherwise spoil the caller's transaction.
        with transaction.atomic(using=router.db_for_read(Endpoint)):
            slugs = list(Endpoint.objects.values_list("slug", flat=True))
    except DatabaseError:
        yield Problem("/endpoint", "Endpoints cannot be read: run `manage.py migrate webhooks` first.")
        return
    if slug not in slugs:
        yield Problem("/endpoint", f'There is no endpoint "{slug}".{did_you_mean(slug, slugs)}')


def _endpoint(slug: str) -> Endpoint:
    from webhooks.models import Endpoint

    endpoint = Endpoint.objects.filter(slug=slug).first()
    if endpoint is None:
        raise PermanentError(f'There is no endpoint "{slug}" any more. Make one with that slug, or change the rule.')
    if not endpoint.enabled:
        raise PermanentError(f'The endpoint "{slug}" is disabled. {endpoint.disabled_reason}'.rstrip())
    return endpoint


def _headers(endpoint: Endpoint, message_id: str, body: bytes) -> dict[str, str]:
    timestamp = int(time.time())
    return {
        "User-Agent": USER_AGENT,
        **endpoint.headers,
        "Content-Type": "application/json; charset=utf-8",
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(endpoint.signing_secrets(), message_id, timestamp, body),
    }


def _answer(endpoint: Endpoint, body: bytes, headers: Mapping[str, str]) -> Response:
    from webhooks.client import deliver_now

    try:
        return deliver_now(endpoint.url, body, headers)
    except DestinationRefused as error:
        raise PermanentError(str(error)) from None
    except DeliveryError as error:
        detail = {"url": masked_url(endpoint.url), "error_kind": error.kind, "our_fault": error.ours}
        raise Unanswered(f"{error} ({error.kind})", detail) from error


def _said(excerpt: str) -> str:
    words = " ".join(excerpt.split())
    return f" It said: {words[:LONGEST_QUOTE]}" if words else ""


def _detail(endpoint: Endpoint, response: Response, headers: Mapping[str, str], size: int) -> dict[str, Any]:
    hidden = [
        *endpoint.signing_secrets(),
        *endpoint.headers.values(),
        headers["webhook-signature"],
        *query_secrets(endpoint.url),
    ]
    detail: dict[str, Any] = {
        "status": response.status,
        "duration_ms": round(response.duration * 1000),
        "url": masked_url(endpoint.url),
        "excerpt": masked(response.excerpt, hidden),
        "bytes": size,
    }
    if size > payload.LARGE:
        detail["warning"] = f"The payload is {size:,} bytes; receivers expect at most {payload.LARGE:,}."
    return detail
