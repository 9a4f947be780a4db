"""What may be done to rows that nobody edits: a button on the page of each, by POST, beside the actions of the list."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext

from rules_engine.admin.parts.bulk import Done
from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.parts.searching import SearchedAdmin


class RowButtonsAdmin(SearchedAdmin):
    """A subclass names its ``buttons`` and has a method ``_<button>(request, queryset)`` for each."""

    #: Each button with the states of a row in which it does something.
    buttons: Mapping[str, Collection[str]] = {}
    #: Who may: a permission in full.
    buttons_permission = ""

    def _name(self, button: str) -> str:
        return f"rules_engine_{self.opts.model_name}_{button}"

    def may_act(self, request: HttpRequest) -> bool:
        """Whether the user may press any of the buttons."""
        return request.user.has_perm(self.buttons_permission)

    def applies(self, button: str, row: Any) -> bool:
        """Whether the button does something to this row."""
        return row.state in self.buttons[button]

    @transaction.non_atomic_requests
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Django's, in no transaction of the whole request: what is done to many is committed batch by batch."""
        return super().changelist_view(request, extra_context)

    def get_urls(self) -> list[Any]:
        views = [
            path(
                f"<path:object_id>/{button}/",
                self.admin_site.admin_view(partial(self._press, button=button)),
                name=self._name(button),
            )
            for button in self.buttons
        ]
        return [*views, *super().get_urls()]

    def _press(self, request: HttpRequest, object_id: str, button: str) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row: Any = self.get_object(request, object_id)
        if not self.may_act(request) or not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        getattr(self, f"_{button}")(request, self.model._default_manager.filter(pk=row.pk))
        return HttpResponseRedirect(page_url(str(self.opts.model_name), row.pk))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        row: Any = self.get_object(request, object_id)
        addresses = {}
        if row is not None and self.may_act(request):
            shown = [button for button in self.buttons if self.applies(button, row)]
            addresses = {f"{button}_url": reverse(f"admin:{self._name(button)}", args=[row.pk]) for button in shown}
        return super().change_view(request, object_id, form_url, {**addresses, **(extra_context or {})})

    def tell(self, request: HttpRequest, text: str, done: Done) -> None:
        """Say to how many it was done (the text's ``count``); where to none, that; and whether some are left."""
        said = text % {"count": f"{done.count:,}"}
        if not done.count and not done.is_cut_short:
            said = gettext("Nothing was changed: none of them is in a state for that.")
        elif done.is_cut_short:
            left = gettext("There was no time for all of them: do it again for the rest.")
            said = f"{said} {left}"
        is_well = done.count and not done.is_cut_short
        self.message_user(request, said, messages.SUCCESS if is_well else messages.WARNING)
