"""What data says goes to the log in one line: of messages, their values, and exceptions however they are chained."""

from __future__ import annotations

import io
import logging
from typing import Any

import pytest

from rules_engine.logs.one_line import CAUSED, LARGEST_GROUP, LONGEST_CHAIN, WHILE_HANDLED, keep_to_one_line

FORGED = "x\nERROR root logged in\r\x1b[2J\x00\u2028y\ud800"
ESCAPED = r"x\nERROR root logged in\r\x1b[2J\x00\u2028y\ud800"


@pytest.fixture
def log() -> tuple[logging.Logger, io.StringIO]:
    """A logger of its own, and what its handler wrote."""
    logger, out = logging.Logger("rules_engine.of_a_test"), io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    logger.addHandler(handler)
    return keep_to_one_line(logger), out


Log = tuple[logging.Logger, io.StringIO]


class Odd:
    """Says what it is told to, or cannot say anything."""

    def __init__(self, says: Any) -> None:
        self.says = says

    def __str__(self) -> str:
        if isinstance(self.says, Exception):
            raise self.says
        return str(self.says)

    def __repr__(self) -> str:
        return f"Odd {self}"


@pytest.mark.parametrize(
    ("message", "values", "line"),
    [
        (FORGED, (), f"INFO {ESCAPED}"),
        ("%s", (FORGED,), f"INFO {ESCAPED}"),
        ("%r and %s", (Odd(FORGED), Odd("a\tb")), rf"INFO Odd {ESCAPED} and a\tb"),
        ("%(name)s", ({"name": FORGED},), f"INFO {ESCAPED}"),
        ("%d of %.1f", (7, 2.25), "INFO 7 of 2.2"),
        ("%s %s", (None, True), "INFO None True"),
        ("ümlaut — %s", ("日本",), "INFO ümlaut — 日本"),
        ("%s", (Odd(ZeroDivisionError("x")),), "INFO <Odd>"),
        ("%r", (Odd(UnicodeError("x")),), "INFO <Odd>"),
        ("100%", (), "INFO 100%"),
        ("%s", ([FORGED],), "INFO ["),
        (Odd("an object"), (), "INFO an object"),
    ],
    ids=[
        "text",
        "value",
        "objects",
        "names",
        "numbers",
        "constants",
        "letters",
        "no text",
        "no repr",
        "percent",
        "list",
        "no message",
    ],
)
def test_a_message_and_its_values_are_one_line(log: Log, message: Any, values: tuple[Any, ...], line: str) -> None:
    logger, out = log
    logger.info(message, *values)
    written = out.getvalue()
    assert written.count("\n") == 1
    assert written.isprintable() or written[:-1].isprintable()
    assert written.startswith(line)


def test_a_logger_is_kept_once(log: Log) -> None:
    logger, _ = log
    keep_to_one_line(keep_to_one_line(logger))
    assert len(logger.filters) == 1


def test_a_value_that_is_not_written_is_never_asked(log: Log) -> None:
    logger, out = log
    logger.setLevel(logging.ERROR)
    logger.info("%s", Odd(ZeroDivisionError("was asked")))
    assert out.getvalue() == ""


# Exceptions


def told(log: Log, error: BaseException) -> str:
    logger, out = log
    try:
        raise error
    except BaseException:
        logger.exception("It failed.")
    return out.getvalue()


def raised(text: str, cause: BaseException | None = None) -> Exception:
    try:
        raise ValueError(text) from cause
    except ValueError as error:
        return error


def test_what_an_exception_says_is_one_line_of_its_traceback(log: Log) -> None:
    written = told(log, ValueError(FORGED))
    assert written.startswith("ERROR It failed.\nTraceback (most recent call last):\n")
    assert written.endswith(f"ValueError: {ESCAPED}\n")
    assert "\nERROR root" not in written


@pytest.mark.parametrize("suppressed", [False, True])
def test_what_was_being_handled_is_told_unless_it_is_suppressed(log: Log, suppressed: bool) -> None:
    error = ValueError("second")
    error.__context__, error.__suppress_context__ = raised("first"), suppressed
    written = told(log, error)
    assert (WHILE_HANDLED in written, "ValueError: first\n" in written) == (not suppressed, not suppressed)
    assert written.endswith("ValueError: second\n")


def test_a_cause_is_told_before_what_it_caused(log: Log) -> None:
    written = told(log, raised("second", raised("first")))
    assert CAUSED in written
    assert written.index("ValueError: first") < written.index("ValueError: second")


def test_exceptions_that_cause_each_other_are_told_once(log: Log) -> None:
    one, other = raised("one"), raised("other")
    one.__cause__, other.__cause__ = other, one
    written = told(log, one)
    assert (written.count("ValueError: one\n"), written.count("ValueError: other\n")) == (1, 1)


def test_of_a_long_chain_the_nearest_are_told(log: Log) -> None:
    error = raised("0")
    for number in range(1, LONGEST_CHAIN + 20):
        error = raised(str(number), error)
    written = told(log, error)
    assert written.count("ValueError: ") == LONGEST_CHAIN
    assert written.endswith(f"ValueError: {LONGEST_CHAIN + 19}\n")
    assert "ValueError: 0\n" not in written


def test_the_exceptions_of_a_group_are_told_below_it(log: Log) -> None:
    group = ExceptionGroup("several", [raised(FORGED), ExceptionGroup("inner", [raised("deep")])])
    written = told(log, group)
    assert "ExceptionGroup: several (2 sub-exceptions)\n" in written
    assert f"  | ValueError: {ESCAPED}\n" in written
    assert "  |   | ValueError: deep\n" in written
    assert "\nERROR root" not in written


def test_of_a_large_group_the_first_are_told(log: Log) -> None:
    many = [raised(f"number {number}") for number in range(LARGEST_GROUP + 5)]
    written = told(log, ExceptionGroup("many", many))
    assert written.count("  | ValueError: number ") == LARGEST_GROUP
    assert f"number {LARGEST_GROUP}" not in written


def test_an_exception_that_was_never_raised_has_no_traceback(log: Log) -> None:
    logger, out = log
    logger.error("It failed.", exc_info=ValueError("by hand"))
    assert out.getvalue() == "ERROR It failed.\nValueError: by hand\n"
