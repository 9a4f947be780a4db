"""What is in no event: secrets that a signal or a request carries, and who belongs to which group."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.core.signals import request_started, setting_changed
from django.db import connection
from django.dispatch import Signal
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from rules_engine import register_signal
from rules_engine.context.actor import in_request
from rules_engine.models import Event, Execution
from rules_engine.testing import create_rule
from tests.zoo.models import Animal, Keeper

pytestmark = pytest.mark.django_db(transaction=True)

LOG = [("log_message", {"message": "x"})]

till = Signal()
register_signal("zoo.till", till)


def signal_told() -> dict[str, Any]:
    [event] = Event.objects.all()
    everything = [list(model.objects.values()) for model in (Event, Execution)]
    assert "canary" not in str(everything)
    found: dict[str, Any] = event.context["signal"]
    return found


def test_a_requests_headers_cookies_and_query_are_in_no_event() -> None:
    create_rule(signals=["request_started"], actions=LOG)
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/pay/",
        "QUERY_STRING": "key=canary",
        "HTTP_COOKIE": "sessionid=canary",
        "HTTP_AUTHORIZATION": "Bearer canary",
    }
    request_started.send(sender=object, environ=environ)
    assert signal_told()["environ"] == {"REQUEST_METHOD": "GET", "PATH_INFO": "/pay/"}


def test_an_asgi_scopes_headers_and_query_are_in_no_event() -> None:
    create_rule(signals=["request_started"], actions=LOG)
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/pay/",
        "query_string": b"canary",
        "headers": [(b"a", b"canary")],
    }
    request_started.send(sender=object, scope=scope)
    assert signal_told()["scope"] == {"type": "http", "method": "GET", "path": "/pay/"}


def test_a_request_that_a_signal_sends_is_told_by_method_and_path() -> None:
    create_rule(signals=["zoo.till"], actions=LOG)
    request = RequestFactory().post("/pay/?key=canary", {"card": "canary"}, headers={"authorization": "canary"})
    till.send(sender=object, request=request)
    assert signal_told()["request"] == {"method": "POST", "path": "/pay/"}


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        ({"password": "canary", "amount": 5}, {"amount": 5}),
        ({"customer": {"api_token": "canary", "name": "Kim"}}, {"customer": {"name": "Kim"}}),
        ({"rows": [{"deep": {"client_secret": "canary", "n": 1}}]}, {"rows": [{"deep": {"n": 1}}]}),
    ],
)
def test_what_a_signal_calls_a_secret_is_in_no_event_however_deep(arguments: Any, kept: Any) -> None:
    create_rule(signals=["zoo.till"], actions=LOG)
    till.send(sender=object, **arguments)
    told = signal_told()
    assert {name: told[name] for name in kept} == kept
    assert not set(arguments) - set(kept) & set(told)


def test_a_secret_settings_value_is_in_no_event() -> None:
    create_rule(signals=["setting_changed"], actions=LOG)
    setting_changed.send(sender=object, setting="PAYMENT_SECRET", value="canary", enter=True)
    assert signal_told()["setting"] == "PAYMENT_SECRET"


def test_rows_that_a_signal_sends_are_neither_fetched_nor_told() -> None:
    create_rule(signals=["zoo.till"], condition={"==": [{"var": "signal.amount"}, 2]}, actions=LOG)
    Keeper.objects.create(name="k")
    with CaptureQueriesContext(connection) as captured:
        till.send(sender=object, amount=1, rows=Keeper.objects.all())
    assert [one["sql"] for one in captured.captured_queries] == []
    till.send(sender=object, amount=2, rows=Keeper.objects.all())
    assert signal_told()["rows"] == {"type": "QuerySet", "text": ""}


def test_no_rule_hears_who_joins_a_group() -> None:
    create_rule(model="accounts.user", signals=["m2m_changed"], actions=LOG)
    get_user_model().objects.create_user("u").groups.add(Group.objects.create(name="g"))
    assert not Event.objects.exists()


def test_a_nul_in_a_requests_path_loses_no_event() -> None:
    create_rule(model=Animal, actions=LOG)
    with in_request(RequestFactory().get("/a%00b")):
        Animal.objects.create(name="a")
    assert Event.objects.get().context["request"]["path"] == "/a\ufffdb"
