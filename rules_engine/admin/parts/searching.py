"""Searching tables that only grow: one pass over what the page's filters leave, and what it found is a bounded list.

Django's own search is asked four times for a page (to count, for the rows, and twice for the dates), each time all over
the table. Here it is asked once, for the newest that match, and everything else is asked of those.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.text import smart_split, unescape_string_literal
from django.utils.translation import gettext

from rules_engine.admin.parts.readonly import ReadOnlyAdmin
from rules_engine.context.paths import label_of
from rules_engine.context.signals import quoting
from rules_engine.models import Event, Rule, RuleVersion
from rules_engine.rules.permissions import viewable_labels
from rules_engine.surroundings.state import seen_from_here

#: Rows that a search finds at most: more than anybody reads.
MOST_FOUND = 1_000


class SearchedAdmin(ReadOnlyAdmin):
    """A list whose search a subclass describes by ``having``: each word of it has to be found in a row."""

    #: Django draws the box where there are any; which columns are looked at is up to ``having``.
    search_fields = ("pk",)

    #: The column with the model's label, where rows hold data of objects.
    model_column = "model"
    #: The column with a row's surroundings: those alone are listed that are the present ones, at home all.
    surroundings_column = "event__surroundings"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Django's, as far as it is shown here."""
        return self.shown_here(super().get_queryset(request))

    def shown_here(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """Those that belong in the present surroundings; at home, and where the site says none, all."""
        return rows.filter(**seen_from_here(self.surroundings_column))

    def having(self, word: str) -> Q:
        """The rows that a word is found in. What costs least stands first."""
        raise NotImplementedError

    def having_in_data(self, word: str) -> Q | None:
        """Those that it is found in by data of their objects: for whoever may view these, or it could be guessed."""
        return None

    def quoting(self) -> Q:
        """The rows whose signal quotes records: those of each have models of their own, for which no search asks."""
        return Q(event__signal__in=quoting())

    def _having(self, request: HttpRequest, word: str) -> Q:
        in_data = self.having_in_data(word)
        if in_data is None:
            return self.having(word)
        if not getattr(request.user, "is_superuser", False):
            in_data &= Q((f"{self.model_column}__in", viewable_labels(request.user))) & ~self.quoting()
        return self.having(word) | in_data

    def search(self, request: HttpRequest, queryset: QuerySet[Any], term: str) -> tuple[QuerySet[Any], bool]:
        """Those of the rows that have each of the words: the first ``MOST_FOUND``, in the order of the list."""
        words = list(words_of(term))
        if not words:
            return queryset, False
        matching = queryset
        for word in words:
            matching = matching.filter(self._having(request, word))
        keys = list(matching.values_list("pk", flat=True)[: MOST_FOUND + 1])
        if len(keys) > MOST_FOUND:
            self._say_more(request)
        return queryset.filter(pk__in=keys[:MOST_FOUND]), False

    def _say_more(self, request: HttpRequest) -> None:
        text = gettext("More than %(count)s were found; these are the first of them. Add a word, or choose a date.")
        self.message_user(
            request, text % {"count": number_format(MOST_FOUND, force_grouping=True)}, messages.INFO, fail_silently=True
        )


def words_of(term: str) -> Iterator[str]:
    """The words of a search; what stands in quotation marks is one."""
    for word in smart_split(term):
        is_quoted = len(word) > 1 and word[0] in "\"'" and word[0] == word[-1]
        if text := unescape_string_literal(word) if is_quoted else word:
            yield text


def uuid_of(word: str) -> uuid.UUID | None:
    """The id that a word is, if it is one."""
    try:
        return uuid.UUID(word)
    except ValueError:
        return None


def of_rules(word: str) -> Q:
    """Rows that name in ``rule_slug`` a rule whose slug or name has the word in it, also one that is gone."""
    named = Rule.objects.order_by().filter(Q(slug__icontains=word) | Q(name__icontains=word))
    once = RuleVersion.objects.order_by().filter(number=1, rule_slug__icontains=word)
    slugs = named.values("slug"), once.values("rule_slug")
    return Q(rule_slug=word) | Q(rule_slug__in=slugs[0]) | Q(rule_slug__in=slugs[1])


def of_events_about(word: str) -> Q:
    """Rows of events about the object with this key, or of the event with this id."""
    number = uuid_of(word)
    about = Q(event__in=Event.objects.order_by().filter(object_pk=word).values("pk"))
    return about | Q(event=number) if number else about


def labels_like(word: str) -> list[str]:
    """The models that somebody means by a word: the one of that label; else those with the word in label or name."""
    asked, labels = word.casefold(), []
    for model in apps.get_models():
        label = label_of(model)
        if label == asked:
            return [label]
        texts = (label, str(model._meta.verbose_name), str(model._meta.verbose_name_plural))
        if any(asked in text.casefold() for text in texts):
            labels.append(label)
    # A model that the site no longer has may still be on record.
    return [*labels, asked]


def fields_named(word: str) -> list[str]:
    """The word itself, and the fields that people know by it."""
    asked = word.casefold()
    known = {
        field.name
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if str(getattr(field, "verbose_name", "")).casefold() == asked
    }
    return [word, *sorted(known - {word})]
