"""The words of a search, and whom a word means."""

from __future__ import annotations

import uuid

import pytest

from rules_engine.admin.parts.searching import fields_named, labels_like, of_events_about, uuid_of, words_of

ID = uuid.UUID("0b9c3f1e-6a55-4a8e-9a59-3d8f6f1f6d10")


@pytest.mark.parametrize(
    ("term", "words"),
    [
        ("", []),
        ("   ", []),
        ("one", ["one"]),
        ("one  two", ["one", "two"]),
        ('"one two" three', ["one two", "three"]),
        ("'one two'", ["one two"]),
        ('""', []),
        ("'' a", ["a"]),
        ('"', ['"']),
        ('a"b', ['a"b']),
        ('"a\\"b"', ['a"b']),
        ("it's", ["it's"]),
        ("%_\\", ["%_\\"]),
        ("<b> \u202ex", ["<b>", "\u202ex"]),
        ("a\tb\nc", ["a", "b", "c"]),
    ],
)
def test_a_search_is_split_into_words(term: str, words: list[str]) -> None:
    assert list(words_of(term)) == words


def test_a_very_long_search_is_split_too() -> None:
    assert len(list(words_of("a " * 5_000))) == 5_000
    assert list(words_of("a" * 50_000)) == ["a" * 50_000]


@pytest.mark.parametrize("word", [str(ID), ID.hex, str(ID).upper(), f"{{{ID}}}", f"urn:uuid:{ID}"])
def test_an_id_is_known_however_it_is_written(word: str) -> None:
    assert uuid_of(word) == ID
    assert dict(of_events_about(word).children)["event"] == ID


@pytest.mark.parametrize("word", ["", "1", str(ID)[:-1], str(ID) + "0", "x" * 32, "\x00", "ü" * 32])
def test_what_is_no_id_is_none(word: str) -> None:
    assert uuid_of(word) is None


@pytest.mark.parametrize(
    ("word", "labels"),
    [
        ("zoo.animal", ["zoo.animal"]),
        ("ZOO.Animal", ["zoo.animal"]),
        ("order", ["shop.order", "shop.orderitem", "order"]),
        ("Order item", ["shop.orderitem", "order item"]),
        ("categories", ["shop.category", "categories"]),
        ("gone.model", ["gone.model"]),
        ("<b>", ["<b>"]),
    ],
)
def test_a_word_means_the_models_it_is_found_in(word: str, labels: list[str]) -> None:
    assert labels_like(word) == labels


@pytest.mark.parametrize(
    ("word", "names"),
    [
        ("Order number", ["Order number", "order_number"]),
        ("ORDER NUMBER", ["ORDER NUMBER", "order_number"]),
        ("order_number", ["order_number"]),
        ("nothing like it", ["nothing like it"]),
        ("", [""]),
    ],
)
def test_a_word_means_the_field_that_people_call_so(word: str, names: list[str]) -> None:
    assert fields_named(word)[: len(names)] == names
