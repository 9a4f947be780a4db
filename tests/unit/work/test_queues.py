"""Who empties which queue."""

from __future__ import annotations

import pytest

from rules_engine.work import queues


@pytest.fixture(autouse=True)
def _nobody_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "_registered", {})


def test_a_registered_app_empties_its_own_queue():
    asked: list[tuple[float, int | None]] = []

    def drain(seconds: float, limit: int | None) -> int:
        asked.append((seconds, limit))
        return 3

    queues.register_drain("mails", drain)
    assert queues.drain("mails", seconds=2.0) == 3
    assert queues.drain("mails", seconds=1.0, limit=5) == 3
    assert asked == [(2.0, None), (1.0, 5)]


def test_the_last_to_register_empties_the_queue():
    queues.register_drain("mails", lambda seconds, limit: 1)
    queues.register_drain("mails", lambda seconds, limit: 2)
    assert queues.drain("mails", seconds=1.0) == 2
