"""What a rule on time does next, or would have done, as a page shows it: of the objects that somebody sees."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db import router
from django.http import HttpRequest

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.parts.objects import ObjectsSeen, names_of_objects
from rules_engine.admin.parts.rendering import object_url
from rules_engine.admin.times.where import Where, line_elsewhere
from rules_engine.admin.times.words import answer_words, counted_words
from rules_engine.admin.why.names import object_name
from rules_engine.context.paths import find_model
from rules_engine.context.stored_form import key_value
from rules_engine.errors import RulesEngineError
from rules_engine.models import Execution
from rules_engine.rules.schedules.kinds import is_on_time_alone, name_of
from rules_engine.surroundings.listed import place_of
from rules_engine.test.timed.coming import MOST, Coming, last_firings, next_firings, selected_now, waited_for
from rules_engine.test.timed.elsewhere import next_elsewhere
from rules_engine.test.timed.happening import counted_now
from rules_engine.types import RuleSpec

#: Of the objects that a rule goes through each time, so many are named.
NAMED = 20
#: Kinds that wait for what a signal told.
WAITING = ("stays", "silent")


class Times:
    """Tells one user of one rule's times."""

    def __init__(self, request: HttpRequest, rule: RuleSpec) -> None:
        self.request, self.rule = request, rule
        self.model = find_model(rule.model) if rule.model else None
        self.seen = ObjectsSeen(admin.site, request)
        self.where = Where(rule, self.model)

    @property
    def sees_all(self) -> bool:
        """Whether its reader sees each of the rule's objects."""
        is_whole = self.model is None or getattr(self.request.user, "is_superuser", False)
        return is_whole or self.model is None or not self.seen.hides_some(self.model)

    @property
    def is_timed(self) -> bool:
        """Whether its times can be told beforehand."""
        return is_on_time_alone(self.rule)

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for what was told to it: what stays so, or does not happen."""
        return name_of(self.rule.schedule) in WAITING

    @property
    def is_counting(self) -> bool:
        """Whether it counts what was told to it."""
        return name_of(self.rule.schedule) == "often"

    def counted(self, now: datetime) -> list[str] | None:
        """What it has counted by now, for each key; None to whom not every object may be shown that keys stem from."""
        if not self.sees_all:
            return None
        return [counted_words(each) for each in counted_now(self.rule, now)]

    def waited_for(self) -> dict[str, Any]:
        """What it waits for, of the objects that are seen; what is of no object by its time alone."""
        armed, here = waited_for(self.rule), place_of(self.where.here)
        own = [row for row in armed if place_of(row.surroundings) == here]
        keys = [str(row.object_pk) for row in own if row.object_pk is not None]
        seen = self.seen.by_key(self.model, keys) if self.model is not None and self.where.is_here else {}
        names = self._names(seen.values())
        lines = []
        for row in armed:
            if row not in own:
                if self.sees_all:
                    lines.append(line_elsewhere(row.due_at, row.surroundings, row.object_pk))
            elif row.object_pk is None or str(row.object_pk) in seen:
                named = self._object(seen[str(row.object_pk)], names) if row.object_pk is not None else None
                lines.append({"due_at": row.due_at, "object": named, "answer": "", "is_acting": True})
        return {"rows": lines, "trouble": ""}

    def _rows(self) -> Any:
        return None if self.model is None or not self.where.is_here else self.seen.rows(self.model)

    def next(self, after: datetime) -> dict[str, Any]:
        """When it acts next after that moment, here and, at home, in other surroundings."""
        told = self._told(lambda: next_firings(self.rule, after, self._rows()))
        if not self.sees_all:
            return told
        elsewhere = next_elsewhere(self.rule, self.where.places, after, router.db_for_write(Execution))
        there = [line_elsewhere(each.due_at, each.place, each.key) for each in elsewhere.coming]
        rows = sorted([*told["rows"], *there], key=lambda line: line["due_at"])[:MOST]
        return {**told, "rows": rows, "is_cut": not elsewhere.is_whole}

    def between(self, after: datetime, until: datetime) -> dict[str, Any]:
        """When it would have acted between two moments, by the rows as they are now."""
        told = self._told(lambda: last_firings(self.rule, after, until, self._rows(), MOST + 1))
        is_more = len(told["rows"]) > MOST
        return {**told, "rows": told["rows"][-MOST:], "is_more": is_more}

    def selected(self, at: datetime) -> dict[str, Any] | None:
        """The first objects that it goes through each time; None for a rule that goes through none."""
        if self._rows() is None or not self.is_timed or (self.rule.schedule or {}).get("of") not in ("each", "rows"):
            return None
        found = selected_now(self.rule, self._rows(), at, NAMED, self.seen.is_shown)
        names = self._names(found.rows)
        return {"rows": [self._object(row, names) for row in found.rows], "is_cut": not found.is_whole}

    def _told(self, find: Any) -> dict[str, Any]:
        try:
            found = find()
        except (LookupError, RulesEngineError) as error:
            return {"rows": [], "trouble": str(error)}
        return {"rows": list(self._lines(found)), "trouble": ""}

    def _lines(self, found: Sequence[Coming]) -> Iterator[dict[str, Any]]:
        titles = Titles.of(self.rule.model)
        rows = self._shown_rows([one.instance for one in found if one.instance is not None])
        keys, names = {row.pk for row in rows}, self._names(rows)
        for one in found:
            if one.instance is None:
                yield {"due_at": one.due_at, "is_acting": True}
            elif one.instance.pk in keys:
                acts = one.asked is None or one.asked.answer == "acts"
                yield {
                    "due_at": one.due_at,
                    "object": self._object(one.instance, names),
                    "answer": answer_words(one.asked, titles, is_fired=one.is_fired),
                    "is_acting": acts and not one.is_fired,
                }

    def _shown_rows(self, rows: Iterable[Any]) -> list[Any]:
        """Those of the objects that their own page shows one by one."""
        page = admin.site.get_model_admin(self.model) if self.model and admin.site.is_registered(self.model) else None
        return [row for row in rows if page is None or page.has_view_permission(self.request, row)]

    def _names(self, rows: Iterable[Any]) -> dict[tuple[str, str], str]:
        return names_of_objects(self.request, [(self.rule.model, str(key_value(row))) for row in rows])

    def _object(self, row: Any, names: Mapping[tuple[str, str], str]) -> dict[str, str]:
        key = str(key_value(row))
        return {"name": object_name(names, self.rule.model, key), "url": object_url(self.rule.model, key), "pk": key}
