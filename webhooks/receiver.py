"""The other side: how a Django project checks the webhooks that it receives.

The contract of a sender that follows Standard Webhooks: a delivery comes at least once and in no fixed order, each
repetition with the same ``webhook-id``; a receiver keeps the ids it has handled, answers 2xx within seconds, and does
the work afterwards. ::

    @webhook(settings.HOOK_SECRETS)
    def hook(request):
        Message.objects.create(content=json.loads(request.body))
        return HttpResponse(status=204)

``verify`` is the check alone, for other frameworks.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.cache import caches
from django.core.exceptions import RequestDataTooBig
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from webhooks.errors import InvalidSignature
from webhooks.signing.signatures import fits, signed_content

logger = logging.getLogger("webhooks")

TOLERANCE_SECONDS = 300.0
#: Bytes of a body; what our own sender sends has no more.
MOST_BYTES = 256 * 1024
#: Seconds that a handled id is remembered: as long as our own sender tries again by its default schedule.
REMEMBER_SECONDS = 4 * 24 * 3600.0
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
#: What the cache says of an id.
RUNNING, HANDLED = "running", "handled"

View = Callable[..., Any]
#: The secrets that are valid: one, several, or a function of the request that gives them.
Secrets = str | Iterable[str] | Callable[[HttpRequest], Any]
#: Signatures of one delivery that are looked at; a rotation has two.
MOST_SIGNATURES = 16


def verify(
    body: bytes, headers: Mapping[str, str], secrets: Iterable[str], tolerance: float = TOLERANCE_SECONDS
) -> None:
    """Return when ``body`` and its headers were signed with one of ``secrets``, lately.

    ``body`` is the raw request body, before any parsing; header names may be in any case; a secret is ``whsec_…``, or
    ``whpk_…`` for ed25519; ``tolerance`` is the greatest difference between the sender's clock and ours, in seconds.
    Raises ``InvalidSignature``, whose text is for logs, and ``InvalidSecret`` for a secret of ours that is malformed.
    """
    _fitting(body, headers, secrets, tolerance)


def _fitting(body: bytes, headers: Mapping[str, str], secrets: Iterable[str], tolerance: float) -> str:
    """Find the secret it was signed with; during a rotation the last one that fits, which is the one it had before."""
    lowered = {name.lower(): value for name, value in headers.items()}
    for name in HEADERS:
        if name not in lowered:
            raise InvalidSignature(f"The header {name} is missing.")
        if not _is_text(lowered[name]):
            raise InvalidSignature(f"The header {name} holds bytes that are no text.")
    message_id, timestamp, signatures = (lowered[name] for name in HEADERS)
    _check_age(timestamp, tolerance)
    # A bounded number: each costs a calculation, and whoever knocks may send as many as a header holds.
    offered = signatures.split()[:MOST_SIGNATURES]
    # Every pair is compared, so that the time taken says nothing about which one fitted.
    pairs = [(secret, signature) for secret in secrets for signature in offered]
    content = signed_content(message_id, timestamp, body)
    checked = [(secret, fits(secret, signature, content)) for secret, signature in pairs]
    fitting = [secret for secret, is_fitting in checked if is_fitting]
    if not fitting:
        raise InvalidSignature("None of the signatures was made with a secret that is valid here.")
    return fitting[-1]


def _is_text(value: str) -> bool:
    # Some servers hand over bytes that are no UTF-8 as lone surrogates, which no encoding knows.
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_age(timestamp: str, tolerance: float) -> None:
    # The length bound keeps int() cheap; ten digits last until the year 2286.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise InvalidSignature("The header webhook-timestamp is not a whole number of seconds.")
    age = time.time() - int(timestamp)
    if abs(age) > tolerance:
        side = "old" if age > 0 else "in the future"
        raise InvalidSignature(f"The timestamp is {abs(age):.0f} seconds {side}; at most {tolerance:g} are accepted.")


def webhook(
    secrets: Secrets,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    most_bytes: int = MOST_BYTES,
    remember: float = REMEMBER_SECONDS,
    cache: str = "default",
) -> Callable[[View], View]:
    """Decorate a view: only what was signed with one of ``secrets`` gets through, and each ``webhook-id`` once.

    ``secrets`` may be a function of the request, for senders that are known by their path. The view is exempt from
    CSRF, may be asynchronous, and reads ``request.body``. The answers that it does not give itself:

    - 405 to anything but POST, 411 without a Content-Length, 413 to more than ``most_bytes``;
    - 400 where a header of Standard Webhooks is missing, 401 where no signature fits or the timestamp is more than
      ``tolerance`` seconds from now. Why goes to the log ``webhooks``, and never to the sender;
    - 200 to an id that was handled within ``remember`` seconds, without asking the view; 409 while it is being handled.

    Ids are told apart by view and secret, whatever path leads there, so that a delivery is taken once and no sender can
    use up another's. Views that a function makes, and objects, have no name of their own: their route counts, too. An
    id counts as handled once the view has answered with less than 400 and, with ATOMIC_REQUESTS, its transaction is
    committed; after an error the sender may come again.
    Ids are kept in Django's cache of that name. It must be shared by all processes: with a local one, or after it was
    emptied, a repetition may reach the view, and while it is out of order requests end with 500 and come again.
    Where handling twice would do harm, ``remember=0`` and a unique column for ``webhook-id`` of your own are better.
    """

    # A generator would be empty at the second request.
    valid = tuple(secrets) if isinstance(secrets, Iterator) else secrets

    def decorate(view: View) -> View:
        guard = _Guard(valid, tolerance, most_bytes, remember, cache, *_named(view))
        # Not the one of inspect: before Python 3.12 it does not know asynchronous classes.
        if iscoroutinefunction(view):

            @wraps(view)
            async def answer_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                secrets_now = guard.secrets_of(request)
                if inspect.isawaitable(secrets_now):
                    secrets_now = await secrets_now
                entry = guard.entry(request, secrets_now)
                if not isinstance(entry, str):
                    return entry
                return await guard.once_async(entry, lambda: view(request, *args, **kwargs))

            return csrf_exempt(answer_async)

        @wraps(view)
        def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            entry = guard.entry(request, guard.secrets_of(request))
            if not isinstance(entry, str):
                return entry
            return guard.once(entry, lambda: view(request, *args, **kwargs))

        return csrf_exempt(answer)

    return decorate


def _named(view: Any) -> tuple[str, bool]:
    """Name a view, and tell whether others may have that name."""
    # All classes' views have one name, and objects have none.
    named = getattr(view, "view_class", view)
    is_object = not hasattr(named, "__qualname__")
    if is_object:
        named = type(named)
    return f"{named.__module__}.{named.__qualname__}", is_object or "<" in named.__qualname__


def _route(request: HttpRequest) -> str:
    """Tell which pattern led to the view: not the path, which somebody who repeats a request may spell otherwise."""
    match = request.resolver_match
    return match.route if match else request.path


@dataclass(frozen=True, slots=True)
class _Guard:
    """What stands before one view."""

    secrets: Secrets = field(repr=False)
    tolerance: float
    most_bytes: int
    remember: float
    cache: str
    view: str
    is_shared_name: bool

    def secrets_of(self, request: HttpRequest) -> Any:
        return self.secrets(request) if callable(self.secrets) else self.secrets

    def entry(self, request: HttpRequest, secrets: str | Iterable[str]) -> HttpResponseBase | str:
        """Give the answer to a request that does not get through; for one that does, what it is remembered by."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        length = request.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return _said(411, "A Content-Length is needed.")
        try:
            if int(length[:20]) > self.most_bytes or len(request.body) > self.most_bytes:
                return _said(413, "The body is too large.")
        except RequestDataTooBig:
            return _said(413, "The body is too large.")
        if not all(request.headers.get(name) for name in HEADERS):
            return _said(400, "The headers webhook-id, webhook-timestamp and webhook-signature are needed.")
        try:
            valid = [secrets] if isinstance(secrets, str) else secrets
            secret = _fitting(request.body, request.headers, valid, self.tolerance)
        except InvalidSignature as error:
            logger.warning("A webhook to %s was refused: %s", self.view, error)
            return _said(401, "The signature or the timestamp was not accepted.")
        place = _route(request) if self.is_shared_name else ""
        name = json.dumps([self.view, place, secret, request.headers["webhook-id"]])
        return f"webhooks.receiver:{hashlib.sha256(name.encode()).hexdigest()}"

    def once(self, key: str, view: Callable[[], Any]) -> Any:
        if not self.remember:
            return view()
        cache, answer = caches[self.cache], None
        if not cache.add(key, RUNNING, self.tolerance):
            return _known(cache.get(key))
        try:
            answer = view()
        finally:
            if _took(answer):
                # With ATOMIC_REQUESTS the view's work is not committed yet; what is rolled back was not handled.
                transaction.on_commit(lambda: cache.set(key, HANDLED, self.remember))
            else:
                cache.delete(key)
        return answer

    async def once_async(self, key: str, view: Callable[[], Any]) -> Any:
        if not self.remember:
            return await view()
        cache, answer = caches[self.cache], None
        if not await cache.aadd(key, RUNNING, self.tolerance):
            return _known(await cache.aget(key))
        try:
            answer = await view()
        finally:
            if _took(answer):
                await cache.aset(key, HANDLED, self.remember)
            else:
                await cache.adelete(key)
        return answer


def _took(answer: Any) -> bool:
    return getattr(answer, "status_code", 500) < 400


def _known(state: Any) -> HttpResponse:
    if state == HANDLED:
        return _said(200, "This webhook-id was handled before.")
    # Gone by now or still there: whoever comes again finds out.
    return _said(409, "This webhook-id is being handled.")


def _said(status: int, text: str) -> HttpResponse:
    return HttpResponse(text, status=status, content_type="text/plain; charset=utf-8")
