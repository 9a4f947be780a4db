"""Signals that are not of models, and what is known of the request and of who acts from them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth import signals as auth
from django.core import signals as core
from django.dispatch import Signal
from django.test import RequestFactory

from rules_engine.capture.other_signals import is_in_event_loop, origin_of, sent_to
from rules_engine.context.actor import NOWHERE, acting_as, in_request, origin
from rules_engine.rules.matching import CompiledRule
from tests.unit.compiled import NOTE, compiled
from tests.zoo.models import Animal, Dog, Keeper

NOW = datetime(2026, 5, 6, tzinfo=UTC)
FED = Signal()
ADA, EVE = get_user_model()(pk=1, username="ada"), get_user_model()(pk=2, username="eve")


def rule(slug: str, model: str = "") -> CompiledRule:
    return compiled(slug, NOTE, model=model, signals=("zoo.fed",))


def readings(told: Mapping[str, Any], **sent: Any) -> list[tuple[str, str, list[str]]]:
    """The names, the models, and the rules of what was read."""
    read = sent_to(told, FED, None, sent, NOW)
    return [(subject.signal, subject.model, [rule.slug for rule in rules]) for subject, rules in read]


def test_rules_without_a_model_are_told_the_arguments_alone():
    [(subject, _)] = sent_to({"zoo.fed": [rule("a")]}, FED, None, {"portions": 3}, NOW)
    assert (subject.arguments, subject.instance, subject.occurred_at) == ({"portions": 3}, None, NOW)


def test_rules_of_a_model_are_told_of_its_object():
    animal = Animal(pk=5, name="Rex")
    [(subject, _)] = sent_to({"zoo.fed": [rule("a", "zoo.animal")]}, FED, None, {"instance": animal}, NOW)
    assert (subject.instance, subject.knows_changes) == (animal, False)
    assert subject.arguments == {"instance": {"model": "zoo.animal", "pk": 5}}


def test_those_with_and_those_without_a_model_hear_an_event_each():
    told = {"zoo.fed": [rule("a"), rule("b", "zoo.animal")]}
    assert readings(told, instance=Animal(pk=5)) == [("zoo.fed", "", ["a"]), ("zoo.fed", "zoo.animal", ["b"])]


def test_a_rule_of_a_model_hears_what_inherits_it_and_nothing_else():
    told = {"zoo.fed": [rule("b", "zoo.animal")]}
    assert readings(told, instance=Dog(pk=5)) == [("zoo.fed", "zoo.dog", ["b"])]
    assert readings(told, instance=Keeper(pk=5)) == []
    assert readings(told, instance="no object") == []
    assert readings(told) == []


def test_each_name_of_a_signal_is_told():
    assert [name for name, _, _ in readings({"a": [rule("x")], "b": [rule("y")]})] == ["a", "b"]


def test_where_async_code_sends_the_database_may_not_be_used(monkeypatch: pytest.MonkeyPatch):
    async def sending() -> bool:
        return is_in_event_loop()

    assert not is_in_event_loop()
    assert asyncio.run(sending())
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    assert not asyncio.run(sending())


def test_a_request_that_a_signal_sends_is_where_it_comes_from():
    with origin_of(FED, {"request": RequestFactory().get("/fed/")}, "default"):
        assert (origin().told or {})["path"] == "/fed/"
    assert origin() == NOWHERE


def test_the_middlewares_request_goes_before_the_signals():
    request = RequestFactory().get("/fed/")
    with in_request(RequestFactory().get("/outer/")), origin_of(FED, {"request": request}, "default"):
        assert (origin().told or {})["path"] == "/outer/"


def test_whoever_logs_in_acts():
    with origin_of(auth.user_logged_in, {"user": ADA}, "default"):
        assert (origin().actor() or {})["username"] == "ada"


def test_whoever_logs_somebody_in_acts_and_not_that_one():
    with acting_as(EVE), origin_of(auth.user_logged_in, {"user": ADA}, "default"):
        assert (origin().actor() or {})["username"] == "eve"


def test_a_request_that_begins_is_told_by_what_its_server_says():
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "/zoo", "PATH_INFO": "/fed/"}
    with origin_of(core.request_started, {"environ": environ}, "default"):
        assert {"method": "GET", "path": "/zoo/fed/"}.items() <= (origin().told or {}).items()
