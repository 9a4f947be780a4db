"""Where changes come from: who acts, in which request, for which execution."""

from __future__ import annotations

from threading import Thread
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.test import RequestFactory

from rules_engine.context.actor import NOWHERE, Cause, Origin, acting_as, caused_by, in_request, loading, origin, paused

ADA = get_user_model()(pk=1, username="ada")
EVE = get_user_model()(pk=2, username="eve")


def request_of(user: Any) -> Any:
    request = RequestFactory().post("/orders/")
    request.user = user
    return request


def test_outside_of_everything_it_is_nobody_nowhere():
    assert origin() == NOWHERE
    assert origin().actor() is None


def test_what_is_said_holds_inside_and_no_longer():
    with acting_as(ADA), paused(), loading():
        assert (origin().user, origin().is_paused, origin().is_loading) == (ADA, True, True)
    assert origin() == NOWHERE


def test_it_ends_also_where_the_code_inside_fails():
    with pytest.raises(LookupError), acting_as(ADA):
        raise LookupError
    assert origin() == NOWHERE


def test_what_is_said_inside_leaves_the_rest_as_it_was():
    cause = Cause(UUID(int=1), 0, "rule")
    with acting_as(ADA), caused_by(cause), paused():
        assert origin() == Origin(user=ADA, cause=cause, is_paused=True)


def test_a_request_says_who_acts():
    with in_request(request_of(ADA)):
        assert origin().actor() == {"id": 1, "username": "ada"}
        assert {"method": "POST", "path": "/orders/"}.items() <= (origin().told or {}).items()


def test_whom_the_code_names_goes_before_the_requests_user():
    with in_request(request_of(ADA)), acting_as(EVE):
        assert origin().actor() == {"id": 2, "username": "eve"}


def test_a_visitor_is_nobody():
    with in_request(request_of(AnonymousUser())):
        assert origin().actor() is None


def test_a_request_before_its_user_is_known_is_nobodys():
    with in_request(RequestFactory().get("/")):
        assert origin().actor() is None


def test_another_thread_knows_nothing_of_it():
    seen = []
    with acting_as(ADA):
        thread = Thread(target=lambda: seen.append(origin()))
        thread.start()
        thread.join()
    assert seen == [NOWHERE]
