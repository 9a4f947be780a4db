"""Threads are switched more often while the sender runs, and as before after it."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from webhooks.sending.switching import USUAL, Switching


@pytest.fixture(autouse=True)
def _usual() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(USUAL)
    yield
    sys.setswitchinterval(before)


def test_threads_are_switched_more_often_until_it_ends() -> None:
    with Switching():
        assert sys.getswitchinterval() < USUAL / 10
    assert sys.getswitchinterval() == USUAL


def test_it_ends_with_an_error_as_well() -> None:
    with pytest.raises(LookupError), Switching():
        raise LookupError
    assert sys.getswitchinterval() == USUAL


@pytest.mark.parametrize("seconds", [0.001, 0.05])
def test_what_the_site_has_arranged_stays(seconds: float) -> None:
    sys.setswitchinterval(seconds)
    arranged = sys.getswitchinterval()
    with Switching():
        assert sys.getswitchinterval() == arranged
    assert sys.getswitchinterval() == arranged


def test_of_two_senders_in_a_process_the_last_to_begin_takes_nothing_back() -> None:
    first, second = Switching(), Switching()
    with first:
        with second:
            assert sys.getswitchinterval() < USUAL / 10
        assert sys.getswitchinterval() < USUAL / 10
    assert sys.getswitchinterval() == USUAL
