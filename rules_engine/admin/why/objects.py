"""The object that is asked about, chosen by its name: what the model's own admin page finds and shows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Q
from django.http import HttpRequest, JsonResponse

from rules_engine.admin.parts.objects import ObjectsSeen
from rules_engine.context.paths import ModelClass, find_model, readable_fields
from rules_engine.rules.permissions import may_view_data

#: Objects offered; whoever does not find theirs types more of its name.
MOST = 15
#: Columns that are looked into where the model has no page with a search.
MOST_COLUMNS = 6
LONGEST_WORD = 200


def find(request: HttpRequest, label: str, word: str) -> list[models.Model]:
    """The objects with the word in their name, or with that key; the newest where there is no word. Those alone that
    who asks may view, and ``MOST`` of them."""
    model = find_model(label)
    if model is None or not may_view_data(request.user, label):
        return []
    seen = ObjectsSeen(admin.site, request)
    word = word.strip()[:LONGEST_WORD].replace("\0", "")
    if not word:
        return seen.latest(model, MOST)
    by_key = seen.find(model, word)
    found = islice(_shown(request, _matching(request, seen, model, word)), MOST)
    return [*([by_key] if by_key is not None else []), *(row for row in found if row != by_key)][:MOST]


def _shown(request: HttpRequest, rows: models.QuerySet[Any]) -> Iterator[models.Model]:
    # Some may be hidden one by one.
    for row in rows[: 2 * MOST]:
        page = admin.site.get_model_admin(type(row)) if admin.site.is_registered(type(row)) else None
        if page is None or page.has_view_permission(request, row):
            yield row


def _matching(request: HttpRequest, seen: ObjectsSeen, model: ModelClass, word: str) -> models.QuerySet[Any]:
    rows = seen.rows(model).order_by("-pk")
    page = admin.site.get_model_admin(model) if admin.site.is_registered(model) else None
    if page is not None and page.get_search_fields(request):
        found, has_doubles = page.get_search_results(request, rows, word)
        return found.distinct() if has_doubles else found
    texts = [field.name for field in readable_fields(model) if isinstance(field, models.CharField | models.TextField)]
    looked_into = Q(pk__in=[])
    for name in texts[:MOST_COLUMNS]:
        looked_into |= Q(**{f"{name}__icontains": word})
    return rows.filter(looked_into)


def objects_view(request: HttpRequest) -> JsonResponse:
    """What the page offers while a name is typed."""
    found = find(request, request.GET.get("model", ""), request.GET.get("q", ""))
    return JsonResponse({"objects": [{"pk": str(row.pk), "name": str(row)} for row in found]})
