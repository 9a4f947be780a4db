"""What rules hear of endpoints that are in trouble: each is sent once, in the transaction that puts it on record."""

from __future__ import annotations

from typing import Any

from django.db import router
from django.dispatch import Signal
from django.utils.translation import gettext_lazy as _

from rules_engine.sending import register_trouble, tell
from webhooks.models import Endpoint, EndpointState
from webhooks.models.endpoint import back_by_hand

endpoint_paused = Signal()
endpoint_disabled = Signal()
endpoint_back = Signal()

BACK = "It takes deliveries again."
RESUMED = "It was resumed by hand, and is sent deliveries again."
ENABLED = "It was enabled by hand, and is sent deliveries again."
_ARGUMENTS = {
    "endpoint": _("The endpoint's slug."),
    "name": _("The endpoint's name."),
    "host": _("The host that deliveries go to."),
    "reason": _("Why, as a sentence: its last error, or how it came back."),
}
_QUOTES = dict.fromkeys(("name", "host", "reason"), "webhooks.endpoint")


def register() -> None:
    """Have rules listen to them."""
    for name, signal, label in (
        ("webhooks.endpoint_paused", endpoint_paused, _("An endpoint was paused")),
        ("webhooks.endpoint_disabled", endpoint_disabled, _("An endpoint was disabled")),
        ("webhooks.endpoint_back", endpoint_back, _("An endpoint is back")),
    ):
        register_trouble(name, signal, label=label, arguments=_ARGUMENTS, quotes=_QUOTES)
    back_by_hand.connect(_tell_that_it_is_back, dispatch_uid="webhooks.endpoints.signals")


def tell_of(signal: Signal, endpoint: Endpoint, reason: str) -> None:
    """Tell of the endpoint, in the caller's transaction."""
    facts = {"name": endpoint.name or endpoint.slug, "host": endpoint.host, "reason": reason}
    tell(signal, router.db_for_write(EndpointState), endpoint=endpoint.slug, **facts)


def _tell_that_it_is_back(sender: Any, endpoint: Endpoint, was_disabled: bool, **sent: Any) -> None:
    tell_of(endpoint_back, endpoint, ENABLED if was_disabled else RESUMED)
