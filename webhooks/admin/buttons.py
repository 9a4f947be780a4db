"""The endpoint's page above its form: how it does, and what can be done about it. Each button posts, asks for its
permission, and leaves an entry in the admin's log."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from rules_engine.sending import order
from webhooks.admin import figures
from webhooks.admin.forms import ReplayForm
from webhooks.deliveries import replays
from webhooks.endpoints import breaker
from webhooks.endpoints.status import status_of
from webhooks.models import Endpoint
from webhooks.models.choices import CHATS

if TYPE_CHECKING:
    _EndpointModelAdmin = admin.ModelAdmin[Endpoint]
else:
    _EndpointModelAdmin = admin.ModelAdmin

#: How a status is marked: by the classes of the engine's own pages.
MARKS = {
    "open": "on",
    "failing": "broken",
    "paused": "broken",
    "probing": "paused",
    "waiting": "paused",
    "disabled": "off",
}
#: In these states an endpoint is left alone for a while, also by what is due.
RESTS = ("paused", "waiting", "probing")
TEST_SIGNAL = "webhooks.test"
#: What a test delivery says.
TEST_CONTEXT = {"test": True, "message": "A test delivery, sent by hand. Nothing happened."}

Answer = Callable[[HttpRequest, Endpoint], HttpResponseBase]


class ButtonsAdmin(_EndpointModelAdmin):
    """What an endpoint's page has besides its form."""

    def get_urls(self) -> list[Any]:
        views: dict[str, Answer] = {"test": self._test, "resume": self._resume, "replay": self._replay}
        own = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(partial(self._answer, answer=answer)),
                name=f"webhooks_endpoint_{name}",
            )
            for name, answer in views.items()
        ]
        return [*own, *super().get_urls()]

    def _answer(self, request: HttpRequest, object_id: str, answer: Answer) -> HttpResponseBase:
        endpoint = self.get_object(request, object_id)
        if endpoint is None:
            raise Http404
        if not self.has_view_permission(request, endpoint):
            raise PermissionDenied
        return answer(request, endpoint)

    # Who may what

    def may_test(self, request: HttpRequest) -> bool:
        """Tell whether the user may send test deliveries."""
        return request.user.has_perm("webhooks.test_endpoint")

    def may_replay(self, request: HttpRequest) -> bool:
        """Tell whether the user may have deliveries sent again."""
        return request.user.has_perm("webhooks.replay_delivery")

    # The buttons

    def _test(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.may_test(request):
            raise PermissionDenied
        order("webhook", {"endpoint": endpoint.slug, "test": True}, signal=TEST_SIGNAL, context=TEST_CONTEXT)
        text = gettext("A test delivery is on its way. Load this page again to see what came of it.")
        return self._done(request, endpoint, gettext("Sent a test delivery."), text)

    def _resume(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_change_permission(request, endpoint):
            raise PermissionDenied
        breaker.resume(endpoint)
        text = gettext("Deliveries to “%s” go out again, and its failures are forgotten.") % endpoint
        return self._done(request, endpoint, gettext("Resumed."), text)

    def _replay(self, request: HttpRequest, endpoint: Endpoint) -> HttpResponseBase:
        if not self.may_replay(request):
            raise PermissionDenied
        # Asked for the first time, it counts what stands in the form already.
        form = ReplayForm(request.POST if request.method == "POST" else ReplayForm.first())
        counted: replays.Counted | None = None
        if form.is_valid():
            selection = replays.selection(endpoint, **form.cleaned_data)
            counted = replays.count(selection)
            if request.method == "POST" and "replay" in request.POST:
                user = {"id": str(request.user.pk), "username": request.user.get_username()}
                try:
                    replays.ask(endpoint, selection, user)
                except ValueError as error:
                    form.add_error(None, str(error))
                else:
                    return self._replayed(request, endpoint, counted)
        return self._replay_page(request, endpoint, form, counted)

    def _replayed(self, request: HttpRequest, endpoint: Endpoint, counted: replays.Counted) -> HttpResponseBase:
        count, at_once = counted.again, counted.at_once
        text = ngettext("%(count)s delivery is sent again.", "%(count)s deliveries are sent again.", count)
        entry = ngettext("Replayed %(count)s delivery.", "Replayed %(count)s deliveries.", count) % {"count": count}
        said = text % {"count": count}
        if at_once:
            more = ngettext(
                "%(count)s that is being retried is tried at once.",
                "%(count)s that are being retried are tried at once.",
                at_once,
            )
            more %= {"count": at_once}
            entry, said = f"{entry} {more}", f"{said} {more}"
        return self._done(request, endpoint, entry, said)

    def _replay_page(
        self, request: HttpRequest, endpoint: Endpoint, form: ReplayForm, counted: replays.Counted | None
    ) -> HttpResponseBase:
        status = status_of(endpoint, timezone.now())
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Replay deliveries"),
            "subtitle": str(endpoint),
            "opts": self.opts,
            "original": endpoint,
            "form": form,
            "media": self.media,
            "counted": counted,
            "rests": status.words if status.name in RESTS else "",
        }
        return TemplateResponse(request, "admin/webhooks/endpoint/replay.html", context)

    def _done(self, request: HttpRequest, endpoint: Endpoint, entry: str, text: str) -> HttpResponseBase:
        LogEntry.objects.log_actions(request.user.pk, [endpoint], CHANGE, entry)  # type: ignore[arg-type]
        messages.success(request, text)
        return HttpResponseRedirect(reverse("admin:webhooks_endpoint_change", args=[endpoint.pk]))

    # What is shown

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        endpoint = self.get_object(request, object_id)
        shown = {} if endpoint is None else self._shown(request, endpoint)
        return super().change_view(request, object_id, form_url, {**shown, **(extra_context or {})})

    def _shown(self, request: HttpRequest, endpoint: Endpoint) -> dict[str, Any]:
        status = status_of(endpoint, timezone.now())
        is_resting = status.name not in ("open", "disabled")
        may_see = request.user.has_perm("rules_engine.view_execution")
        return {
            "status": status,
            "mark": MARKS[status.name],
            "figures": list(figures.figures(endpoint)),
            "backlog": figures.backlog(endpoint),
            "failures": figures.failures(endpoint, request.user),
            "last_test": figures.last_test(endpoint, request.user),
            "last_replay": figures.last_replay(endpoint, request.user),
            "deliveries_url": figures.list_url(endpoint) if may_see else "",
            "failed_url": figures.list_url(endpoint, "failed"),
            "waiting_url": figures.list_url(endpoint, "waiting"),
            "may_test": self.may_test(request),
            "is_chat": endpoint.payload_form in CHATS,
            "may_replay": self.may_replay(request),
            "may_resume": is_resting and self.has_change_permission(request, endpoint),
        }
