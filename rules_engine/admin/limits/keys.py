"""What is counted, or taken together, by itself: a choice of the model's values, or a text of one's own.

The column holds a text such as ``{{ instance.customer_id }}``. Where it is exactly one of those that are offered, it is
shown as that choice; any other is shown as it is, and given back to the byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.fields import fields_of, may_view
from rules_engine.admin.limits.values import value_words
from rules_engine.admin.parts.json_fields import PlainTextField
from rules_engine.context.paths import find_model, is_denied
from rules_engine.context.signals import find_signal
from rules_engine.rules import values
from rules_engine.types import RuleSpec

#: The choice beside which the text itself is typed; no key can be this, for it holds no value.
OWN = "own"
#: What follows a field's name where the choice is posted.
CHOICE = "_choice"
ACTOR = "{{ actor.id }}"

Group = tuple[str, list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Words:
    """How a key without a value reads, and what else it can be that is no value of the model."""

    empty: str | Promise
    constants: Mapping[str, str | Promise] = field(default_factory=dict)
    #: Whether it is a path to rows that is chosen, and not a text with a value.
    is_of_rows: bool = False


THROTTLE = Words(_("– all together –"))
#: Empty is each object by itself there; a text that is the same for all takes all of them together.
COALESCE = Words(_("– each object by itself –"), {"all": _("all together")})
#: What an action is repeated for: ``instance.items``.
ROWS = Words(_("– once –"), is_of_rows=True)


def offers(model: str, signals: Sequence[str], user: Any) -> list[Group]:
    """The values that a key may be made of: those of the model that the user may view, and of the signals."""
    told = _told(model, user)
    groups = groups_of(told) if told else [] if model else _of_signals(signals)
    who = [(ACTOR, gettext("who made the change"))]
    return [*groups, (gettext("Besides"), who)] if groups else []


def rows(model: str, user: Any) -> list[Group]:
    """The relations of the model to many rows, of models that the user may view."""
    fields = [field for field in _told(model, user).get("fields", ()) if field["type"] == "rows"]
    listed = [(f"instance.{field['name']}", field["label"]) for field in fields]
    return [(gettext("Rows"), listed)] if listed else []


def _told(label: str, user: Any) -> dict[str, Any]:
    """What the builder of conditions is told of the model; nothing where the user may not view it."""
    model = find_model(label) if label else None
    is_seen = model is not None and not is_denied(model) and user is not None and may_view(user, model)
    return fields_of(model, user) if model is not None and is_seen else {}


def groups_of(told: Mapping[str, Any]) -> list[Group]:
    """The fields of a model, as ``fields_of`` tells them, by what they are: relations first, for they are usual."""
    fields = [field for field in told["fields"] if field["type"] not in ("object", "rows") and not field.get("quiet")]
    relations = [field for field in fields if field["field"] != field["name"]]
    rest = [field for field in fields if field["field"] == field["name"]]
    titled = [*relations, {"name": "pk", "label": told["title"]}], rest
    return [
        (title, [(f"{{{{ instance.{field['name']} }}}}", field["label"]) for field in listed])
        for title, listed in zip((gettext("Objects"), gettext("Fields")), titled, strict=True)
        if listed
    ]


def _of_signals(signals: Sequence[str]) -> list[Group]:
    arguments = dict(_arguments(signals))
    return [(gettext("What the signal sends"), list(arguments.items()))] if arguments else []


def _arguments(signals: Sequence[str]) -> Iterator[tuple[str, str]]:
    asked = RuleSpec(slug="", name="", model="", signals=tuple(signals))
    for named in filter(None, map(find_signal, signals)):
        for name, said in named.arguments.items():
            text = f"{{{{ signal.{name} }}}}"
            if not list(values.problems(text, asked, "")):
                yield text, f"{name}: {said}"


class KeyWidget(forms.Widget):
    """A select of what there is, and below it the text itself, which counts where none of it is chosen."""

    template_name = "rules_engine/key.html"

    def __init__(self, words: Words, attrs: Mapping[str, Any] | None = None) -> None:
        super().__init__(dict(attrs or {}))
        self.words = words
        #: Set by the form, which knows the model.
        self.offered: Sequence[Group] = ()

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        text = str(value or "")
        groups = self._groups()
        is_offered = any(text == choice for _title, choices in groups for choice, _label in choices)
        chosen = text if is_offered else OWN
        context = super().get_context(name, value, attrs)
        context["widget"] |= {
            "groups": [
                (title, [(choice, label, choice == chosen) for choice, label in choices])
                for title, choices in [*groups, ("", [(OWN, gettext("own text …"))])]
            ],
            "choice_name": f"{name}{CHOICE}",
            "text": "" if is_offered else text,
            "picks": json.dumps({} if self.words.is_of_rows else value_words()),
            "own_label": gettext("%(field)s: own text") % {"field": self.attrs.get("data-title", "")},
        }
        return context

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs = super().build_attrs(base_attrs, extra_attrs)
        told = {"address": reverse("admin:rules_engine_rule_fields"), **self._told()}
        return {**attrs, "data-rules-key": json.dumps(told)}

    def _groups(self) -> list[Group]:
        plain = {"": self.words.empty, **self.words.constants}
        return [("", [(choice, str(label)) for choice, label in plain.items()]), *self.offered]

    def _told(self) -> dict[str, Any]:
        return {
            "is_of_rows": self.words.is_of_rows,
            "rows": gettext("Rows"),
            "objects": gettext("Objects"),
            "fields": gettext("Fields"),
            "besides": gettext("Besides"),
            "actor": [ACTOR, gettext("who made the change")],
        }

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str | None:
        choice: str | None = data.get(name + CHOICE)
        text: str | None = data.get(name)
        return text if choice in (None, OWN) else choice

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        return name not in data and name + CHOICE not in data

    @property
    def media(self) -> forms.Media:
        return forms.Media(
            css={"all": ["rules_engine/limits.css"]}, js=["rules_engine/value-picker.js", "rules_engine/limits.js"]
        )


class KeyField(PlainTextField):
    """A text that says what is counted, or taken together, by itself."""

    def __init__(self, words: Words, *, label: Any, help_text: Any = "") -> None:
        super().__init__(label=label, widget=KeyWidget(words), help_text=help_text)

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """The label, for the text's own."""
        return {"data-title": str(self.label)}
