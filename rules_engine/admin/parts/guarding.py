"""Addresses with values that no column takes: Django's lists and forms end in an error on some, and these do not."""

from __future__ import annotations

import re
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ERROR_FLAG, SEARCH_VAR
from django.core.exceptions import ValidationError
from django.db.models import DateTimeField, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext

#: More digits than a database's integers have; in lists of keys Django leaves it to the database to say so.
BEYOND = re.compile(r"\d{19}")
BEYOND_IN_LISTS = re.compile(r"\d{10}")
YEARS = range(1, 10_000)
#: A number of as many digits is no key of ours, nor is anything longer than a UUID.
LONGEST_NUMBER, LONGEST_KEY = 18, 37
#: Of a search. Each word is a condition on several columns, and databases bound how deep and how long those may be.
MOST_WORDS, LONGEST_SEARCH = 20, 500


class GuardedAdmin(admin.ModelAdmin):
    """Answers such an address as Django answers other wrong ones: with the whole list, or an empty form."""

    class Media:
        css = {"all": ["rules_engine/themes.css", "rules_engine/admin.css", "rules_engine/lists.css"]}
        js = ["rules_engine/lists.js"]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Django's list, for addresses that it can answer."""
        if any(_is_beyond(name, value) for name, values in request.GET.lists() for value in values):
            return HttpResponseRedirect(f"{request.path}?{ERROR_FLAG}=1")
        if not all(self._is_key(value) for value in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            self.message_user(request, gettext("Nothing was done: choose rows of this list."), messages.WARNING)
            return HttpResponseRedirect(request.get_full_path())
        return super().changelist_view(request, extra_context)

    def _is_key(self, value: str) -> bool:
        try:
            key = self.opts.pk.to_python(value) if len(value) < LONGEST_KEY else None
        except ValidationError:
            return False
        return key is not None and (not isinstance(key, int) or len(str(key)) <= LONGEST_NUMBER)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search for as many words as a database can be asked for at once, and say where there were more."""
        words = search_term[:LONGEST_SEARCH].split()
        term = search_term
        if len(search_term) > LONGEST_SEARCH or len(words) > MOST_WORDS:
            term = " ".join(words[:MOST_WORDS])
            text = gettext("Only the first %(words)s words are searched for, and %(characters)s characters.")
            said = text % {"words": MOST_WORDS, "characters": LONGEST_SEARCH}
            self.message_user(request, said, messages.WARNING, fail_silently=True)
        return self.search(request, queryset, term)

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> tuple[QuerySet[Any], bool]:
        """Find the rows for a term of bounded length; Django's own search, unless a subclass has another."""
        return super().get_search_results(request, queryset, term)

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """What the address fills a form with; no times, which Django takes as they are written and cannot draw."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        times = {field.name for field in self.opts.concrete_fields if isinstance(field, DateTimeField)}
        return {name: value for name, value in given.items() if name not in times}


def _is_beyond(name: str, value: str) -> bool:
    if name == SEARCH_VAR:
        return False
    if name.endswith("__year") and value.isdecimal():
        return len(value) > 4 or int(value) not in YEARS
    return bool((BEYOND_IN_LISTS if name.endswith("__in") else BEYOND).search(value))
