"""The address that a monitor asks."""

from __future__ import annotations

from importlib.util import find_spec

from django.db import DatabaseError, InterfaceError, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotFound, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from rules_engine import conf
from rules_engine.monitoring import health as health_checks
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


@never_cache
@require_safe
@transaction.non_atomic_requests
def health(request: HttpRequest) -> HttpResponse:
    """Answer whether all is well, as JSON: 200 where it is, 503 where not or where that could not be found out."""
    settings, limits = conf.metrics(), health_checks.limits()
    if not limits.public and not _may_read(request, settings.token if settings else ""):
        return _refusal()
    made = health_checks.checks()
    state = health_checks.overall(made)
    told = {"state": state, "checks": {check.name: {"state": check.state, "says": check.says} for check in made}}
    return JsonResponse(told, status=200 if state == "healthy" else 503)


def _may_read(request: HttpRequest, token: str) -> bool:
    # The session is not asked for where the token will do.
    return has_token(request.headers.get("Authorization", ""), token) or is_staff(getattr(request, "user", None))


def _refusal() -> HttpResponse:
    text = 'Expected "Authorization: Bearer …" with the token of RULES_ENGINE["METRICS"], or a session of the staff.\n'
    return HttpResponse(text, status=401, content_type=PLAIN, headers={"WWW-Authenticate": "Bearer"})
