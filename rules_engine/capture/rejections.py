"""Answers to requests whose save or delete a rule does not allow, and that nobody else answered.

In a form the rule's message is an error like any other, for ``full_clean()`` asks the rules. What is saved or deleted
without that (a delete, an API) ends in ``Rejected``: no fault of the site's, and so no 500.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import NON_FIELD_ERRORS
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template import TemplateDoesNotExist
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.errors import ChangeUndone, Rejected

logger = logging.getLogger("rules_engine")

CONFLICT = 409
PAGE = "rules_engine/rejected.html"
ADMIN_PAGE = "admin/rules_engine/rejected.html"


def answer(request: HttpRequest, error: Exception) -> HttpResponse | None:
    """Return the response to a request that ended in this exception; None where it is to go on as it is."""
    if not isinstance(error, Rejected | ChangeUndone) or not conf.answer_rejections():
        return None
    if _is_admins(request):
        return _in_admin(request, error)
    # What failed in a change's own transaction is a fault, which the site's error reports are to see.
    return _elsewhere(request, error) if isinstance(error, Rejected) else None


def _is_admins(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and "admin" in match.app_names


def _in_admin(request: HttpRequest, error: Rejected | ChangeUndone) -> HttpResponse:
    if isinstance(error, Rejected):
        said = error.text
    else:
        logger.error("A change in the admin was undone: %s", error, exc_info=error)
        said = str(error)
    back = _back(request)
    if back and _tell(request, gettext("Nothing was changed: %s") % said):
        return HttpResponseRedirect(back)
    # A form is not sent back to: on the way the browser would lose what was typed, and with its own Back it does not.
    context = {"title": gettext("Nothing was changed"), "message": said, "is_popup": "_popup" in request.GET}
    return HttpResponse(render_to_string(ADMIN_PAGE, {**_of_site(request), **context}, request), status=CONFLICT)


def _of_site(request: HttpRequest) -> dict[str, Any]:
    from django.contrib import admin

    return admin.site.each_context(request)


def _back(request: HttpRequest) -> str:
    """Return the page to return to where nothing was typed: the list, or the object that was to be deleted."""
    match = request.resolver_match
    name = match.url_name or "" if match is not None else ""
    if match is None or request.method != "POST":
        return ""
    if name.endswith("_changelist"):
        return request.get_full_path()
    if name.endswith("_delete"):
        try:
            return reverse(
                f"{match.namespace}:{name.removesuffix('_delete')}_change", args=match.args, kwargs=match.kwargs
            )
        except NoReverseMatch:
            return ""
    return ""


def _tell(request: HttpRequest, text: str) -> bool:
    """Say whether it could be left for the next page to show."""
    from django.contrib import messages

    try:
        messages.error(request, text)
    except messages.MessageFailure:
        return False
    return True


def _elsewhere(request: HttpRequest, error: Rejected) -> HttpResponse:
    errors = error.message_dict if hasattr(error, "error_dict") else {NON_FIELD_ERRORS: error.messages}
    if request.content_type == "application/json" or not request.accepts("text/html"):
        return JsonResponse({"detail": error.text, "errors": errors}, status=CONFLICT)
    try:
        page = render_to_string(PAGE, {"message": error.text, "errors": errors}, request)
    except TemplateDoesNotExist:
        return HttpResponse(error.text, status=CONFLICT, content_type="text/plain; charset=utf-8")
    return HttpResponse(page, status=CONFLICT)
