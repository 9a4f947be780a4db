"""One delivery on its way out and back: its message, what its answer comes to, and sending it by itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from rules_engine.actions import ActionContext, ActionResult
from webhooks.deliveries import delivery
from webhooks.deliveries.delivery import DeliveryOutcome, Message
from webhooks.endpoints import breaker
from webhooks.errors import DeliveryError
from webhooks.http.client import deliver_now
from webhooks.models.lanes import is_test, slug_of
from webhooks.sending import records
from webhooks.sending.loop import Answered

if TYPE_CHECKING:
    from rules_engine.models import Execution
    from webhooks.models import Endpoint

logger = logging.getLogger("webhooks")

P = ParamSpec("P")
T = TypeVar("T")


def message_of(execution: Execution, endpoint: Endpoint | None) -> Message | Exception:
    """Make what an execution is to post, or give the error that keeps it from being sent."""
    return _alone(_make_message, execution, endpoint)


def outcome_of(answered: Answered) -> DeliveryOutcome:
    """Tell what a delivery came to; that its answer cannot be read is an outcome too."""
    outcome = _alone(_judge, answered)
    if isinstance(outcome, Exception):
        slug = answered.sent.message.endpoint.slug
        logger.error("The answer of the endpoint %s was not understood.", slug, exc_info=outcome)
        return DeliveryOutcome(outcome)
    return outcome


def _alone(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | Exception:
    try:
        return work(*args, **kwargs)
    except Exception as error:  # the execution boundary: one that fails takes no other of its batch along
        return error


def _make_message(execution: Execution, endpoint: Endpoint | None) -> Message:
    usable = delivery.usable(endpoint, slug_of(execution.lane), is_test=is_test(execution.lane))
    return delivery.message(usable, execution.context(), execution.config)


def _judge(answered: Answered) -> DeliveryOutcome:
    message = answered.sent.message
    return records.in_force(message, delivery.judge(message, answered.answer))


def send_one(context: ActionContext, config: Mapping[str, Any]) -> ActionResult | Exception:
    """Make one delivery by itself, counted for or against its endpoint like any other."""
    slug = str(config.get("endpoint", ""))
    endpoint = delivery.usable(breaker.endpoints([slug]).get(slug), slug, is_test=delivery.is_test(config))
    message = delivery.message(endpoint, context, config)
    try:
        outcome = delivery.judge(message, deliver_now(endpoint.url, message.body, message.headers, context=message.tls))
    except DeliveryError as error:
        outcome = delivery.judge(message, error)
    outcome = records.in_force(message, outcome)
    # An error here would have it sent again.
    records.note_if_possible([(message, outcome)])
    return outcome.result
