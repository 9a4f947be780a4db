"""An exception as data: its type, what it says without secrets, and where it came from."""

from __future__ import annotations

import json

import pytest

from rules_engine.context.exceptions import TEXT_CHARACTERS, current, described, text_of
from rules_engine.hidden.texts import HIDDEN, masked


def raised(text: object) -> BaseException:
    try:
        raise LookupError(text)
    except LookupError as error:
        return error


def test_it_says_what_went_wrong_and_where():
    told = described(raised("no such order"))
    assert (told["type"], told["text"]) == ("LookupError", "no such order")
    assert told["where"].startswith(f"{__name__}:")


def test_where_is_the_sites_own_code_and_not_the_library_it_called():
    with pytest.raises(ValueError, match="property name") as raised_by_library:
        json.loads("{")
    assert described(raised_by_library.value)["where"].startswith(f"{__name__}:")


def test_an_exception_that_was_never_raised_came_from_nowhere():
    assert described(ValueError("x"))["where"] == ""


def test_a_long_text_is_cut():
    assert len(described(raised("x" * 10_000))["text"]) <= TEXT_CHARACTERS + 1


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def test_an_exception_that_cannot_be_printed_is_told_all_the_same():
    assert described(Mute())["text"] == "<RuntimeError in str()>"


def test_where_there_is_no_exception_there_is_nothing_to_tell():
    assert current(None) is None
    assert (current(raised("x")) or {})["type"] == "LookupError"


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("password=hunter2 user=ada", f"password={HIDDEN} user=ada"),
        ('{"api_key": "abc", "id": 3}', f'{{"api_key": {HIDDEN}, "id": 3}}'),
        ("Card(token='4711')", f"Card(token={HIDDEN})"),
        ("redis://ada:hunter2@cache:6379/0", f"redis://ada:{HIDDEN}@cache:6379/0"),
        ("Authorization: Bearer abcdef123", f"Authorization: Bearer {HIDDEN}"),
        ("the secret of the sea", "the secret of the sea"),
        ("order 12 was not found", "order 12 was not found"),
    ],
)
def test_what_is_named_like_a_secret_is_hidden(text: str, hidden: str):
    assert masked(text) == hidden


@pytest.mark.parametrize(
    ("error", "said"),
    [(LookupError("no such order"), "no such order"), (LookupError(), "LookupError"), (Mute(), "Mute")],
)
def test_an_error_that_says_nothing_is_told_by_its_type(error: BaseException, said: str):
    assert text_of(error) == said
