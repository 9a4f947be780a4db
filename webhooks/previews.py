"""What a delivery would look like, without its secrets: for the page that tests a rule."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from rules_engine import ActionContext, Preview
from webhooks import delivery, payload
from webhooks.masking import MASK, masked_url
from webhooks.models import Endpoint


def request_preview(context: ActionContext, config: Mapping[str, Any]) -> Preview:
    """The request with its body; custom headers' values, the query and the signature are masked.

    Raises ``PermanentError`` where nothing would be sent.
    """
    slug = str(config.get("endpoint", ""))
    endpoint = delivery.usable(Endpoint.objects.filter(slug=slug).first(), slug)
    body = payload.body(context.event, config.get("payload"))
    headers = {
        "User-Agent": delivery.USER_AGENT,
        **dict.fromkeys(endpoint.headers, MASK),
        "Content-Type": "application/json; charset=utf-8",
        "webhook-id": MASK,
        "webhook-timestamp": MASK,
        "webhook-signature": f"v1,{MASK}",
    }
    details = {
        gettext("Request"): f"POST {masked_url(endpoint.url)}",
        gettext("Headers"): "\n".join(f"{name}: {value}" for name, value in headers.items()),
        gettext("Body"): json.loads(body),
    }
    return Preview(gettext("Calls %(endpoint)s") % {"endpoint": slug}, details)
