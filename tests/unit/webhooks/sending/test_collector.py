"""The garbage collector passes by what was there, while much is sent and no longer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from webhooks.sending.collector import Collector


class Cycle:
    """Garbage that only the collector finds."""

    def __init__(self) -> None:
        self.myself = self


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    """The processes that run tests pass all by that they began with."""
    gc.unfreeze()
    yield
    gc.freeze()


def test_what_was_there_is_passed_by_while_the_block_runs() -> None:
    with Collector() as collector:
        assert gc.get_freeze_count() == 0, "little is sent as a rule"
        collector.pass_by()
        collector.pass_by()
        assert gc.get_freeze_count() > 0
        garbage = weakref.ref(Cycle())
        gc.collect()
        assert garbage() is None, "what comes later is collected"
    assert gc.get_freeze_count() == 0


def test_it_ends_with_an_error_too() -> None:
    with pytest.raises(ZeroDivisionError), Collector() as collector:
        collector.pass_by()
        raise ZeroDivisionError
    assert gc.get_freeze_count() == 0


def test_young_garbage_is_collected_first() -> None:
    gc.disable()
    try:
        garbage = weakref.ref(Cycle())
        with Collector() as collector:
            collector.pass_by()
        assert garbage() is None
    finally:
        gc.enable()


def test_a_site_that_has_arranged_it_itself_is_left_alone() -> None:
    gc.freeze()
    with Collector() as collector:
        collector.pass_by()
    assert gc.get_freeze_count() > 0
