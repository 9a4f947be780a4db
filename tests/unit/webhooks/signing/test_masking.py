"""What may be recorded of a delivery: never a secret, however an answer quotes it."""

from __future__ import annotations

import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from webhooks.signing.masking import EXCERPT_CHARACTERS, MASK, SHORTEST, masked, masked_url, url_secrets, words

TOKEN = "x9Ab23cD45eF67gH89iJ01kL"


def test_a_records_url_has_no_query() -> None:
    assert masked_url("https://example.com/hook?token=abc") == "https://example.com/hook?…"
    assert masked_url("https://example.com/hook") == "https://example.com/hook"
    assert masked_url("https://example.com/order-hooks-of-the-warehouse/v2") == (
        "https://example.com/order-hooks-of-the-warehouse/v2"
    )
    token = "https://chat.example.com/services/T024BE7LD/B024BE7LH/x9Ab23cD45eF67gH89iJ01kL"
    assert masked_url(token) == "https://chat.example.com/services/T024BE7LD/B024BE7LH/…"


@pytest.mark.parametrize(
    "text", ["tok/en&1", r"tok\/en&1", "tok/en&amp;1", "tok%2Fen%261", '{"is": "tok/en&1"}', "Bearer tok/en&1"]
)
def test_a_secret_is_masked_in_whatever_form_an_answer_quotes_it(text: str) -> None:
    assert "en" not in masked(text, words("Bearer tok/en&1"))


def test_a_token_in_the_path_is_masked_where_an_answer_quotes_the_path() -> None:
    url = "https://chat.example.com/services/T024BE7LD/x9Ab23cD45eF67gH89iJ01kL?key=s3cret"
    assert masked("Cannot POST /services/T024BE7LD/x9Ab23cD45eF67gH89iJ01kL", url_secrets(url)) == (
        "Cannot POST /services/T024BE7LD/…"
    )


def test_an_echoed_secret_is_masked_and_long_answers_are_cut() -> None:
    assert masked("Bearer abcd and Bearer", ["Bearer abcd", "Bearer"]) == "… and …"
    assert masked("a-b", ["-"]) == "a-b"
    assert len(masked("x" * 5000, [])) == 1001


@pytest.mark.parametrize(
    "step",
    ["1234567890123456", "a1b2-c3d4_e5f6.g7h8", "ABCDEFGHIJKLMNOPQRSTUVWX", "550e8400-e29b-41d4-a716-446655440000"],
)
def test_a_step_of_a_path_that_reads_like_a_token_is_masked(step: str) -> None:
    assert masked_url(f"https://example.com/hooks/{step}/in") == f"https://example.com/hooks/{MASK}/in"
    assert step in url_secrets(f"https://example.com/hooks/{step}/in")


@pytest.mark.parametrize("step", ["orders", "v2", "2026-03-01", "order-hooks-of-the-warehouse", "short1"])
def test_an_ordinary_step_of_a_path_is_shown(step: str) -> None:
    assert masked_url(f"https://example.com/{step}") == f"https://example.com/{step}"
    assert step not in url_secrets(f"https://example.com/{step}")


def test_the_values_of_a_query_are_secrets_as_written_and_as_meant() -> None:
    secrets = url_secrets("https://example.com/?key=a%2Fbcd&other=efgh")
    assert {"key=a%2Fbcd&other=efgh", "a%2Fbcd", "a/bcd", "efgh"} <= set(secrets)


def test_a_url_without_either_has_no_secrets_worth_hiding() -> None:
    assert [secret for secret in url_secrets("https://example.com/in") if secret] == []


def test_a_header_of_several_words_is_hidden_with_and_without_the_first() -> None:
    assert words("Bearer abc def") == ["Bearer abc def", "abc", "def"]
    assert words("abc") == ["abc"]
    assert masked("token abcdef was wrong", words("Bearer abcdef")) == f"token {MASK} was wrong"


@pytest.mark.parametrize("secret", ['qu"ote/x', "a&b<c>d", "ü ö ä/é", "per%cent+plus"])
@pytest.mark.parametrize(
    "write", [str, lambda text: json.dumps(text), html.escape, quote, lambda text: quote(text, safe="")]
)
def test_a_secret_is_hidden_in_every_way_of_writing_it(secret: str, write: object) -> None:
    assert callable(write)
    shown = masked(f"You sent {write(secret)} to us", [secret])
    assert shown.replace('"', "") == f"You sent {MASK} to us"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    assert masked("abcdefgh", ["abcd", "abcdefgh"]) == MASK


def test_what_is_too_short_to_be_a_secret_hides_nothing() -> None:
    assert masked("a cat sat", ["a", "cat", ""]) == "a cat sat"
    assert masked("abcd", ["abcd"]) == MASK
    assert len("abcd") == SHORTEST


def test_an_answer_is_cut_after_its_secrets_are_hidden() -> None:
    text = "x" * (EXCERPT_CHARACTERS - 2) + TOKEN
    shown = masked(text, [TOKEN])
    assert TOKEN[:2] not in shown
    assert len(shown) <= EXCERPT_CHARACTERS + len(MASK)


@pytest.mark.parametrize(("length", "kept"), [(3, 3), (1000, 1000), (1001, 1001), (5000, 1001)])
def test_an_answer_is_kept_up_to_a_thousand_characters(length: int, kept: int) -> None:
    shown = masked("x" * length, ["y" * 8])
    assert len(shown) == kept
    assert shown == "x" * min(length, 1000) + (MASK if length > 1000 else "")


@settings(max_examples=examples(60), deadline=None)
@given(st.text(min_size=SHORTEST, max_size=12), st.lists(st.text(max_size=6), max_size=3))
def test_a_secret_is_in_no_answer_whatever_stands_around_it(secret: str, around: list[str]) -> None:
    shown = masked(secret.join(["", *around, ""]), [secret])
    # The mark itself may complete one that has it in it.
    assert MASK in secret or secret not in shown


def test_what_hides_one_secret_does_not_lay_open_another() -> None:
    assert masked("abcd-efgh-abcd", ["abcd", "efgh"]) == f"{MASK}-{MASK}-{MASK}"
    assert masked("token=abcd%2Fefgh", ["abcd/efgh"]) == f"token={MASK}"
