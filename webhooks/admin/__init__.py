"""Endpoints in the admin."""

from __future__ import annotations

from webhooks.admin import endpoints

__all__ = ["endpoints"]
