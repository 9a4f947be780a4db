"""What models, fields and spans of time are called within a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.timezone import is_aware, localtime
from django.utils.translation import get_language, gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles, happening_title
from rules_engine.admin.conditions.fields import name_of
from rules_engine.admin.conditions.words import FUNCTIONS
from rules_engine.admin.prose.marks import GAP, code, shown
from rules_engine.context.aggregates import BETWEEN
from rules_engine.context.paths import ModelClass, aggregate_of, find_model, steps
from rules_engine.errors import UnknownPath

#: Where a noun begins with a capital wherever it stands, so does what stands for one.
CAPITAL_NOUNS = ("de", "lb")
#: English words that begin with the letter, and not with the sound, of a vowel; and the other way round.
_CONSONANT = re.compile(r"(?:uni(?!n|m)|us[aeiu]|uti|ur[aeio]n|eu|ewe|one(?!ir)|once)", re.IGNORECASE)
_VOWEL = re.compile(r"(?:[aeiou]|hour|honest|honou?r|heir)", re.IGNORECASE)
#: Letters that are spelled out, such as SMS and MRI.
_SPELLED = re.compile(r"[A-Z]{2,}\b")
_SPELLED_VOWEL = "AEFHILMNORSX"
_PER_ONE = {
    "day": _("%(often)s a day"),
    "hour": _("%(often)s an hour"),
    "minute": _("%(often)s a minute"),
    "second": _("%(often)s a second"),
}
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))


def has_capital_nouns() -> bool:
    """Whether the language of the page writes nouns with a capital."""
    return (get_language() or "").partition("-")[0] in CAPITAL_NOUNS


def in_sentence(name: str) -> str:
    """A verbose name, as its site wrote it, within a sentence."""
    text = shown(name)
    return str(capfirst(text)) if has_capital_nouns() else text


def lowered(title: str) -> str:
    """A title of ours or of an action as it goes on a sentence."""
    text = shown(title)
    return text if has_capital_nouns() or not text[1:2].islower() else text[:1].lower() + text[1:]


def one_of_model(label: str) -> str:
    """An object of that model: ``an order``; a gap where no model is named."""
    name = model_name(label)
    if name == GAP:
        return GAP
    article = gettext("an %(model)s") if takes_an(name) else gettext("a %(model)s")
    return article % {"model": name}


def of_model(label: str) -> str:
    """Of an object of that model: ``of an order``."""
    name = model_name(label)
    if name == GAP:
        return gettext("of %(model)s") % {"model": GAP}
    article = gettext("of an %(model)s") if takes_an(name) else gettext("of a %(model)s")
    return article % {"model": name}


def model_name(label: str, *, many: bool = False) -> str:
    """What objects of that model are called, its label where there is no such model; a gap where none is named."""
    model = find_model(label) if label else None
    if model is None:
        return shown(label or "")
    return in_sentence(str(model._meta.verbose_name_plural if many else model._meta.verbose_name))


def takes_an(name: str) -> bool:
    """Whether the English article of a name is "an", by how it is said: an hour, a user, an SMS."""
    if _SPELLED.match(name):
        return name[0] in _SPELLED_VOWEL
    return bool(_VOWEL.match(name)) and not _CONSONANT.match(name)


@dataclass(frozen=True, slots=True)
class Names:
    """What the paths in one rule are called: those of its object, of ``each`` row, and of the ``row`` written to."""

    titles: Titles
    rows: dict[str, Titles] = field(default_factory=dict)

    @classmethod
    def of(cls, label: str) -> Names:
        """Those of a rule on that model."""
        return cls(Titles.of(label))

    def with_rows(self, name: str, titles: Titles) -> Names:
        """These, where a name stands for an object of another model."""
        return replace(self, rows={**self.rows, name: titles})

    def __call__(self, written: str) -> str:
        """A path as it is said: ``customer’s email``; of what nobody knows, the path itself."""
        root, _dot, rest = written.partition(".")
        if root in self.rows and rest:
            return field_phrase(self.rows[root], rest)
        if root == "changes" and rest.endswith((".old", ".new")):
            name, _dot, moment = rest.rpartition(".")
            return self(f"{'old' if moment == 'old' else 'instance'}.{name}")
        if root == "old" and rest and not self.titles.is_row:
            return gettext("%(field)s before") % {"field": field_phrase(self.titles, written)}
        return field_phrase(self.titles, written)

    def own(self, written: str) -> str:
        """As it is said where it stands by itself: ``its customer’s email``."""
        said = self(written)
        if not _is_own(written.partition(".")[0]) or said == code(written):
            return said
        pattern = gettext("the %(field)s") if BETWEEN in written else gettext("its %(field)s")
        return pattern % {"field": said}


def _is_own(root: str) -> bool:
    return root in ("instance", "old", "changes", "each", "row")


def field_phrase(titles: Titles, written: str) -> str:
    """A field by its path: ``customer’s email``, ``number of order items``."""
    path = titles.path(written)
    if path is None:
        return _besides(written)
    here, said = titles.model, []
    for name in path[:-1] if len(path) > 1 and path[-1] in ("pk", "id") else path:
        step = steps(here).get(name) if here is not None else None
        word = gettext("key") if name in ("pk", "id") else name_of(step) if step is not None else _sum(here, name)
        if not word:
            return code(written)
        said.append(in_sentence(word))
        here = step.model if step is not None else None
    return owned(said)


def owned(names: list[str]) -> str:
    """Names of which each belongs to the one before: ``customer’s address’s city``."""
    said, *rest = names
    for name in rest:
        # English has no second s after one.
        owned_by = gettext("%(owner)s’ %(field)s") if said.endswith("s") else gettext("%(owner)s’s %(field)s")
        said = owned_by % {"owner": said, "field": name}
    return said


def _besides(written: str) -> str:
    """What a rule reads that is not its object's."""
    root, _dot, rest = written.partition(".")
    if root == "signal" and rest:
        sent, *below = [in_sentence(name.replace("_", " ")) for name in rest.split(".")]
        return owned([sent, *below]) if below else gettext("“%s”") % sent
    own = {"event.occurred_at": _("the time of the event"), "actor.username": _("the user’s name")}
    if written in own:
        return str(own[written])
    title = happening_title(written)
    return code(written) if title == written else lowered(title)


def _sum(model: ModelClass | None, name: str) -> str:
    """What related rows come to, such as ``items__quantity__sum``; empty for all else."""
    if model is None or BETWEEN not in name:
        return ""
    try:
        aggregate = aggregate_of(model, name)
    except UnknownPath:
        return ""
    rows = in_sentence(name_of(steps(model)[aggregate.relation]))
    if not aggregate.fields:
        return gettext("number of %(rows)s") % {"rows": rows}
    fields = " × ".join(in_sentence(str(one.verbose_name)) for one in aggregate.fields)
    return f"{FUNCTIONS[aggregate.function]} {fields} ({rows})"


def count_and_unit(seconds: int) -> tuple[int, str]:
    """Seconds in the largest unit that they are whole numbers of."""
    return next((seconds // size, unit) for size, unit in UNITS if seconds % size == 0)


def span(seconds: int) -> str:
    """So long: ``5 minutes``."""
    count, unit = count_and_unit(seconds)
    said = {
        "day": ngettext("%(count)s day", "%(count)s days", count),
        "hour": ngettext("%(count)s hour", "%(count)s hours", count),
        "minute": ngettext("%(count)s minute", "%(count)s minutes", count),
        "second": ngettext("%(count)s second", "%(count)s seconds", count),
    }
    return said[unit] % {"count": count}


def within(seconds: int) -> str:
    """In so long a time: ``within 5 minutes``."""
    count, unit = count_and_unit(seconds)
    said = {
        "day": ngettext("within %(count)s day", "within %(count)s days", count),
        "hour": ngettext("within %(count)s hour", "within %(count)s hours", count),
        "minute": ngettext("within %(count)s minute", "within %(count)s minutes", count),
        "second": ngettext("within %(count)s second", "within %(count)s seconds", count),
    }
    return said[unit] % {"count": count}


def after(seconds: int) -> str:
    """When so much time has gone: ``after 5 minutes``."""
    count, unit = count_and_unit(seconds)
    said = {
        "day": ngettext("after %(count)s day", "after %(count)s days", count),
        "hour": ngettext("after %(count)s hour", "after %(count)s hours", count),
        "minute": ngettext("after %(count)s minute", "after %(count)s minutes", count),
        "second": ngettext("after %(count)s second", "after %(count)s seconds", count),
    }
    return said[unit] % {"count": count}


def so_often(often: str, seconds: int) -> str:
    """How often in how long: ``at most once an hour``, ``at most twice in 5 minutes``."""
    count, unit = count_and_unit(seconds)
    if count == 1:
        return str(_PER_ONE[unit]) % {"often": often}
    said = {
        "day": ngettext("%(often)s in %(count)s day", "%(often)s in %(count)s days", count),
        "hour": ngettext("%(often)s in %(count)s hour", "%(often)s in %(count)s hours", count),
        "minute": ngettext("%(often)s in %(count)s minute", "%(often)s in %(count)s minutes", count),
        "second": ngettext("%(often)s in %(count)s second", "%(often)s in %(count)s seconds", count),
    }
    return said[unit] % {"often": often, "count": count}


def moment(value: Any) -> str:
    """A point in time as the site writes it; as it is written where it is none."""
    if not isinstance(value, datetime):
        return shown(value)
    return str(date_format(localtime(value) if is_aware(value) else value, "DATETIME_FORMAT"))
