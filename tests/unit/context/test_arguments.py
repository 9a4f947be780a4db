"""What a signal sends, as data: bounded, and without secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth import signals as auth
from django.core import signals as core
from django.db import models
from django.db.backends.signals import connection_created
from django.dispatch import Signal
from django.http import HttpResponse
from django.template import Context, Template
from django.test import RequestFactory

from rules_engine.context.arguments import ROOM, arguments
from rules_engine.context.snapshot import CUT
from tests.zoo.models import Animal, Keeper

OWN = Signal()


def told(signal: Any = OWN, **sent: Any) -> dict[str, Any]:
    found = arguments(signal, None, sent)
    json.dumps(found)
    return found


def test_plain_values_come_as_they_are():
    assert told(total=3, paid=True, names=["a", "b"], more={"x": None}) == {
        "total": 3,
        "paid": True,
        "names": ["a", "b"],
        "more": {"x": None},
    }


def test_what_is_named_like_a_secret_is_left_out_at_any_depth():
    assert told(password="x", order={"id": 3, "card": [{"api_token": "x", "last": 4}]}) == {
        "order": {"id": 3, "card": [{"last": 4}]}
    }


def test_an_object_is_told_by_its_model_and_key():
    assert told(animal=Animal(pk=5)) == {"animal": {"model": "zoo.animal", "pk": 5}}


@pytest.mark.parametrize("path", [("signal",), ("signal", "animal"), ("signal", "animal", "text")])
def test_an_object_is_printed_for_whoever_asks(path: tuple[str, ...]):
    found = arguments(OWN, None, {"animal": Animal(pk=5)}, [path])
    assert found["animal"]["text"] == "Animal object (5)"


def test_a_user_is_told_by_name_and_without_anything_secret():
    user = get_user_model()(pk=1, username="ada", password="hash")
    assert told(user=user)["user"] == {"model": get_user_model()._meta.label_lower, "pk": 1, "username": "ada"}


def test_a_request_is_told_by_its_method_and_path():
    request = RequestFactory().post("/pay/?token=1", {"card": "4711"}, headers={"cookie": "sessionid=1"})
    assert told(request=request) == {"request": {"method": "POST", "path": "/pay/"}}
    assert told(seen=[request])["seen"] == [{"method": "POST", "path": "/pay/"}]


def test_of_a_servers_environment_only_what_names_the_request_is_told():
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "HTTP_COOKIE": "sessionid=1", "QUERY_STRING": "token=1"}
    assert told(core.request_started, environ=environ) == {"environ": {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}}


@pytest.mark.parametrize("value", [Animal.objects.all(), Animal.objects, Context({"a": 1}), HttpResponse("body")])
def test_what_would_query_or_tell_too_much_is_told_by_its_type(value: Any):
    assert told(value=value)["value"] == {"type": type(value).__qualname__, "text": ""}


def test_a_template_is_told_by_its_name():
    assert told(template=Template("hello", name="shop/paid.txt")) == {"template": "shop/paid.txt"}


class Card:
    def __str__(self) -> str:
        return "Card(number=4711, token=abc)"


def test_what_prints_its_own_secrets_is_masked():
    assert told(card=Card())["card"] == {"type": "Card", "text": "Card(number=4711, token=[hidden])"}


def test_a_list_that_holds_itself_comes_to_an_end():
    endless: list[Any] = []
    endless.append(endless)
    assert told(endless=endless)


def test_very_many_values_are_cut_off():
    wide = {str(n): list(range(500)) for n in range(ROOM // 400)}
    assert CUT in json.dumps(told(wide=wide), ensure_ascii=False)


def test_a_setting_that_is_a_secret_is_told_without_its_value():
    assert told(core.setting_changed, setting="API_TOKEN", value="x", enter=True) == {
        "setting": "API_TOKEN",
        "enter": True,
    }
    assert told(core.setting_changed, setting="DEBUG", value=True, enter=True)["value"] is True


def test_a_failed_login_tells_the_name_that_was_tried_and_nothing_else():
    sent = {"credentials": {"username": "ada", "password": "hunter2", "otp": "123"}, "request": None}
    assert told(auth.user_login_failed, **sent) == {"credentials": {"username": "ada"}, "request": None}
    assert told(auth.user_login_failed, credentials="odd")["credentials"] == {"username": None}


def test_who_logged_out_may_be_nobody():
    assert told(auth.user_logged_out, user=None)["user"] is None


def test_a_connection_is_told_by_alias_and_vendor():
    class Connection:
        alias, vendor, password = "default", "postgresql", "hunter2"

    assert told(connection_created, connection=Connection()) == {
        "connection": {"alias": "default", "vendor": "postgresql"}
    }


def test_a_class_is_told_by_its_label():
    assert arguments(models.signals.class_prepared, Keeper, {}) == {"model": "zoo.keeper"}
