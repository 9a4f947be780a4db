"""What administrators are told of endpoints by mail."""

from __future__ import annotations

from rules_engine.sending import order
from webhooks.endpoints.signals import endpoint_disabled, tell_of
from webhooks.models import Endpoint

SUBJECT = "The webhook endpoint {{ signal.name }} was disabled"
BODY = """\
{{ signal.reason }}

Deliveries to {{ signal.host }} ({{ signal.slug }}) that were waiting are cancelled, and new ones are discarded.
Once the receiver works again, enable the endpoint in the admin; failed deliveries can be replayed from its page.
"""


def disabled(endpoint: Endpoint) -> None:
    """Tell rules, and mail the site's administrators, that the endpoint was disabled, and why; with retries, like any
    mail of a rule."""
    facts = {
        "name": endpoint.name or endpoint.slug,
        "slug": endpoint.slug,
        "host": endpoint.host,
        "reason": endpoint.disabled_reason,
    }
    config = {"to": ["admins"], "subject": SUBJECT, "body": BODY}
    order("send_email", config, signal="webhooks.endpoint_disabled", context={"signal": facts})
    tell_of(endpoint_disabled, endpoint, endpoint.disabled_reason)
