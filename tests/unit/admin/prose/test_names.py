"""What things are called within a sentence: English articles by sound, owners, and German nouns with a capital."""

from __future__ import annotations

import pytest
from django.utils import translation

from rules_engine.admin.prose.names import Names, count_and_unit, one_of_model, owned, span, takes_an


@pytest.mark.parametrize(
    ("name", "article"),
    [
        ("order", "an"), ("hour", "an"), ("honest claim", "an"), ("SMS", "an"), ("MRI scan", "an"), ("invoice", "an"),
        ("unit", "a"), ("user", "a"), ("URL", "a"), ("one-time code", "a"), ("European office", "a"), ("status", "a"),
        ("unnamed part", "an"), ("uninvited guest", "an"), ("house", "a"), ("heir", "an"), ("utility", "a"),
        ("usage", "a"), ("Update", "an"), ("ewe", "a"), ("year", "a"), ("8-bit", "a"), ("", "a"),
    ],
)  # fmt: skip
def test_the_english_article_goes_by_the_sound(name: str, article: str) -> None:
    assert ("an" if takes_an(name) else "a") == article


def test_a_model_is_told_with_its_article() -> None:
    assert one_of_model("shop.order") == "an order"
    assert one_of_model("accounts.user") == "a user"
    assert one_of_model("gone.model") == "a gone.model"
    with translation.override("de"):
        assert one_of_model("shop.order") == "ein Objekt „Order“"


def test_fields_belong_to_each_other() -> None:
    assert owned(["customer", "address", "city"]) == "customer’s address’ city"
    names = Names.of("shop.order")
    assert names("instance.customer.email") == "customer’s email address"
    assert names.own("instance.customer.email") == "its customer’s email address"
    assert names("old.status") == names("changes.status.old") == "status before"
    assert names("changes.status.new") == "status"
    assert names("signal.user.username") == "user’s username"


@pytest.mark.parametrize(
    ("seconds", "unit", "words"),
    [(1, "second", "1 second"), (60, "minute", "1 minute"), (90, "second", "90 seconds"), (7200, "hour", "2 hours"),
     (86400, "day", "1 day")],
)  # fmt: skip
def test_a_span_is_told_in_its_largest_unit(seconds: int, unit: str, words: str) -> None:
    assert count_and_unit(seconds)[1] == unit
    assert span(seconds) == words
