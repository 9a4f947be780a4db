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


class VerbsAdmin(SearchedAdmin):
    """A subclass names its ``verbs`` and has a method ``_<verb>(request, queryset)`` for each."""

    #: Each verb with the states of a row in which it does something.
    verbs: Mapping[str, Collection[str]] = {}
    #: Who may: a permission in full.
    verbs_permission = ""

    def _name(self, verb: str) -> str:
        return f"rules_engine_{self.opts.model_name}_{verb}"

    def may_act(self, request: HttpRequest) -> bool:
        """Whether the user may do any of the verbs."""
        return request.user.has_perm(self.verbs_permission)

    def applies(self, verb: str, row: Any) -> bool:
        """Whether the verb does something to this row."""
        return row.state in self.verbs[verb]

    @transaction.non_atomic_requests
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Django's, in no transaction of the whole request: what is done to many is committed batch by batch."""
        return super().changelist_view(request, extra_context)

    def get_urls(self) -> list[Any]:
        views = [
            path(
                f"<path:object_id>/{verb}/",
                self.admin_site.admin_view(partial(self._one, verb=verb)),
                name=self._name(verb),
            )
            for verb in self.verbs
        ]
        return [*views, *super().get_urls()]

    def _one(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponseBase:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        row: Any = self.get_object(request, object_id)
        if not self.may_act(request) or not self.has_view_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        getattr(self, f"_{verb}")(request, self.model._default_manager.filter(pk=row.pk))
        return HttpResponseRedirect(page_url(str(self.opts.model_name), row.pk))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        row: Any = self.get_object(request, object_id)
        verbs = self.verbs if self.may_act(request) else {}
        buttons = {
            f"{verb}_url": reverse(f"admin:{self._name(verb)}", args=[row.pk])
            for verb in verbs
            if row is not None and self.applies(verb, row)
        }
        return super().change_view(request, object_id, form_url, {**buttons, **(extra_context or {})})

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
