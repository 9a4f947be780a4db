"""Tells the engine which request, and so which user, a change belongs to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from rules_engine.events.actor import in_request

Response = HttpResponseBase | Awaitable[HttpResponseBase]


class ActorMiddleware:
    """Put it after ``AuthenticationMiddleware``. Costs nothing until a rule asks who acted: the user is read then."""

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
        with in_request(request):
            return self.get_response(request)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        with in_request(request):
            answer = self.get_response(request)
            if not isinstance(answer, HttpResponseBase):
                answer = await answer
            return answer
