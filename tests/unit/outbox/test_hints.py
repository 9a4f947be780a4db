"""Hints: the first of a queue at once, and of what follows as few as a worker needs."""

from __future__ import annotations

import threading

import pytest
from amqp.exceptions import MessageNacked

from rules_engine.outbox import hints

SECONDS = 30.0


class Broker:
    """Takes what is published, and says when there is as much of it as somebody waits for."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.arrived = threading.Condition()

    def send(self, queue: str) -> None:
        with self.arrived:
            self.sent.append(queue)
            self.arrived.notify_all()

    def wait_for(self, count: int) -> list[str]:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.sent) >= count, SECONDS), self.sent
            return list(self.sent)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(hints, "send", broker.send)
    return broker


def test_many_commits_are_one_hint_now_and_one_later(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "PACE", 1.0)
    publisher = hints.Publisher()
    publisher.notify("rules")
    broker.wait_for(1)
    for _ in range(1_000):
        publisher.notify("rules")
    publisher.flush(SECONDS)
    # The last commit is announced too, for a worker may have gone just before it.
    assert broker.sent == ["rules", "rules"]


def test_the_pace_of_one_queue_holds_no_other_up(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "PACE", 3_600.0)
    publisher = hints.Publisher()
    publisher.notify("rules")
    broker.wait_for(1)
    publisher.notify("rules")
    publisher.notify("webhooks")
    assert broker.wait_for(2) == ["rules", "webhooks"]
    assert publisher.queues == {"rules"}


def test_a_hint_after_a_quiet_while_wakes_the_thread(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "PACE", 0.0)
    publisher = hints.Publisher()
    for count in range(1, 4):
        publisher.notify("rules")
        broker.wait_for(count)
    assert broker.sent == ["rules"] * 3


def test_what_could_not_be_sent_is_not_held_back_by_a_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hints, "PACE", 3_600.0)
    monkeypatch.setattr(hints, "FIRST_PAUSE", 0.0)
    tried: list[str] = []
    sent = threading.Event()

    def send(queue: str) -> None:
        tried.append(queue)
        if len(tried) < 3:
            raise OSError("refused")
        sent.set()

    monkeypatch.setattr(hints, "send", send)
    hints.Publisher().notify("rules")
    assert sent.wait(SECONDS)


def test_a_refusal_without_words_is_told_by_its_kind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    refusals = [MessageNacked]  # RabbitMQ's, of a queue that is full, to who waits for a confirmation

    def refuse_once(queue: str) -> None:
        if refusals:
            raise refusals.pop()

    monkeypatch.setattr(hints, "send", refuse_once)
    publisher = hints.Publisher()
    publisher.notify("rules")
    publisher.flush(SECONDS)
    assert "Workers cannot be told of new work (MessageNacked); it waits for their sweep." in caplog.messages
