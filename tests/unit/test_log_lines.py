"""What data and errors say goes to the log in one line that any handler can write, without what is a secret."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules_engine.hidden.secret_names import SENSITIVE, is_secret, without_secrets
from rules_engine.hidden.texts import HIDDEN, masked
from rules_engine.logs.one_line import OneLine, keep_to_one_line
from tests.examples import examples

TEXTS = st.text(st.characters(), max_size=30)
#: What a terminal acts on, and what splits a line for whoever reads the file.
STEERING = {chr(code) for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
SECRETS = st.text("abcXYZ019-_.", min_size=6, max_size=12).filter(lambda text: text.strip("-_."))


def record(message: Any, *args: Any, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    made = logging.LogRecord("rules_engine", logging.ERROR, "x.py", 1, message, args, info)
    assert OneLine().filter(made)
    return made


@settings(max_examples=examples(80), deadline=None)
@given(TEXTS, TEXTS)
def test_whatever_data_says_is_one_line_that_can_be_written(first: str, second: str) -> None:
    for message in (
        record("It said %s to %r.", first, second).getMessage(),
        record("It said %(first)s.", {"first": first}).getMessage(),
        record(first.replace("%", "")).getMessage(),
        record("It failed: %s", ValueError(first)).getMessage(),
    ):
        assert STEERING.isdisjoint(message)
        assert message.encode().decode() == message
    # What is ordinary stays as it is, letter for letter.
    if first.isprintable() and "\u2028" not in first:
        assert record("%s", first).getMessage() == first


@settings(max_examples=examples(60), deadline=None)
@given(TEXTS)
def test_an_exception_is_told_in_one_line_behind_its_traceback(said: str) -> None:
    try:
        try:
            raise KeyError(said)
        except KeyError as error:
            raise ValueError(said) from error
    except ValueError as error:
        told = record("x", error=error).exc_text or ""
    lines = told.split("\n")
    assert all(STEERING.isdisjoint(line) for line in lines)
    assert [line for line in lines if line.startswith("KeyError: ")]
    assert lines[-1].startswith("ValueError")
    assert told.encode().decode() == told
    assert told.count("Traceback (most recent call last):") == 2 + said.count("Traceback (most recent call last):")


def test_numbers_stay_numbers_for_the_format_that_wants_them() -> None:
    assert record("%d of %5.1f, %s, %r", 3, 2.5, None, True).getMessage() == "3 of   2.5, None, True"


def test_a_logger_is_kept_once_and_those_below_it_by_themselves() -> None:
    logger = logging.getLogger("tests.kept_once")
    assert keep_to_one_line(keep_to_one_line(logger)) is logger
    assert len([kept for kept in logger.filters if isinstance(kept, OneLine)]) == 1


@settings(max_examples=examples(80), deadline=None)
@given(
    st.sampled_from(SENSITIVE),
    st.sampled_from(["", "_old", "s", "Value"]),
    st.sampled_from(["=", ": ", " = ", '": "', "'=>'"]),
    SECRETS,
)
def test_what_is_named_like_a_secret_is_told_without_its_value(
    name: str, ending: str, between: str, value: str
) -> None:
    for spelled in (name, name.upper(), f"my_{name}"):
        told = masked(f"It refused {spelled}{ending}{between}{value}, and 5 more.")
        assert value not in told
        assert HIDDEN in told
        assert told.startswith("It refused ")


@settings(max_examples=examples(60), deadline=None)
@given(
    SECRETS,
    st.sampled_from(["postgres://ada:{}@db/shop", "https://ada:{}@hooks.example.com/", "Bearer {}", "basic {}"]),
)
def test_credentials_are_told_without_what_proves_them(value: str, text: str) -> None:
    assert value not in masked(f"Connecting to {text.format(value)} failed.")


@pytest.mark.parametrize("text", ["", "The token ring is down.", "1:2", "https://example.com:8000/a@b", "basic math"])
def test_what_only_sounds_like_a_secret_is_told(text: str) -> None:
    assert masked(text) == text


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "password", "apiKey", "total", "x-auth-token", "tokens"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@settings(max_examples=examples(60), deadline=None)
@given(JSON)
def test_no_secret_stands_at_any_depth_of_json(value: Any) -> None:
    def names(part: Any) -> list[str]:
        if isinstance(part, dict):
            return [*part, *(name for item in part.values() for name in names(item))]
        return [name for item in part for name in names(item)] if isinstance(part, list) else []

    told = without_secrets(value)
    assert not any(map(is_secret, names(told)))
    # All else is there, in its order.
    assert [name for name in names(told) if name in ("name", "total")] == names(told)
    assert without_secrets(told) == told
