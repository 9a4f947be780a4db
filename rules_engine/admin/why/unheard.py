"""The line above an object's changes: what changed since then without any rule hearing of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.why.speaker import value_words
from rules_engine.models import Event, Recording
from rules_engine.test.unheard import unheard_of

MOST_FIELDS = 6


@dataclass(frozen=True, slots=True)
class UnheardTold:
    """It, for the template."""

    fields: Sequence[str]
    sentence: str
    record_url: str


def unheard_told(user: Any, instance: Any, latest: Event | None) -> UnheardTold | None:
    """What an object, which who asks may view, has otherwise than its latest event; None where that is nothing."""
    if latest is None:
        return None
    recording = Recording.objects.current().filter(model=latest.model).first()
    unheard = unheard_of(instance, latest, recording)
    if unheard is None:
        return None
    titles = Titles.of(latest.model)
    fields = [
        change_words(titles, change.field, change.old, change.new) for change in unheard.changes[:MOST_FIELDS]
    ] or [gettext("It is gone")]
    if unheard.is_sure:
        sentence = gettext(
            "No rule heard it: it was written past the rules, by a bulk write (QuerySet.update and its like), raw SQL "
            "or another program."
        )
    else:
        sentence = gettext(
            "Nothing of it is on record: no rule matched it, or it was written past the rules, by a bulk write "
            "(QuerySet.update and its like), raw SQL or another program."
        )
    return UnheardTold(fields, sentence, "" if unheard.is_sure else record_url(user, latest.model))


def change_words(titles: Titles, name: str, old: Any, new: Any) -> str:
    """A field that changed: ``Status: Draft → Paid``."""
    before, after = (value_words(titles, f"instance.{name}", value) for value in (old, new))
    return gettext("%(field)s: %(old)s → %(new)s") % {"field": titles.field(name), "old": before, "new": after}


def record_url(user: Any, label: str) -> str:
    """Where a recording of the model is begun; empty for whoever may not."""
    url = reverse("admin:rules_engine_recording_add")
    return f"{url}?{urlencode({'model': label})}" if user.has_perm("rules_engine.add_recording") else ""
