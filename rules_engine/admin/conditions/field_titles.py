"""What the names in a rule are called: fields and relations by their verbose names, and what happened by its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.utils.text import capfirst
from django.utils.translation import gettext

from rules_engine.admin.conditions.fields import title_of, type_of
from rules_engine.admin.conditions.one_line import short
from rules_engine.admin.conditions.words import FUNCTIONS, WORDS, happening, sent
from rules_engine.context.aggregates import BETWEEN
from rules_engine.context.paths import ModelClass, Step, aggregate_of, find_model, resolve, steps
from rules_engine.errors import UnknownPath
from rules_engine.types import Path

OF_THE_OBJECT = ("instance", "old")


@dataclass(frozen=True, slots=True)
class Titles:
    """The names that a condition may read. ``is_row``: they are columns of the rows of a relation."""

    model: ModelClass | None
    is_row: bool = False

    @classmethod
    def of(cls, label: str) -> Titles:
        """Those of a rule on that model; on none where it is empty."""
        return cls(find_model(label) if label else None)

    def title(self, name: str) -> str:
        """What it is called; the name itself where nobody knows it."""
        path = self.path(name)
        if path is None:
            return happening_title(name)
        titles = self._titles(path)
        return " › ".join(titles) if titles else name

    def kind(self, name: str) -> str:
        """The type of its values, as the builder tells them apart."""
        step = self._step(name)
        if step is None:
            return next((str(variable["type"]) for variable in happening() if variable["name"] == name), "any")
        return "number" if step.aggregate else type_of(step)

    def choice(self, name: str, value: Any) -> str | None:
        """What that value of it is called, where there are choices."""
        step = self._step(name)
        if step is None:
            named = next((variable for variable in happening() if variable["name"] == name), {})
            return next((str(text) for key, text in named.get("choices", ()) if key == value), None)
        choices = getattr(step.field, "flatchoices", None) or ()
        return next((str(text) for key, text in choices if key == value), None)

    def value(self, name: str, value: Any) -> str:
        """A value that is compared with it."""
        if isinstance(value, bool):
            return str(WORDS["yes"] if value else WORDS["no"])
        chosen = self.choice(name, value) if self.is_row or "." in name else self.choice(f"instance.{name}", value)
        if chosen is not None:
            return chosen
        return gettext("“%s”") % value if isinstance(value, str) else short(value)

    def of_rows(self, name: str) -> Titles:
        """The names that can be read of each row of a relation."""
        step = self._step(name)
        return Titles(step.model if step is not None else None, is_row=True)

    def field(self, name: str) -> str:
        """A field by the name that change conditions have for it."""
        try:
            field: Any = self.model._meta.get_field(name) if self.model is not None else None
        except FieldDoesNotExist:
            field = None
        return capfirst(str(getattr(field, "verbose_name", name)))

    def path(self, name: str) -> Path | None:
        """The path below the model; None for what is not the object's."""
        root, *rest = name.split(".")
        if self.is_row:
            return (root, *rest)
        return tuple(rest) if root in OF_THE_OBJECT and rest else None

    def _step(self, name: str) -> Step | None:
        path = self.path(name)
        if path is None or self.model is None:
            return None
        try:
            return resolve(self.model, path)
        except UnknownPath:
            return None

    def _titles(self, path: Path) -> list[str]:
        here, titles = self.model, []
        for name in path:
            if here is None:
                return []
            step = steps(here).get(name)
            title = gettext("Key") if name == "pk" else title_of(step) if step is not None else _sum(here, name)
            if not title:
                return []
            titles.append(title)
            here = step.model if step is not None else None
        return titles


def happening_title(name: str) -> str:
    """What is read besides the object; the name itself where nobody knows it."""
    told = [*happening(), *(variable for named in sent().values() for variable in named)]
    return next((str(variable["label"]) for variable in told if variable["name"] == name), name)


def _sum(model: ModelClass, name: str) -> str:
    """An aggregate, such as ``items__quantity__sum``."""
    if BETWEEN not in name:
        return ""
    try:
        aggregate = aggregate_of(model, name)
    except UnknownPath:
        return ""
    rows = title_of(steps(model)[aggregate.relation])
    if not aggregate.fields:
        return str(WORDS["how_many"]) % {"rows": rows}
    fields = " × ".join(str(field.verbose_name) for field in aggregate.fields)
    return f"{rows}: {FUNCTIONS[aggregate.function]} {fields}"
