"""Signals and operations in words, in English and German."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import translation

from rules_engine.admin.parts import choices, labels
from rules_engine.rules.gates import GATES


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pre_save", "before it is saved (pre_save)"),
        ("post_save", "after it is saved (post_save)"),
        ("pre_delete", "before it is deleted (pre_delete)"),
        ("post_delete", "after it is deleted (post_delete)"),
        ("m2m_changed", "after a many-to-many field of it changes (m2m_changed)"),
        ("user_logged_in", "after a user logs in (user_logged_in)"),
        ("clinic.appointment_cancelled", "An appointment was cancelled (clinic.appointment_cancelled)"),
        ("nobody.knows", "nobody.knows"),
        ("<b>", "<b>"),
        ("", ""),
    ],
)
def test_a_signal_is_told_in_words_with_its_name(name: str, words: str) -> None:
    assert labels.signal_words(name) == words


@pytest.mark.parametrize(
    ("name", "words", "german"),
    [
        ("create", "created (create)", "angelegt (create)"),
        ("update", "updated (update)", "geändert (update)"),
        ("delete", "deleted (delete)", "gelöscht (delete)"),
        ("odd", "odd", "odd"),
        ("", "", ""),
    ],
)
def test_an_operation_is_told_in_the_readers_language(name: str, words: str, german: str) -> None:
    assert labels.operation_words(name) == words
    with translation.override("de"):
        assert labels.operation_words(name) == german


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("zoo.animal", "Animal"),
        ("shop.orderitem", "Order item"),
        ("gone.model", "gone.model"),
        ("", ""),
        ("<b>", "<b>"),
    ],
)
def test_a_model_that_is_gone_keeps_its_label(label: str, title: str) -> None:
    assert labels.model_title(label) == title


@pytest.mark.parametrize("detail", ["", "odd", "<b>", "%(what)s", "a\x00b", "x" * 10_000])
def test_a_detail_about_no_gate_stays_as_it_is(detail: str) -> None:
    with translation.override("de"):
        assert labels.detail_words(detail) == detail


@pytest.mark.parametrize("gate", GATES, ids=lambda gate: gate.name)
def test_every_gates_sentence_is_told_in_german(gate: Any) -> None:
    stored = gate.sentence % {"what": "create"} if "%(what)s" in gate.sentence else gate.sentence
    assert labels.detail_words(stored) == stored.replace("create", "created")
    with translation.override("de"):
        told = labels.detail_words(stored)
    assert told != stored
    assert "%(" not in told
    assert ("angelegt" in told) is ("%(what)s" in gate.sentence)


def test_what_a_form_offers_keeps_what_is_stored_and_unknown() -> None:
    assert choices.operations(["odd"])[0] == ("odd", "odd (not known here)")
    assert choices.kinds("gone")[:2] == [("", "– choose –"), ("gone", "gone (not known here)")]
    assert choices.models("gone.model")[:2] == [
        ("", "– no model: a signal of the site, or fixed times –"),
        ("gone.model", "gone.model (not known here)"),
    ]
    assert choices.signals(["gone"])[0] == ("gone", "gone (not known here)")


@pytest.mark.parametrize("stored", ["", "shop.order"])
def test_what_is_known_is_offered_once(stored: str) -> None:
    offered = [key for _, group in choices.models(stored) if isinstance(group, list) for key, _ in group]
    assert offered.count("shop.order") == 1
    assert "rules_engine.rule" not in offered
    assert "sessions.session" not in offered


def test_models_stand_below_their_app_in_the_order_of_names() -> None:
    groups = [(name, group) for name, group in choices.models() if isinstance(group, list)]
    assert [name for name, _ in groups] == sorted((name for name, _ in groups), key=str.lower)
    assert all(group == sorted(group) for _, group in groups)
    assert ("shop.order", "Order (shop.order)") in dict(groups)["Shop"]


def test_signals_of_models_come_first_and_those_of_the_site_last() -> None:
    titles = [title for title, _ in choices.signals()]
    assert titles == ["Of the model", "Of this project", "Of the site"]
    assert [name for name, _ in choices.signals()[0][1]] == [
        "pre_save",
        "post_save",
        "pre_delete",
        "post_delete",
        "m2m_changed",
    ]


def test_what_signals_send_is_told_argument_by_argument() -> None:
    told = choices.what_signals_send()
    assert "<summary>What each signal sends</summary>" in told
    assert "<code>signal.reason</code>: Why, as text" in told
    assert "pre_save" not in told
    with translation.override("de"):
        assert "What each signal sends" not in choices.what_signals_send()
