"""Which endpoints a sender takes for slow."""

from __future__ import annotations

from webhooks.sending.pace import QUICK, SLOW, Pace

NOBODY: frozenset[str] = frozenset()


def test_an_endpoint_that_has_not_answered_is_unknown_and_not_slow():
    pace = Pace()
    assert pace.unknown({"crm"}) == {"crm"}
    assert pace.slow(waiting=NOBODY, stuck=NOBODY) == set()


def test_an_unknown_endpoint_is_slow_while_it_keeps_one_waiting():
    assert Pace().slow(waiting={"crm"}, stuck=NOBODY) == {"crm"}


def test_a_quick_endpoint_is_slow_only_when_it_is_stuck():
    pace = Pace()
    pace.note("crm", 0.1)
    assert pace.slow(waiting={"crm"}, stuck=NOBODY) == set()
    assert pace.slow(waiting={"crm"}, stuck={"crm"}) == {"crm"}


def test_an_endpoint_is_quick_by_what_it_took_lately():
    pace = Pace()
    assert pace.quick() == set(), "nothing is known of any"
    pace.note("crm", QUICK)
    pace.note("erp", SLOW)
    assert pace.quick() == {"crm"}
    pace.note("crm", SLOW)
    assert pace.quick() == set()


def test_an_endpoint_that_answered_slowly_is_slow_though_nothing_waits():
    pace = Pace()
    pace.note("crm", SLOW + 1)
    assert pace.unknown({"crm"}) == set()
    assert pace.slow(waiting=NOBODY, stuck=NOBODY) == {"crm"}


def test_quick_answers_make_a_slow_endpoint_quick_again():
    pace = Pace()
    pace.note("crm", 2 * SLOW)
    pace.note("crm", 0.0)
    assert pace.slow(waiting=NOBODY, stuck=NOBODY) == {"crm"}, "one quick answer is not enough"
    pace.note("crm", 0.0)
    assert pace.slow(waiting=NOBODY, stuck=NOBODY) == set()


def test_one_late_answer_does_not_make_a_quick_endpoint_slow():
    pace = Pace()
    pace.note("crm", 0.1)
    pace.note("crm", 3.0)
    assert pace.slow(waiting=NOBODY, stuck=NOBODY) == set()
