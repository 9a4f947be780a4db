"""A rule as one sentence, in English and German."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.utils import translation

from rules_engine.admin.reading.sentence import sentence
from rules_engine.models import Rule, RuleAction
from rules_engine.types import ActionSpec, RuleSpec

MAIL = ActionSpec("send_email", {"to": ["me@example.com"], "subject": "Paid", "body": "x"})
CALL = ActionSpec("webhook", {"endpoint": "our-chat"}, position=1)
WALK = RuleSpec(
    "paid",
    model="shop.order",
    signals=("post_save",),
    operations=("update",),
    changes=({"field": "status", "to": "paid"},),
    condition={">": [{"var": "instance.total"}, 100]},
    throttle_count=1,
    throttle_seconds=3600,
    throttle_by="{{ instance.customer_id }}",
    actions=(MAIL, CALL),
)


@pytest.mark.django_db
def test_a_whole_rule_is_one_sentence() -> None:
    assert str(sentence(WALK)) == (
        "When an order is updated and its status becomes Paid, only if total is more than 100, at most once an hour "
        "per customer: send an email to me@example.com, then call our-chat."
    )
    with translation.override("de"):
        assert str(sentence(WALK)) == (
            "Wenn ein Objekt „Order“ geändert wird und Status auf Paid wechselt, nur wenn Total größer als 100 ist, "
            "höchstens einmal pro Stunde je Customer: eine E-Mail an me@example.com senden, dann our-chat aufrufen."
        )


def test_what_is_missing_is_a_gap() -> None:
    told = sentence(Rule(), [])
    assert str(told) == "When … happens: do …."
    assert told.has_gaps
    assert told.html.count('class="rules-gap"') == 2
    assert "(to be filled in)" in told.html
    with translation.override("de"):
        assert str(sentence(Rule(), [])) == "Wenn … geschieht: … tun."


def test_a_draft_is_told_with_the_actions_of_its_form() -> None:
    draft = Rule(model="shop.order", signals=["post_delete"])
    told = sentence(
        draft, [RuleAction(kind="send_email", config={}), RuleAction(kind=""), RuleAction(kind="log_message")]
    )
    assert str(told) == "When an order is deleted: send an email to …, then do …, then log …."


def test_what_a_rule_says_is_shown_and_never_obeyed() -> None:
    told = sentence(replace(WALK, condition={"==": [{"var": "instance.order_number"}, "<b>%s\x00</b>"]}))
    assert "“<b>%s </b>”" in str(told)
    assert "&lt;b&gt;" in told.html
    assert "<b>" not in told.html
    assert not told.has_gaps


def test_what_has_no_words_is_code() -> None:
    told = sentence(replace(WALK, condition={"<": [{"+": [{"var": "instance.total"}, 1]}, 9]}))
    assert '<code dir="auto">' in told.html
    assert "instance.total" in str(told.when)


def test_shadow_and_the_end_of_later_rules_are_sentences_of_their_own() -> None:
    told = sentence(replace(WALK, shadow=True, stop_processing=True))
    assert str(told).endswith("call our-chat. Later rules are then not tried. It only records what it would do.")


def test_many_actions_and_long_conditions_are_cut() -> None:
    many = replace(WALK, actions=(MAIL,) * 50)
    assert str(sentence(many)).endswith("then 42 more actions.")
    total = {"var": "instance.total"}
    wide = replace(WALK, condition={"and": [{">": [total, number]} for number in range(60)]})
    assert "total is more than 7 and 52 more conditions, at most once" in str(sentence(wide))


def test_a_rule_on_time_begins_with_its_time() -> None:
    timed = replace(WALK, signals=(), operations=(), changes=(), actions=(MAIL,))
    before = {"kind": "date", "path": "instance.status_changed_at", "count": 2, "unit": "weeks", "direction": "after"}
    assert str(sentence(replace(timed, schedule={**before, "late": "skip"}))) == (
        "2 weeks after “status changed at” of an order, only if total is more than 100, at most once an hour per "
        "customer: send an email to me@example.com. It leaves out what fell due while no worker ran."
    )
    every = {"kind": "every", "each": "weekday", "at": "08:00", "of": "rows"}
    assert str(sentence(replace(timed, schedule=every)).when) == (
        "Every weekday at 8:00, once for all orders where total is more than 100, at most once an hour per customer"
    )
    for odd in ({}, {"kind": "no"}, "x", [1]):
        assert sentence(replace(timed, schedule=odd)).whole
