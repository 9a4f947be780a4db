"""A misbehaving server, and settings that let webhooks reach it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.http_server import MisbehavingServer


@pytest.fixture(autouse=True)
def _defaults(settings: Any) -> None:
    settings.WEBHOOKS = {}


@pytest.fixture
def server(settings: Any) -> Iterator[MisbehavingServer]:
    with MisbehavingServer() as running:
        settings.WEBHOOKS = {
            "ALLOW_HTTP": True,
            "ALLOWED_NETWORKS": ["127.0.0.0/8"],
            "ALLOWED_PORTS": [80, 443, running.port],
            "DEADLINE_SECONDS": 5,
        }
        yield running
