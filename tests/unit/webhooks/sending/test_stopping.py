"""SIGTERM while a process sends: it waits until what is in flight is on record."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from webhooks.sending.stopping import put_off


@pytest.fixture
def usual() -> Iterator[list[int]]:
    """The numbers of the signals that reached the handler of this process."""
    reached: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: reached.append(number))
    yield reached
    signal.signal(signal.SIGTERM, before)


def test_a_signal_takes_effect_when_the_block_is_left(usual: list[int]) -> None:
    with put_off() as stop:
        assert not stop.is_asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.is_asked
        assert usual == []
    assert usual == [signal.SIGTERM]


def test_without_a_signal_nothing_happens(usual: list[int]) -> None:
    with put_off() as stop:
        pass
    assert not stop.is_asked
    assert usual == []


def test_an_error_within_loses_no_signal(usual: list[int]) -> None:
    with pytest.raises(LookupError), put_off():
        os.kill(os.getpid(), signal.SIGTERM)
        raise LookupError
    assert usual == [signal.SIGTERM]


def test_the_handler_of_the_process_is_put_back(usual: list[int]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with put_off():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_in_another_thread_the_block_runs_and_changes_nothing(usual: list[int]) -> None:
    seen: list[Any] = []

    def work() -> None:
        with put_off() as stop:
            seen.append((stop.is_asked, signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
