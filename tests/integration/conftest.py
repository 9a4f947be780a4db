"""What integration tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rules_engine.rules import registry
from tests.integration.noting import Note


@pytest.fixture
def noted() -> Iterator[list[str]]:
    """The action ``note`` for the time of a test; gives the texts that it noted."""
    registry.register_action(Note)
    Note.noted, Note.contexts = [], []
    yield Note.noted
    del registry._actions[Note.kind]
