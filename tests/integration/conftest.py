"""What integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from rules_engine.rules import registry
from tests.http_server import MisbehavingServer
from tests.integration.noting import Note


@pytest.fixture
def noted() -> Iterator[list[str]]:
    """The action ``note`` for the time of a test; gives the texts that it noted."""
    registry.register_action(Note)
    Note.noted, Note.contexts = [], []
    yield Note.noted
    del registry._actions[Note.kind]


@pytest.fixture
def server(settings: Any) -> Iterator[MisbehavingServer]:
    """A misbehaving server, and settings that let webhooks reach it."""
    with MisbehavingServer() as running:
        settings.WEBHOOKS = {
            "ALLOW_HTTP": True,
            "ALLOWED_NETWORKS": ["127.0.0.0/8"],
            "ALLOWED_PORTS": [80, 443, running.port],
            "DEADLINE_SECONDS": 5,
        }
        yield running
