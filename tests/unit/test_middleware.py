"""The middleware: changes inside belong to the request, and what a rule did not allow is answered."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, override_settings

from rules_engine.context.actor import NOWHERE, Origin, origin
from rules_engine.errors import ChangeUndone, Rejected
from rules_engine.middleware import ActorMiddleware

REJECTED = Rejected("A paid order stays paid.", rule_slug="paid", field="status")


def request(**headers: str) -> HttpRequest:
    made = RequestFactory().post("/orders/", headers=headers)
    made.user = get_user_model()(pk=1, username="ada")
    return made


def answer(error: Exception, **headers: str) -> HttpResponse | None:
    return ActorMiddleware(lambda _: HttpResponse()).process_exception(request(**headers), error)


def test_inside_a_request_its_user_acts():
    seen: list[Origin] = []

    def view(_: HttpRequest) -> HttpResponse:
        seen.append(origin())
        return HttpResponse("ok")

    assert ActorMiddleware(view)(request()).status_code == 200  # type: ignore[union-attr]
    assert seen[0].actor() == {"id": 1, "username": "ada"}
    assert (seen[0].told or {})["path"] == "/orders/"
    assert origin() == NOWHERE


def test_inside_an_asynchronous_request_too():
    seen: list[Origin] = []

    async def view(_: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        seen.append(origin())
        return HttpResponse("ok")

    async def visit() -> Any:
        return await ActorMiddleware(view)(request())  # type: ignore[misc]

    assert asyncio.run(visit()).status_code == 200
    assert seen[0].actor() == {"id": 1, "username": "ada"}


def test_a_view_that_fails_leaves_nobody_behind():
    def view(_: HttpRequest) -> HttpResponse:
        raise LookupError

    with pytest.raises(LookupError):
        ActorMiddleware(view)(request())
    assert origin() == NOWHERE


def test_a_rejection_is_no_server_error_but_a_conflict():
    found = answer(REJECTED, accept="text/html")
    assert found is not None
    assert found.status_code == 409
    assert b"A paid order stays paid." in found.content


@pytest.mark.parametrize("headers", [{"accept": "application/json"}, {"accept": "*/*;q=0, application/json"}])
def test_who_wants_data_is_told_in_data(headers: dict[str, str]):
    found = answer(REJECTED, **headers)
    assert found is not None
    assert json.loads(found.content) == {
        "detail": "A paid order stays paid.",
        "errors": {"status": ["A paid order stays paid."]},
    }


def test_other_errors_go_on():
    assert answer(ValueError("x")) is None


def test_a_change_undone_is_a_fault_that_the_site_is_to_hear_of():
    assert answer(ChangeUndone("It failed.")) is None


@override_settings(RULES_ENGINE={"ANSWER_REJECTIONS": False})
def test_a_site_may_answer_rejections_itself():
    assert answer(REJECTED) is None
