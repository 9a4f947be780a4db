"""Authors of rules that act in the process of a save: what they may is kept, and asked anew once that has changed."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.db import DEFAULT_DB_ALIAS
from django.db.models import F, IntegerField, OuterRef, Subquery, Sum, Value

from rules_engine.context.visible import visible
from rules_engine.databases.savepoints import confined
from rules_engine.databases.uncached import uncached
from rules_engine.rules.permissions import Authors, may_view
from rules_engine.surroundings.own_rules import of_authors
from rules_engine.types import ActionSpec, Event, Path, RuleSpec

#: How long what a permission backend of the site's own says of an author is trusted; see ``_stamp`` for the rest.
TRUST_SECONDS = 30.0
#: A prime, so that two rows of grants do not come to what two others do.
SPREAD = 4_099

Stamp = tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class _Known:
    """An author as they were: by their row and what they were granted, when, and the event that it was asked for."""

    authors: Authors
    stamp: Stamp
    since: float
    event_id: UUID


class TrustedAuthors:
    """Authors and what they may, in this process. One statement an event says whether that is still so.

    ``place`` is where an author is: the surroundings that their rule holds in alone.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Known] = {}

    def forget(self) -> None:
        """Ask anew of everybody; for tests, after which no right is left to the next."""
        self._known = {}

    def refusal(
        self,
        author_id: str,
        event: Event,
        action: ActionSpec,
        rule: RuleSpec,
        reads: Collection[Path],
        place: str = "",
    ) -> str | None:
        """Say why the author's rule may not do this now; None when it may. Raises ``DatabaseError``."""
        if not author_id:
            return None
        with of_authors(place), confined(DEFAULT_DB_ALIAS):
            return self._of(author_id, event.id, place).refusal(author_id, action, rule, reads)

    def lacks(self, author_id: str, event_id: UUID, wanted: Iterable[str], place: str = "") -> str | None:
        """Say why the author may not do what takes these permissions; None when they may. Raises ``DatabaseError``."""
        with of_authors(place), confined(DEFAULT_DB_ALIAS):
            return self._of(author_id, event_id, place).lacks(author_id, wanted)

    def sees(self, author_id: str, event: Event, data: Mapping[str, Any], place: str = "") -> Mapping[str, Any]:
        """Return of an event's data what the author may view; the event holds what other rules read as well."""
        if not author_id:
            return data
        with of_authors(place), confined(DEFAULT_DB_ALIAS):
            return visible(data, event.model, may_view(self._of(author_id, event.id, place).find(author_id)))[0]

    def _of(self, author_id: str, event_id: UUID, place: str) -> Authors:
        known = self._known.get((place, author_id))
        if known is not None and known.event_id == event_id:
            return known.authors
        stamp = _stamp(author_id)
        if known is None or known.stamp != stamp or not _is_recent(known):
            known = _Known(Authors(place), stamp, time.monotonic(), event_id)
        self._known[place, author_id] = _Known(known.authors, stamp, known.since, event_id)
        return known.authors


def _is_recent(known: _Known) -> bool:
    return time.monotonic() - known.since <= TRUST_SECONDS


def _stamp(author_id: str) -> Stamp:
    """Return what changes with an author's rights: their row, and sums over the rows that grant them something.

    None where there is no such user. New rows have greater keys, so no exchange of grants leaves the sums as they were.
    Where keys are no numbers nothing can be said: such a stamp is like no other, and the author is asked anew.
    """
    user: Any = get_user_model()
    tables = [many for many in (getattr(user, "user_permissions", None), getattr(user, "groups", None)) if many]
    if not all(_has_numbers(many) for many in tables):
        return (object(),)
    row = uncached(user._default_manager.filter(pk=author_id))
    columns = [field.attname for field in user._meta.concrete_fields]
    stamp: Stamp = row.values_list(*columns, *_grants(user)).first()
    return stamp


def _grants(user: Any) -> list[Subquery]:
    """Return a sum over each table that grants something to a user, or to their groups; none for users without."""
    own, groups = getattr(user, "user_permissions", None), getattr(user, "groups", None)
    sums = [_sum(many, {_ends(many)[0]: OuterRef("pk")}) for many in (own, groups) if many is not None]
    if groups is None or groups.rel.model._meta.label != "auth.Group":
        return sums
    holder, group = _ends(groups)
    held = groups.through._default_manager.filter(**{holder: OuterRef(OuterRef("pk"))}).values(group)
    permissions = groups.rel.model.permissions
    return [*sums, _sum(permissions, {f"{_ends(permissions)[0]}__in": held})]


def _has_numbers(many: Any) -> bool:
    """Say whether the rows of a many-to-many field, and what they grant, have numbers for keys."""
    granted = many.through._meta.get_field(_ends(many)[1]).target_field
    return isinstance(many.through._meta.pk, IntegerField) and isinstance(granted, IntegerField)


def _ends(many: Any) -> tuple[str, str]:
    """Return how the rows of a many-to-many field name their holder, and what is held."""
    return many.field.m2m_field_name(), many.field.m2m_reverse_field_name()


def _sum(many: Any, of_whom: Mapping[str, Any]) -> Subquery:
    rows = many.through._default_manager.filter(**of_whom).order_by().annotate(rules_engine_all=Value(1))
    each = (F("pk") + 1) * SPREAD + F(f"{_ends(many)[1]}_id")
    return Subquery(rows.values("rules_engine_all").annotate(rules_engine_sum=Sum(each)).values("rules_engine_sum"))


#: The ones that this process knows.
trusted = TrustedAuthors()
