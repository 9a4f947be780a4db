"""What can go wrong with a webhook, apart from what the other side answered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from rules_engine.actions import PermanentError, RulesEngineError, TransientError


class WebhookError(RulesEngineError):
    """Something in the webhooks app went wrong."""


class MissingExtra(WebhookError, ImportError):
    """A library that only webhooks need is not installed."""

    def __init__(self, library: str) -> None:
        super().__init__(
            f"Webhooks need the library {library}, which is not installed: install django-signal-rules[webhooks]."
        )


class EncryptionKeyError(WebhookError):
    """A stored secret cannot be decrypted with the keys that are configured."""


class InvalidSecret(WebhookError):
    """A signing secret is not what Standard Webhooks prescribes."""


class InvalidSignature(WebhookError):
    """A received webhook is not signed by whom it should be, or its timestamp is too far from now."""


class DeliveryError(WebhookError):
    """A delivery did not get an answer.

    ``kind`` is a stable word for records; ``ours`` is True where the fault lies on this side, so that the endpoint
    is not charged with it.
    """

    kind: ClassVar[str] = "error"
    ours: ClassVar[bool] = False


class NameNotResolved(DeliveryError):
    """The host's name has no address, or the name server did not say."""

    kind = "dns"
    ours = True


class DestinationRefused(DeliveryError):
    """The destination is one that webhooks may not reach. Never says which address it was."""

    kind = "refused"
    ours = True


class ProxyFailed(DeliveryError):
    """The proxy that the settings name cannot be reached, or does not let the delivery through."""

    kind = "proxy"
    ours = True


class DeadlinePassed(DeliveryError):
    """The delivery took longer, from the name's lookup to the last byte of the answer, than it may."""

    kind = "timeout"


class ConnectFailed(DeliveryError):
    """No connection could be made, or it broke before there was an answer."""

    kind = "connect"


class TlsFailed(DeliveryError):
    """The server's certificate could not be verified, or no secure connection could be agreed on."""

    kind = "tls"


class ProtocolFailed(DeliveryError):
    """What came back is not a complete HTTP response."""

    kind = "protocol"


class Unforeseen(DeliveryError):
    """The delivery failed within this process, in a way that nobody foresaw."""

    kind = "internal"
    ours = True


class Undeliverable(PermanentError):
    """Trying again would not help. ``detail`` is the attempt's record."""

    def __init__(self, message: str, detail: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.detail = dict(detail)


class EndpointGone(Undeliverable):
    """The receiver said that it is gone for good."""


class Unanswered(TransientError):
    """There was no answer, or one that may change. ``detail`` is the attempt's record."""

    def __init__(self, message: str, detail: Mapping[str, Any], *, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after)
        self.detail = dict(detail)
