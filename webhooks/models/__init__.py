"""Where webhooks go, and how each endpoint does."""

from __future__ import annotations

from webhooks.models.endpoint import (
    ROTATION_OVERLAP,
    Endpoint,
    EndpointQuerySet,
    EndpointState,
    PayloadForm,
    clean_state,
)

__all__ = ["ROTATION_OVERLAP", "Endpoint", "EndpointQuerySet", "EndpointState", "PayloadForm", "clean_state"]
