"""Where webhooks go, and how each endpoint does."""

from __future__ import annotations

from webhooks.models.choices import PayloadForm
from webhooks.models.endpoint import ROTATION_OVERLAP, Endpoint, EndpointQuerySet
from webhooks.models.state import EndpointState, clean_state

__all__ = ["ROTATION_OVERLAP", "Endpoint", "EndpointQuerySet", "EndpointState", "PayloadForm", "clean_state"]
