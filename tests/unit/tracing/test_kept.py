"""What a row keeps of its place in a trace."""

from __future__ import annotations

import pytest

from rules_engine.tracing.kept import LONGEST, kept, taken_apart, trace_id_of

PARENT = f"00-{'4bf92f3577b34da6a3ce929d0e0e4736'}-00f067aa0ba902b7-01"


def test_what_is_kept_is_taken_apart_again():
    assert taken_apart(kept(PARENT)) == (PARENT, "")
    assert taken_apart(kept(PARENT, ["a=1", "b= 2"])) == (PARENT, "a=1,b= 2")


def test_a_long_tracestate_is_kept_as_far_as_whole_members_have_room():
    members = [f"vendor{number}={'x' * 100}" for number in range(9)]
    text = kept(PARENT, members)
    assert len(text) <= LONGEST
    assert taken_apart(text)[1].split(",") == members[:4]


@pytest.mark.parametrize("text", [None, "", "rubbish", "00-12-34-01", "a-b"])
def test_of_what_is_no_place_there_is_no_id(text: str | None):
    assert trace_id_of(text) == ""


def test_the_id_is_read_with_and_without_a_tracestate():
    assert trace_id_of(PARENT) == trace_id_of(f"{PARENT} a=1") == "4bf92f3577b34da6a3ce929d0e0e4736"
