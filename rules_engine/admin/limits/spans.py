"""Seconds as people say them: a number and a unit. The column goes on holding seconds.

What is posted without a unit, by a script or from another page, is seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from django import forms
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

#: From the longest to the shortest.
UNITS: Mapping[str, int] = {"days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
TITLES: Mapping[str, Promise] = {
    "seconds": _("seconds"), "minutes": _("minutes"), "hours": _("hours"), "days": _("days"),
}  # fmt: skip
#: A choice beside the units that stands for no time at all: what one transaction does.
TRANSACTION = "transaction"
#: What follows a field's name where its unit is posted.
UNIT = "_unit"


class Span(NamedTuple):
    """A span as somebody typed it."""

    number: str
    unit: str

    def __str__(self) -> str:
        """Say it in seconds, as the column would; what is no number stays as it was typed."""
        if self.unit == TRANSACTION:
            return "0"
        is_whole = self.number.isdecimal() and len(self.number) <= 12
        return str(int(self.number) * UNITS.get(self.unit, 1)) if is_whole else self.number


def span_of(seconds: int) -> Span:
    """Say seconds in the longest unit in which they are a whole number: 3600 is an hour, and 90 are seconds."""
    unit = next(name for name, length in UNITS.items() if seconds and seconds % length == 0) if seconds else "seconds"
    return Span(str(seconds // UNITS[unit]), unit)


def span_words(seconds: int) -> str:
    """Say seconds for reading: ``1 hour``, ``90 seconds``."""
    span = span_of(seconds)
    count = int(span.number)
    texts = {
        "seconds": ngettext("%(count)s second", "%(count)s seconds", count),
        "minutes": ngettext("%(count)s minute", "%(count)s minutes", count),
        "hours": ngettext("%(count)s hour", "%(count)s hours", count),
        "days": ngettext("%(count)s day", "%(count)s days", count),
    }
    return texts[span.unit] % {"count": count}


class SpanWidget(forms.Widget):
    """A number, and a select of its unit that is posted beside it."""

    template_name = "rules_engine/span.html"

    def __init__(
        self, *, suggested: Span, beside: str = "", in_transaction: bool = False, zero_is_empty: bool = False
    ) -> None:
        super().__init__()
        #: What is shown where nothing is stored. It counts once the field ``beside`` is filled, too.
        self.suggested = suggested
        self.beside = beside
        self.in_transaction = in_transaction
        self.zero_is_empty = zero_is_empty

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        span = self._shown(value)
        until = {TRANSACTION: _("until the transaction ends")} if self.in_transaction else {}
        context["widget"] |= {
            "number": span.number,
            "units": [(unit, title, unit == span.unit) for unit, title in {**TITLES, **until}.items()],
            "unit_name": f"{name}{UNIT}",
            "unit_label": gettext("%(field)s: unit") % {"field": self.attrs.get("data-title", "")},
        }
        return context

    def _shown(self, value: Any) -> Span:
        if isinstance(value, Span):
            return value
        if isinstance(value, int) and (value or not self.zero_is_empty):
            return Span("", TRANSACTION) if value == 0 and self.in_transaction else span_of(value)
        return self.suggested if self.beside else Span("", self.suggested.unit)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Span | None:
        number, unit = str(data.get(name) or "").strip(), str(data.get(name + UNIT) or "seconds")
        if self.beside and (number, unit) == self.suggested and not self._is_filled(data, name):
            return None
        return Span(number, unit) if number or unit == TRANSACTION else None

    def _is_filled(self, data: Any, name: str) -> bool:
        beside = name.rsplit("-", 1)
        beside[-1] = self.beside
        return bool(str(data.get("-".join(beside)) or "").strip())

    @property
    def media(self) -> forms.Media:
        return forms.Media(css={"all": ["rules_engine/limits.css"]})

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data and name + UNIT not in data


class SpanField(forms.IntegerField):
    """A number of seconds from ``least`` to ``most``, typed as a number and a unit."""

    widget: Any

    def __init__(
        self,
        *,
        label: Any,
        most: int,
        suggested: Span,
        least: int = 1,
        beside: str = "",
        in_transaction: bool = False,
        help_text: Any = "",
    ) -> None:
        self.least, self.most = least, most
        widget = SpanWidget(
            suggested=suggested,
            beside=beside,
            in_transaction=in_transaction,
            zero_is_empty=least == 0 and not in_transaction,
        )
        super().__init__(label=label, required=False, widget=widget, help_text=help_text)
        self.error_messages["invalid"] = _("Write a whole number; one and a half hours are 90 minutes.")

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """The label, for the unit's own; the number's bounds hold in seconds alone."""
        return {"data-title": str(self.label)}

    def to_python(self, value: Any) -> int | None:
        """The seconds. Raises ``ValidationError`` for what is no whole number, or no unit."""
        if not isinstance(value, Span):
            return super().to_python(value)
        if value.unit == TRANSACTION and self.widget.in_transaction:
            return 0
        number = super().to_python(value.number)
        if value.unit not in UNITS:
            message = gettext('"%(unit)s" is no unit; choose one of: %(units)s.')
            units = ", ".join(str(title) for title in TITLES.values())
            raise ValidationError(message % {"unit": value.unit, "units": units})
        return None if number is None else number * UNITS[value.unit]

    def validate(self, value: Any) -> None:
        """Raise ``ValidationError`` for a span that is too short or too long, in people's units."""
        super().validate(value)
        if value is not None and value < self.least:
            raise ValidationError(gettext("Write a number from %(least)s up.") % {"least": self.least})
        if value is not None and value > self.most:
            longest = span_words(self.most - self.most % UNITS["days"])
            raise ValidationError(gettext("This is too long: at most %(span)s.") % {"span": longest})

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        try:
            value = self.to_python(data)
        except ValidationError:
            return True
        return value != initial and not (self.widget.zero_is_empty and not value and not initial)
