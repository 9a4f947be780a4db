"""The objects that somebody sees: by permission, and by what the models' own admin pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import ModelClass, find_model
from rules_engine.rules.permissions import may_view_data, may_view_event
from rules_engine.test.pasted import Named


@dataclass(frozen=True, slots=True)
class ObjectsSeen:
    """What one user sees of the site's objects: by ``get_queryset`` and ``has_view_permission`` of their admin pages.

    A model without a page is seen by whoever has the permission to view it, which is asked elsewhere.
    """

    admin_site: Any
    request: HttpRequest

    def rows(self, model: ModelClass) -> models.QuerySet[Any]:
        """The objects that the model's own list shows."""
        if not self.admin_site.is_registered(model):
            return model._default_manager.all()
        rows: models.QuerySet[Any] = self.admin_site.get_model_admin(model).get_queryset(self.request)
        return rows

    def latest(self, model: ModelClass, count: int) -> list[models.Model]:
        """The newest of them."""
        newest = self.rows(model).order_by("-pk")[: 2 * count]
        return list(islice((row for row in newest if self._is_shown(row)), count))

    def find(self, model: ModelClass, key: Any) -> models.Model | None:
        """The object with this key, where the user sees it."""
        row = self.rows(model).filter(pk=key).first() if _can_be(model._meta.pk, key) else None
        return row if row is not None and self._is_shown(row) else None

    def hidden_of(self, named: Iterable[Named]) -> ModelClass | None:
        """The model of an object among these that is there and that the user does not see; None where there is none."""
        keys: dict[tuple[ModelClass, str], list[Any]] = {}
        for name in dict.fromkeys(named):
            keys.setdefault((name.model, name.column), []).append(name.value)
        for (model, column), values in keys.items():
            there = _keys_there(model, column, values)
            shown = {row.pk for row in self.rows(model).filter(pk__in=there) if self._is_shown(row)}
            if there - shown:
                return model
        return None

    def hidden_among(self, model: ModelClass, keys: Iterable[str]) -> set[str]:
        """Those of the keys, as records have them, whose objects are there and not seen by the user. No query where the
        model's page shows whatever there is to whoever may view the model."""
        if not self._hides_some(model):
            return set()
        written = {str(model._meta.pk.to_python(key)): key for key in keys if _can_be(model._meta.pk, key)}
        there = _keys_there(model, "pk", written.values())
        shown = {row.pk for row in self.rows(model).filter(pk__in=there) if self._is_shown(row)}
        return {written[str(pk)] for pk in there - shown if str(pk) in written}

    def _hides_some(self, model: ModelClass) -> bool:
        if not self.admin_site.is_registered(model):
            return False
        page = self.admin_site.get_model_admin(model)
        own = (getattr(page, name) for name in ("get_queryset", "has_view_permission"))
        usual = (admin.ModelAdmin.get_queryset, admin.ModelAdmin.has_view_permission)
        return any(getattr(method, "__func__", None) is not django for method, django in zip(own, usual, strict=True))

    def hides(self, model: ModelClass, key: Any) -> bool:
        """Whether there is an object with this key that the user does not see."""
        return self.hidden_of([Named(model, "pk", key)]) is not None

    def _is_shown(self, row: models.Model) -> bool:
        page = self.admin_site.get_model_admin(type(row)) if self.admin_site.is_registered(type(row)) else None
        return page is None or page.has_view_permission(self.request, row)


def _keys_there(model: ModelClass, column: str, values: Iterable[Any]) -> set[Any]:
    field = model._meta.pk if column == "pk" else model._meta.get_field(column)
    known = {value for value in values if _can_be(field, value)}
    return set(model._base_manager.filter(**{f"{column}__in": known}).values_list("pk", flat=True))


def _can_be(field: Any, value: Any) -> bool:
    """Whether a column may hold the value: what it cannot hold names nothing."""
    try:
        field.get_prep_value(value)
        field.run_validators(field.to_python(value))
    except (ValueError, TypeError, ArithmeticError, ValidationError):
        return False
    return True


def hidden_rows(request: HttpRequest, named: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the objects that rows of a list name, by label and key, whose data is not for who asks. A few queries
    for each model whose own page hides some."""
    keys: dict[str, set[str]] = {}
    for label, key in named:
        keys.setdefault(label, set()).add(key)
    hidden: set[tuple[str, str]] = set()
    seen = ObjectsSeen(admin.site, request)
    for label, of_model in keys.items():
        model = find_model(label) if label else None
        if label and not may_view_data(request.user, label):
            hidden |= {(label, key) for key in of_model}
        elif model is not None:
            hidden |= {(label, key) for key in seen.hidden_among(model, of_model - {""})}
    return hidden


UNSEEN = _("You may not view objects of this model, and so not this data either.")


def why_unseen(request: HttpRequest, label: str, key: str, context: Mapping[str, Any] | None = None) -> str:
    """Say why somebody may not be shown data of an object, as a sentence; empty where they may. ``context`` is the
    event's, for what quotes it: of an event about no object, the objects that its signal sent count."""
    if not may_view_event(request.user, label, context or {}):
        return str(UNSEEN)
    model = find_model(label) if label else None
    if model is None or not key or not ObjectsSeen(admin.site, request).hides(model, key):
        return ""
    return gettext("You may not view this object, and so not this data either.")
