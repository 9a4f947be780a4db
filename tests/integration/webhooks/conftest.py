"""Webhooks with their settings as they come."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}
