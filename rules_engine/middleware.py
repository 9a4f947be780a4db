"""Tells the engine which request, and so which user, a change belongs to; and that user, what a rule did not allow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from rules_engine.capture import rejections
from rules_engine.context import requests
from rules_engine.context.actor import during

Response = HttpResponseBase | Awaitable[HttpResponseBase]


class ActorMiddleware:
    """Costs nothing until a rule asks who acted: the user is read then. So it may stand anywhere in ``MIDDLEWARE``.

    First, it knows every request; further down, those that no middleware before it has answered.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Response]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Response:
        if self.is_async:
            return self._answer_async(request)
        told = requests.describe(request)
        visit = requests.until_finished(request, told)
        with during(request, told):
            answer = self.get_response(request)
            _note(answer, visit)
            return answer

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Return what a rule does not allow is told to whoever wanted it, and is no server error."""
        return rejections.answer(request, exception)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        told = requests.describe(request)
        visit = requests.until_finished(request, told)
        with during(request, told):
            answer = self.get_response(request)
            if not isinstance(answer, HttpResponseBase):
                answer = await answer
            _note(answer, visit)
            return answer


def _note(answer: Response, visit: requests.Visit | None) -> None:
    if visit is not None and isinstance(answer, HttpResponseBase):
        visit.told["status"] = answer.status_code
