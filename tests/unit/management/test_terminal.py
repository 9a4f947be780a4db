"""What commands say: nothing that is stored can steer the terminal."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management.base import BaseCommand

from rules_engine.management.terminal import LONGEST, counted, progress, shown


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("plain", "plain"),
        ("ä 中 🙂", "ä 中 🙂"),
        ("", ""),
        (None, "None"),
        (5, "5"),
        ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        ("\u2028\u2029", "\\u2028\\u2029"),
        ("\u202eevil\u202c", "\\u202eevil\\u202c"),
        ("\u2066x\u2069", "\\u2066x\\u2069"),
        ("\ud800", "\\ud800"),
    ],
)
def test_a_value_is_one_line_that_steers_nothing(value: Any, line: str) -> None:
    assert shown(value) == line


@pytest.mark.parametrize(
    ("length", "is_cut"), [(LONGEST - 1, False), (LONGEST, False), (LONGEST + 1, True), (10**6, True)]
)
def test_a_line_has_an_end(length: int, is_cut: bool) -> None:
    line = shown("x" * length)
    assert line == ("x" * LONGEST + "…" if is_cut else "x" * length)


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F)])
def test_no_control_and_no_turn_of_direction_is_left(code: int) -> None:
    assert shown(chr(code)).isascii()
    assert shown(chr(code)).isprintable()


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("rule",), "0 rules"),
        (1, ("rule",), "1 rule"),
        (2, ("rule",), "2 rules"),
        (1_234_567, ("row",), "1,234,567 rows"),
        (1, ("entry", "entries"), "1 entry"),
        (0, ("entry", "entries"), "0 entries"),
    ],
)
def test_things_are_counted(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said


def test_progress_is_told_where_somebody_looks_on_and_nowhere_else() -> None:
    terminal, file = Terminal(), StringIO()
    progress(BaseCommand(stderr=terminal), "3 of 5\n\x1b[2J")
    progress(BaseCommand(stderr=file), "3 of 5")
    assert terminal.getvalue() == "\r\x1b[K3 of 5\\x0a\\x1b[2J"
    assert file.getvalue() == ""


def test_an_empty_progress_clears_the_line() -> None:
    terminal = Terminal()
    progress(BaseCommand(stderr=terminal), "")
    assert terminal.getvalue() == "\r\x1b[K"
