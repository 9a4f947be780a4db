"""The ledger of an ordeal: what is lost, doubled without a reason, or came of nothing is told."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rules_engine.testing.faults.ledger import Booking, Ledger
from rules_engine.testing.faults.report import (
    Effects,
    Fault,
    Report,
    booked_effects,
    recoveries,
    repetitions,
    stored_effects,
)

SAVED = ("a", "b")


def booked(*changes_and_keys: tuple[str, str]) -> list[Booking]:
    return [Booking("ledger", key, change, float(at)) for at, (change, key) in enumerate(changes_and_keys)]


def report(*effects: Effects, in_flight: tuple[str, ...] = (), **fields: Any) -> Report:
    values = {"committed": 2, "vanished": 0, **fields}
    return Report("what", 1, seconds=1.0, effects=list(effects), faults=[Fault("f", 0, 1, in_flight)], **values)


def test_each_effect_once_keeps_the_promises() -> None:
    effects = booked_effects("ledger", booked(("a", "1"), ("b", "2")), SAVED, {})
    assert effects == Effects("ledger", count=2, lost=0, doubled=0, unexplained=0, of_nothing=0)
    assert report(effects).is_kept


def test_a_change_without_an_effect_is_lost() -> None:
    effects = booked_effects("ledger", booked(("a", "1")), SAVED, {})
    assert effects.lost == 1
    assert not report(effects).is_kept


def test_an_effect_that_was_in_flight_may_come_twice() -> None:
    twice = booked(("a", "1"), ("a", "1"), ("b", "2"))
    explained = booked_effects("ledger", twice, SAVED, {"1": 1})
    assert (explained.doubled, explained.unexplained) == (1, 0)
    assert report(explained, in_flight=("1",)).is_kept


@pytest.mark.parametrize("in_flight", [{}, {"2": 1}])
def test_an_effect_that_nobody_had_in_flight_may_not(in_flight: dict[str, int]) -> None:
    twice = booked(("a", "1"), ("a", "1"), ("b", "2"))
    effects = booked_effects("ledger", twice, SAVED, in_flight)
    assert effects.unexplained == 1
    assert not report(effects, in_flight=tuple(in_flight)).is_kept


def test_twice_under_another_key_is_never_explained() -> None:
    effects = booked_effects("ledger", booked(("a", "1"), ("a", "3"), ("b", "2")), SAVED, {"1": 9, "3": 9})
    assert (effects.doubled, effects.unexplained) == (1, 1)


def test_an_effect_of_what_was_never_committed_is_told() -> None:
    effects = booked_effects("ledger", booked(("a", "1"), ("b", "2"), ("c", "3")), SAVED, {})
    assert effects.of_nothing == 1
    assert not report(effects).is_kept


def test_what_the_database_has_twice_has_no_excuse() -> None:
    effects = stored_effects("audit", Counter({"a": 2, "b": 1}), SAVED)
    assert (effects.doubled, effects.unexplained) == (1, 1)
    assert not report(effects, in_flight=("1",)).is_kept


@pytest.mark.parametrize("fields", [{"committed": 0}, {"vanished": 1}])
def test_an_ordeal_of_nothing_or_with_vanished_changes_shows_nothing(fields: dict[str, int]) -> None:
    assert not report(booked_effects("ledger", booked(("a", "1"), ("b", "2")), SAVED, {}), **fields).is_kept


def test_recovery_lasts_until_all_that_was_committed_by_then_is_done() -> None:
    ledger = Ledger(port=0, bookings=booked(("a", "1"), ("b", "2")))
    fault, later = Fault("f", 0.0, 0.4, ()), Fault("g", 5.0, 6.0, ())
    committed = {"a": 0.1, "b": 0.3, "c": 5.5}
    recoveries([fault, later], ledger.bookings, committed, ledger.first_times(["ledger"]))
    assert fault.recovered == fault.resumed == pytest.approx(0.6)
    assert later.resumed is None, "nothing came after it"
    assert later.recovered is None, "one of its changes never was done"


def test_of_each_fault_it_is_told_what_came_twice() -> None:
    faults = [Fault("f", 0, 1, ("1", "2")), Fault("g", 2, 3, ("2",))]
    repetitions(faults, booked(("a", "1"), ("a", "1"), ("b", "2")))
    assert [fault.repeated for fault in faults] == [1, 0]


def test_a_change_is_done_when_the_last_of_its_kinds_is() -> None:
    ledger = Ledger(port=0, bookings=[*booked(("a", "1")), Booking("webhook", "2", "a", 7.0)])
    assert ledger.first_times(["ledger", "webhook"]) == {"a": 7.0}
    assert ledger.first_times(["ledger", "webhook", "sms"]) == {}
