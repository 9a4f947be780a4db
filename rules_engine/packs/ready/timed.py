"""Ready templates that act on time: before or after a date, after something stayed so, and each weekday with a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import ModelClass
from rules_engine.packs.ready import offers
from rules_engine.packs.ready.form import ReadyTemplateForm, mail, to_field
from rules_engine.packs.ready.telling import MAIL, MAIL_PLACES, OfStates
from rules_engine.types import RuleSpec

#: What a list calls each of its objects by, the most telling first.
CALLED = ("name", "title", "number")
MOST_DAYS = 365
#: When people look at their mail.
MORNING = "08:00"
WHEN = "/schedule"


def days_field(label: Any) -> forms.IntegerField:
    """Return a field for so many days."""
    return forms.IntegerField(label=label, initial=3, min_value=0, max_value=MOST_DAYS)


def _whole(asked: Mapping[str, Any], name: str) -> int:
    return asked[name] if isinstance(asked[name], int) else 0


def _clock(asked: Mapping[str, Any]) -> str:
    """The time of day as a schedule has it; what was typed, while it is none."""
    at = asked["at"]
    return str(at.strftime("%H:%M") if hasattr(at, "strftime") else at or "")[:5]


def at_field() -> forms.TimeField:
    """Return a field for a time of day."""
    return forms.TimeField(label=_("At"), initial=MORNING, widget=forms.TimeInput(attrs={"type": "time"}))


class DateForm(ReadyTemplateForm):
    """A mail in the morning, so many days before a date."""

    places = {**MAIL_PLACES, f"{WHEN}/path": "date", f"{WHEN}/count": "days", WHEN: "date"}
    date = forms.ChoiceField(label=_("Date"))
    days = days_field(_("Days before"))
    to = to_field()
    field_order = ("model", "date", "days", "to")

    def suits(self, model: ModelClass) -> bool:
        return bool(_dates(model, self.user))

    def offer(self) -> None:
        if self.model is not None:
            self.choose("date", _dates(self.model, self.user))
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        schedule = {
            "kind": "date",
            "path": asked["date"] or "",
            "count": _whole(asked, "days"),
            "unit": "days",
            "direction": "before",
            "at": MORNING,
        }
        sent = mail(asked["to"] or "", subject=gettext("Reminder: {{ what_happened }}"))
        return self.on([], sent, schedule=schedule)


def _dates(model: ModelClass, user: Any) -> list[offers.Choice]:
    """Return the dates of the object, and of each that it belongs to: ``"instance.order.paid_at"``."""
    found = [(f"instance.{name}", label) for name, label in offers.fields(model, _is_date)]
    for step in offers.related(model, user, "to_one"):
        further = offers.fields(step.model, _is_date)  # type: ignore[arg-type]
        heading = offers.title(step.field)
        found += [(f"instance.{step.name}.{name}", f"{heading} › {label}") for name, label in further]
    return found


def _is_date(field: Any) -> bool:
    return isinstance(field, offers.MOMENTS)


class StaysForm(OfStates):
    """A mail once something has been in a state for some days."""

    places = {**MAIL_PLACES, "/condition": "becomes", WHEN: "days"}
    becomes = forms.ChoiceField(label=_("While it is"))
    days = days_field(_("For so many days"))
    to = to_field()
    field_order = ("model", "becomes", "days", "to")

    def offer(self) -> None:
        self.offer_states("becomes")
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        name, value = self.state(asked)
        condition = {"==": [{"var": f"instance.{name}"}, value]}
        schedule = {"kind": "stays", "count": _whole(asked, "days"), "unit": "days"}
        sent = mail(asked["to"] or "", subject=gettext("Reminder: {{ what_happened }}"))
        return self.on(["post_save"], sent, condition=condition, schedule=schedule)


class DigestForm(OfStates):
    """One mail each weekday, with a list of what is in a state."""

    places = {MAIL + "to": "to", "/condition": "becomes", f"{WHEN}/at": "at", WHEN: "at"}
    becomes = forms.ChoiceField(label=_("Of all that are"))
    at = at_field()
    to = to_field()
    field_order = ("model", "becomes", "at", "to")

    def offer(self) -> None:
        self.offer_states("becomes")
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        name, value = self.state(asked)
        condition = {"==": [{"var": f"instance.{name}"}, value]}
        schedule = {"kind": "every", "each": "weekday", "at": _clock(asked), "of": "rows"}
        many = capfirst(str(self.model._meta.verbose_name_plural)) if self.model is not None else ""
        sent = mail(asked["to"] or "", subject=f"{many}: {{{{ due.count }}}}", body=_list_of(self.model))
        return self.on([], sent, condition=condition, schedule=schedule)


def _list_of(model: ModelClass | None) -> str:
    """Return a text with a line for each of the rows: by what they are called, and their key."""
    names = [field.name for field in offers.plain_fields(model, _is_text)] if model is not None else []
    called = [name for word in CALLED for name in names if name.split("_")[-1] == word] or names
    line = "{{ row.pk }}" + (f": {{{{ row.{called[0]} }}}}" if called else "")
    return f"{{% for row in rows %}}{line}\n{{% endfor %}}"


def _is_text(field: Any) -> bool:
    return type(field).__name__ in ("CharField", "SlugField", "TextField") and not field.choices
