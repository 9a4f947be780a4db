"""A limit that was used up, in words: how often, by what, when there is room again, and whom it is counted for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone, translation

from rules_engine.admin.why.limits import limit_words, next_words, often_words, use_link, used_words
from rules_engine.admin.why.names import counted_model, key_name, object_name
from rules_engine.models import Rule
from rules_engine.test.limits import LimitUse, Use

AT = datetime(2031, 5, 6, 10, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _in_english_at_utc() -> Iterator[None]:
    with timezone.override(UTC), translation.override("en"):
        yield


def rule(by: str = "", model: str = "shop.order") -> Rule:
    return Rule(slug="r", model=model, throttle_by=by)


def uses(count: int) -> list[Use]:
    """So many uses, the newest first, of orders that are numbered from 1."""
    return [Use(f"m{n}", AT - timedelta(hours=n), "shop.order", str(n)) for n in range(1, count + 1)]


def limit(throttle: Any = (1, 3600), count: int = 0, **facts: Any) -> LimitUse:
    return LimitUse(throttle, facts.pop("key", ""), uses(count), **facts)


def order_of(use: Use) -> str:
    return f"order {use.object_pk}"


@pytest.mark.parametrize(
    ("throttle", "by", "said"),
    [
        ((1, 3600), "", "at most once an hour"),
        ((1, 3600), "{{ instance.customer_id }}", "at most once an hour per customer"),
        ((5, 86_400), "{{ actor.id }}", "at most 5 times a day per actor.id"),
        (None, "", "once for each object"),
    ],
)
def test_a_limit_is_said_as_the_rules_own_sentence_says_it(throttle: Any, by: str, said: str) -> None:
    assert limit_words(limit(throttle), rule(by)) == said


def test_of_a_rule_that_is_gone_the_numbers_are_left() -> None:
    assert limit_words(limit((3, 60)), None) == often_words(3, 60) == "at most 3 times a minute"


@pytest.mark.parametrize(
    ("throttle", "count", "said"),
    [
        ((1, 3600), 0, ""),
        ((1, 3600), 1, "It acted for order 1 at May 6, 2031, 9:30 a.m."),
        # More than the limit allows are no others: they are of before it was lowered.
        ((1, 3600), 2, "It acted for order 1 at May 6, 2031, 9:30 a.m."),
        (
            (2, 3600),
            2,
            "It acted for order 1 at May 6, 2031, 9:30 a.m. Before that: order 2 (May 6, 2031, 8:30 a.m.)",
        ),
        (None, 1, "It acted for order 1 at May 6, 2031, 9:30 a.m."),
    ],
)
def test_who_used_it_up_is_said_the_last_first(throttle: Any, count: int, said: str) -> None:
    assert used_words(limit(throttle, count), order_of) == said


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (limit(None), "unless “once per object” is taken off the rule."),
        (limit(next_at=None), "There is room for it again now."),
        (limit(next_at=AT), "It can act again at May 6, 2031, 10:30 a.m."),
    ],
)
def test_it_is_said_when_there_is_room_again(of: LimitUse, said: str) -> None:
    assert next_words(of).endswith(said)


def test_the_match_that_used_it_up_is_led_to() -> None:
    assert use_link(limit()) is None
    link = use_link(limit(count=2))
    assert link is not None
    assert "/m1/" in link.url


# Whom a limit is counted for


def user() -> str:
    return str(get_user_model()._meta.label_lower)


@pytest.mark.parametrize(
    ("by", "counted"),
    [
        ("", ""),
        ("{{ actor.id }}", "user"),
        ("{{ instance.pk }}", "shop.order"),
        ("{{instance.id}}", "shop.order"),
        ("{{ instance.customer }}", "user"),
        ("{{ instance.customer_id }}", "user"),
        ("{{ instance.customer.pk }}", "user"),
        ("{{ instance.customer.email }}", ""),
        ("{{ instance.status }}", ""),
        ("{{ instance.items }}", ""),
        ("{{ instance.nothing }}", ""),
        ("{{ instance.customer }}-{{ instance.pk }}", ""),
        ("{{ old.customer }}", ""),
        ("everybody", ""),
    ],
)
def test_it_is_known_of_which_model_a_limit_counts_the_objects(by: str, counted: str) -> None:
    assert counted_model(rule(by)) == (user() if counted == "user" else counted)


@pytest.mark.parametrize("model", ["", "gone.model"])
def test_of_a_model_that_is_not_there_no_object_is_counted(model: str) -> None:
    assert counted_model(rule("{{ instance.pk }}", model)) == ""


def test_an_object_goes_by_its_name_or_by_its_model_and_key() -> None:
    names = {("shop.order", "7"): "2031-0007"}
    assert object_name(names, "shop.order", "7") == "2031-0007"
    assert object_name(names, "shop.order", "8") == "Order 8"
    assert object_name(names, "gone.model", "8") == "gone.model 8"


@pytest.mark.parametrize(
    ("by", "key", "said"),
    [
        ("{{ instance.pk }}", "7", "2031-0007"),
        ("{{ instance.pk }}", "8", "Order 8"),
        ("{{ instance.status }}", "paid", "“paid”"),
        ("{{ instance.status }}", "", ""),
    ],
)
def test_a_key_is_called_as_people_call_it(by: str, key: str, said: str) -> None:
    assert key_name({("shop.order", "7"): "2031-0007"}, rule(by), key) == said
