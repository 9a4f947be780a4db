"""A queue that nobody empties gets no further hints, and one that is emptied does."""

from __future__ import annotations

import pytest

from rules_engine.outbox import crowding


class Broker:
    """Holds what it was sent, and counts how often it was asked."""

    def __init__(self, waiting: int = 0) -> None:
        self.waiting, self.asked = waiting, 0

    def count(self, queue: str) -> int:
        self.asked += 1
        return self.waiting

    def send(self, room: crowding.Room, hints: int) -> None:
        for _ in range(hints):
            self.waiting += room.take("rules")


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(crowding, "_asked", broker.count)
    return broker


def test_hints_that_nobody_takes_end_at_a_hundred(broker: Broker) -> None:
    broker.send(crowding.Room(), 10_000)
    assert broker.waiting == crowding.MOST
    assert broker.asked == 3


def test_processes_of_one_hint_each_end_at_a_hundred_too(broker: Broker) -> None:
    for _ in range(300):
        broker.send(crowding.Room(), 1)
    assert broker.waiting == crowding.MOST


def test_hints_go_on_when_workers_are_back(broker: Broker) -> None:
    room = crowding.Room()
    broker.send(room, 1_000)
    broker.waiting = 0
    broker.send(room, 1)
    assert broker.waiting == 0  # it has asked a moment ago
    room.ask_at = 0.0
    broker.send(room, 10)
    assert broker.waiting == 10


def test_a_broker_that_cannot_be_asked_is_sent_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(queue: str) -> int:
        raise OSError("refused")

    monkeypatch.setattr(crowding, "_asked", refuse)
    room = crowding.Room()
    assert all(room.take("rules") for _ in range(crowding.EVERY))


def test_that_a_broker_cannot_be_asked_is_said_once_when_it_takes_hints(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(queue: str) -> int:
        raise PermissionError("ACCESS_REFUSED")

    monkeypatch.setattr(crowding, "_asked", refuse)
    monkeypatch.setattr(crowding, "_rooms", {})
    monkeypatch.setattr(crowding, "_has_said", False)
    assert crowding.has_room("rules")
    assert caplog.records == [], "one that takes no hint either is told of by who sends them"
    for queue in ("rules", "webhooks"):
        crowding.has_room(queue)
        crowding.say_if_unbounded(queue)
    [said] = caplog.records
    assert said.levelname == "WARNING"
    assert "how many hints wait in rules (PermissionError: ACCESS_REFUSED)" in said.getMessage()


def test_nothing_is_said_of_a_broker_that_answers(broker: Broker, caplog: pytest.LogCaptureFixture) -> None:
    broker.send(crowding.Room(), 3)
    crowding.say_if_unbounded("rules")
    assert caplog.records == []
