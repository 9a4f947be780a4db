"""What a delivery would look like, without its secrets: for the page that tests a rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from rules_engine.actions import ActionContext, Preview
from webhooks.deliveries import delivery, formats
from webhooks.models import Endpoint
from webhooks.signing.masking import MASK, masked_url
from webhooks.signing.signatures import version_of


def request_preview(context: ActionContext, config: Mapping[str, Any]) -> Preview:
    """Show the request with its body; custom headers' values, the query and the signature are masked.

    Raises ``PermanentError`` where nothing would be sent.
    """
    slug = str(config.get("endpoint", ""))
    endpoint = delivery.usable(Endpoint.objects.filter(slug=slug).first(), slug)
    encoded = formats.encode(endpoint.payload_form, context.event, config.get("payload"), MASK)
    headers = {
        "User-Agent": delivery.USER_AGENT,
        **dict.fromkeys(endpoint.headers, MASK),
        # The id is made when the rule fires; as a header it is written in percent signs.
        **{name: MASK if name == "ce-id" else value for name, value in encoded.headers.items()},
        "Content-Type": encoded.content_type,
        "webhook-id": MASK,
        "webhook-timestamp": MASK,
        "webhook-signature": " ".join(f"{version_of(secret)},{MASK}" for secret in endpoint.signing_secrets()),
    }
    details = {
        gettext("Request"): f"POST {masked_url(endpoint.url)}",
        gettext("Headers"): "\n".join(f"{name}: {value}" for name, value in headers.items()),
        gettext("Body"): json.loads(encoded.body),
    }
    return Preview(gettext("Calls %(endpoint)s") % {"endpoint": slug}, details)
