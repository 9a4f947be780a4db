"""The objects that somebody sees: by permission, and by what the models' own admin pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import connections, models
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import ModelClass, find_model
from rules_engine.rules.permissions import may_view_data, may_view_event
from rules_engine.test.pasted import Named
from rules_engine.types import Unread, ask

#: Models of a page whose objects are called by their names, the most common first; a query each.
MOST_MODELS = 8
#: Statements that the names of a page may take besides: a name may follow relations, which are fetched together as far
#: as the first name shows which, or count rows, which nothing fetches together.
MOST_STATEMENTS = 12
#: Relations that a name is followed through, one after the other.
DEEPEST = 3
LONGEST_NAME = 100


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
        return list(islice((row for row in newest if self.is_shown(row)), count))

    def find(self, model: ModelClass, key: Any) -> models.Model | None:
        """The object with this key, where the user sees it."""
        row = self.rows(model).filter(pk=key).first() if _can_be(model._meta.pk, key) else None
        return row if row is not None and self.is_shown(row) else None

    def by_key(self, model: ModelClass, keys: Iterable[str]) -> dict[str, models.Model]:
        """The objects with these keys, as records have them, that the user sees. One query."""
        written = {str(model._meta.pk.to_python(key)): key for key in keys if _can_be(model._meta.pk, key)}
        rows = self.rows(model).filter(pk__in=list(written)) if written else ()
        return {written[str(row.pk)]: row for row in rows if str(row.pk) in written and self.is_shown(row)}

    def hidden_of(self, named: Iterable[Named]) -> ModelClass | None:
        """The model of an object among these that is there and that the user does not see; None where there is none."""
        keys: dict[tuple[ModelClass, str], list[Any]] = {}
        for name in dict.fromkeys(named):
            keys.setdefault((name.model, name.column), []).append(name.value)
        for (model, column), values in keys.items():
            there = _keys_there(model, column, values)
            shown = {row.pk for row in self.rows(model).filter(pk__in=there) if self.is_shown(row)}
            if there - shown:
                return model
        return None

    def hidden_among(self, model: ModelClass, keys: Iterable[str]) -> set[str]:
        """Those of the keys, as records have them, whose objects are there and not seen by the user. No query where the
        model's page shows whatever there is to whoever may view the model."""
        if not self.hides_some(model):
            return set()
        written = {str(model._meta.pk.to_python(key)): key for key in keys if _can_be(model._meta.pk, key)}
        there = _keys_there(model, "pk", written.values())
        shown = {row.pk for row in self.rows(model).filter(pk__in=there) if self.is_shown(row)}
        return {written[str(pk)] for pk in there - shown if str(pk) in written}

    def hides_some(self, model: ModelClass) -> bool:
        """Whether the model's page may show its reader less than there is."""
        if not self.admin_site.is_registered(model):
            return False
        page = self.admin_site.get_model_admin(model)
        own = (getattr(page, name) for name in ("get_queryset", "has_view_permission"))
        usual = (admin.ModelAdmin.get_queryset, admin.ModelAdmin.has_view_permission)
        return any(getattr(method, "__func__", None) is not django for method, django in zip(own, usual, strict=True))

    def hides(self, model: ModelClass, key: Any) -> bool:
        """Whether there is an object with this key that the user does not see."""
        return self.hidden_of([Named(model, "pk", key)]) is not None

    def is_shown(self, row: models.Model) -> bool:
        """Whether the model's page shows the object to its reader."""
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


def names_of_objects(request: HttpRequest, named: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What the objects that rows of a list name are called, by label and key, where who asks may view them: those that
    are gone, hidden, or of a model that they may not view are left out. A query for each of ``MOST_MODELS`` at most."""
    keys: dict[str, set[str]] = {}
    for label, key in named:
        if label and key:
            keys.setdefault(label, set()).add(key)
    seen = ObjectsSeen(admin.site, request)
    names: dict[tuple[str, str], str] = {}
    with _no_more_statements_than(MOST_STATEMENTS) as budget:
        for label in sorted(keys, key=lambda label: -len(keys[label]))[:MOST_MODELS]:
            model = find_model(label)
            if model is None or not may_view_data(request.user, label):
                continue
            rows = seen.by_key(model, keys[label])
            names |= {(label, key): name for key, name in _named(rows, budget).items()}
    return names


class _TooManyStatements(Exception):
    """A name asks the database for more than a list has time for."""


class _Budget:
    """Statements that are left; they are counted only while it ``is_kept``."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.is_kept = False

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if self.is_kept:
            if self.left < 1:
                raise _TooManyStatements
            self.left -= 1
        return execute(sql, params, many, context)


@contextmanager
def _no_more_statements_than(count: int) -> Iterator[_Budget]:
    budget = _Budget(count)
    with ExitStack() as stack:
        for connection in connections.all(initialized_only=True):
            stack.enter_context(connection.execute_wrapper(budget))
        yield budget


def _named(rows: Mapping[str, models.Model], budget: _Budget) -> dict[str, str]:
    """What each is called, where it says so within the budget."""
    names: dict[str, str] = {}
    others = list(rows.values())[1:]
    for key, row in rows.items():
        budget.is_kept = True
        name = ask(str, row)
        budget.is_kept = False
        if isinstance(name, Unread) and isinstance(name.error, _TooManyStatements):
            break
        if not names and others:
            models.prefetch_related_objects(others, *_followed(row, DEEPEST))
            others = []
        names[key] = "" if isinstance(name, Unread) else " ".join(name.split())
    return {key: Truncator(name).chars(LONGEST_NAME) for key, name in names.items() if name}


def _followed(row: models.Model, deepest: int) -> Sequence[str]:
    """The relations that are in memory with an object whose name was read, as a prefetch takes them."""
    found: list[str] = []
    for field in row._meta.concrete_fields:
        related = row._state.fields_cache.get(field.name) if field.is_relation else None
        if related is not None and deepest:
            below = _followed(related, deepest - 1)
            found += [f"{field.name}__{name}" for name in below] or [field.name]
    return found
