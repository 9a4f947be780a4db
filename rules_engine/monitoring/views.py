"""The address that a monitor asks."""

from __future__ import annotations

from importlib.util import find_spec

from django.db import DatabaseError, InterfaceError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from rules_engine import conf
from rules_engine.monitoring.access import has_token, is_staff

PLAIN = "text/plain; charset=utf-8"
OFF = 'Metrics are off. RULES_ENGINE["METRICS"] = {} turns them on; {"token": "…"} lets Prometheus read them.\n'
NO_LIBRARY = "Metrics need the package prometheus-client: pip install django-signal-rules[metrics]\n"


def missing_library() -> bool:
    """Say whether the extra ``metrics`` is not installed."""
    return find_spec("prometheus_client") is None


@never_cache
@require_safe
@transaction.non_atomic_requests
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with all metrics: 404 where they are off or cannot be told, 401 to whoever may not read them, 503 where
    the database cannot be read."""
    settings = conf.metrics()
    if settings is None or missing_library():
        return HttpResponseNotFound(OFF if settings is None else NO_LIBRARY, content_type=PLAIN)
    from rules_engine.monitoring.collector import exposition

    try:
        if not _may_read(request, settings.token):
            return _refusal()
        body, content_type = exposition(request.headers.get("Accept", ""))
    except (DatabaseError, InterfaceError) as error:
        return HttpResponse(f"The database cannot be read: {type(error).__name__}\n", status=503, content_type=PLAIN)
    return HttpResponse(body, content_type=content_type)


def _may_read(request: HttpRequest, token: str) -> bool:
    # The session is not asked for where the token will do.
    return has_token(request.headers.get("Authorization", ""), token) or is_staff(getattr(request, "user", None))


def _refusal() -> HttpResponse:
    text = 'Expected "Authorization: Bearer …" with the token of RULES_ENGINE["METRICS"], or a session of the staff.\n'
    return HttpResponse(text, status=401, content_type=PLAIN, headers={"WWW-Authenticate": "Bearer"})
