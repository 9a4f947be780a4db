"""A ready template, and the form that asks for what its rule needs: first a model, then what depends on that."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django import forms
from django.apps import apps
from django.core.exceptions import ValidationError
from django.utils.text import capfirst, slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import ModelClass, find_model, is_denied, label_of
from rules_engine.errors import Problem
from rules_engine.packs.ready import offers
from rules_engine.rules import registry
from rules_engine.rules.permissions import lacking, may_view, needed
from rules_engine.rules.validation import rule_problems
from rules_engine.types import ActionSpec, RuleSpec

HAPPENS = {"create": _("created"), "update": _("updated"), "delete": _("deleted")}
#: A slug has 100 characters; the rest is room for a number, where the slug is taken.
LONGEST_SLUG_OF_TEMPLATE = 90


def lines_of(text: str) -> list[str]:
    """Return the lines that are not empty, and what commas part in them where no template stands."""
    lines = [line.strip() for line in text.splitlines()]
    parts = [[line] if "{" in line else [part.strip() for part in line.split(",")] for line in lines]
    return [part for listed in parts for part in listed if part]


class ReadyTemplateForm(forms.Form):
    """What every ready template asks for. ``spec`` is the rule once the form is valid.

    ``model`` is what was chosen. Until then nothing else is asked, for the rest depends on it.
    """

    template: ClassVar[ReadyTemplate]
    #: Where problems of the rule are said, by the beginning of their pointer; the longest that fits.
    places: ClassVar[Mapping[str, str]] = {}
    required_css_class = "required"
    #: False for a rule on a signal of no model.
    of_model: ClassVar[bool] = True

    spec: RuleSpec

    def __init__(self, user: Any, data: Any = None, *, label: str = "") -> None:
        super().__init__(data)
        self.user = user
        #: Values that can be put into a text, by the names of the fields that take them.
        self.insertable: dict[str, list[offers.Choice]] = {}
        self.model: ModelClass | None = None
        self.label = label if data is None else str(data.get("model") or "")
        if self.of_model:
            self._ask_model(self.label)
        if self.model is None and self.of_model:
            self.fields = {"model": self.fields["model"]}
            return
        self.offer()
        help_text = gettext("Empty: one is made up.")
        self.fields["name"] = forms.CharField(
            label=gettext("Name of the rule"), max_length=200, required=False, help_text=help_text
        )

    def _ask_model(self, label: str) -> None:
        choices = model_choices(self.user, self.suits)
        help_text = gettext("What the rule watches.")
        first = [("", gettext("– choose –"))]
        field = forms.ChoiceField(
            label=gettext("Model"), choices=[*first, *choices], initial=label, help_text=help_text
        )
        self.fields = {"model": field, **self.fields}
        if any(label == value for _app, models in choices for value, _title in models):
            self.model = find_model(label)

    def suits(self, model: ModelClass) -> bool:
        """Tell whether the model has what the template is about."""
        return True

    def offer(self) -> None:
        """Fill the fields' choices and defaults by ``self.model``."""

    def choose(self, name: str, choices: Sequence[Any], *, nothing: Any = None) -> None:
        """Have a field choose among these, beginning with the first; with ``nothing``, the words for none of them."""
        listed = [("", nothing), *choices] if nothing is not None else list(choices)
        self.fields[name].choices = listed  # type: ignore[attr-defined]
        if nothing is None and listed and not isinstance(self.fields[name], forms.MultipleChoiceField):
            value, rest = listed[0]
            self.fields[name].initial = rest[0][0] if isinstance(rest, list | tuple) else value

    def offer_states(self, name: str) -> None:
        """Have a field choose among the states that the model knows; which one, nobody can guess."""
        if self.model is not None:
            self.choose(name, offers.states(self.model), nothing=gettext("– choose –"))

    def offer_recipients(self, name: str) -> None:
        """Begin with the user's own address, and have those that the object knows at hand."""
        own = str(getattr(self.user, "email", "") or "")
        self.fields[name].initial = own or "admins"
        known = offers.addresses(self.model, self.user) if self.model is not None else []
        listed = [(f"{{{{ {path} }}}}", label) for path, label in known]
        self.insertable[name] = [*listed, ("admins", gettext("the site's administrators"))]

    def state(self, asked: Mapping[str, Any], name: str = "becomes") -> tuple[str, Any]:
        """Return the field and the value that were chosen."""
        chosen = str(asked.get(name) or "")
        return offers.state(self.model, chosen) if self.model is not None else ("", chosen)

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        """Return the rule for what was filled in, without name and slug; what is missing is empty."""
        raise NotImplementedError(f"{type(self).__name__} has no rule().")

    def on(self, signals: Sequence[str], *actions: ActionSpec, **fields: Any) -> RuleSpec:
        """Return a rule on the chosen model."""
        label = label_of(self.model) if self.model is not None else ""
        return RuleSpec(slug="", model=label, signals=tuple(signals), actions=actions, **fields)

    def draft(self) -> RuleSpec | None:
        """Return the rule as far as it is filled in, to be told about; None before a model is chosen."""
        if self.of_model and self.model is None:
            return None
        asked: dict[str, Any] = {name: self[name].value() for name in self.fields}
        asked |= getattr(self, "cleaned_data", {})
        return named(self.rule(asked), self.template, asked.get("name") or "")

    def clean(self) -> dict[str, Any]:
        """Build the rule, and say what is wrong with it where it was typed."""
        asked = super().clean() or self.cleaned_data
        if self.errors:
            return asked
        self.spec = named(self.rule(asked), self.template, asked.get("name") or "")
        problems = rule_problems(self.spec)
        # One name that was typed may stand at several places of the rule; it is wrong once.
        said = {(self._place(problem), re.sub(r"^Line \d+: ", "", problem.message)): None for problem in problems}
        for place, message in said:
            self.add_error(place, ValidationError(message, code="rule"))
        if not problems and (missing := lacking(self.user, needed(self.spec))):
            text = gettext("A rule can do no more than its author, and you lack the permission %(missing)s.")
            self.add_error(None, ValidationError(text % {"missing": ", ".join(missing)}, code="ceiling"))
        return asked

    def _place(self, problem: Problem) -> str | None:
        known = {"/model": "model", **self.places}
        fitting = [place for place in known if problem.pointer.startswith(place) and known[place] in self.fields]
        return known[max(fitting, key=len)] if fitting else None


@dataclass(frozen=True, slots=True)
class ReadyTemplate:
    """A ready template: its key in addresses, a title, one sentence, and the form that makes the rule."""

    key: str
    title: Any
    description: Any
    form: type[ReadyTemplateForm]
    #: The kinds of action it needs; without them it is not offered.
    kinds: tuple[str, ...]
    #: The heading that it stands under.
    group: Any
    #: Further words that people may search it by.
    words: Any = ""

    def form_for(self, user: Any, data: Any = None, *, label: str = "") -> ReadyTemplateForm:
        """Return the form for somebody, bound to what was posted if anything was, for a model if one was chosen."""
        form = type(self.form.__name__, (self.form,), {"template": self})
        made: ReadyTemplateForm = form(user, data, label=label)
        return made

    def matches(self, search: str) -> bool:
        """Tell whether each of the words searched for stands in what is said of it."""
        said = f"{self.title} {self.description} {self.group} {self.words}".casefold()
        return all(word in said for word in search.casefold().split())


def model_choices(user: Any, suits: Any = lambda model: True) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return the models that rules may listen to, that the user may view and that suit, by app."""
    sees = may_view(user)
    groups = []
    for config in apps.get_app_configs():
        models = [model for model in config.get_models() if not is_denied(model) and sees(model) and suits(model)]
        labels = sorted(
            (label_of(model), f"{capfirst(model._meta.verbose_name)} ({label_of(model)})") for model in models
        )
        groups += [(str(config.verbose_name), labels)] if labels else []
    return sorted(groups, key=lambda group: group[0].lower())


def named(rule: RuleSpec, template: ReadyTemplate, name: str) -> RuleSpec:
    """Return the rule with its name, or one of the template's, a slug to begin with, and switched off."""
    model = find_model(rule.model) if rule.model else None
    subject = f": {model._meta.verbose_name}" if model is not None else ""
    title = name or f"{template.title}{subject}"
    made_up = f"{template.key}-{rule.model.replace('.', '-')}".strip("-")
    slug = slugify(name or made_up)[:LONGEST_SLUG_OF_TEMPLATE] or template.key
    return replace(rule, name=title, slug=slug, enabled=False, description=str(template.description))


def mail(to: str, **texts: str) -> ActionSpec:
    """Return a mail to the addresses of some lines: what happened, unless other texts are given."""
    action = registry.find("send_email")
    begun = action.initial_config(None) if action is not None else {}
    written = {name: text.replace("\r\n", "\n") for name, text in texts.items()}
    return ActionSpec("send_email", {**begun, "to": lines_of(to), **written})


def to_field() -> forms.CharField:
    """Return a field for whom a mail goes to."""
    return forms.CharField(
        label=_("To"), widget=forms.Textarea(attrs={"rows": 2}), help_text=_("Addresses, with commas between them.")
    )


def happens_field(initial: Sequence[str] = tuple(HAPPENS)) -> forms.MultipleChoiceField:
    """Return a field for what is to have happened."""
    return forms.MultipleChoiceField(
        label=_("When it was"),
        choices=list(HAPPENS.items()),
        initial=list(initial),
        widget=forms.CheckboxSelectMultiple,
    )


def happening(wanted: Sequence[str]) -> dict[str, Any]:
    """Return the signals and operations of a rule that hears of these operations alone."""
    saves = [name for name in wanted if name != "delete"]
    signals = [*(["post_save"] if saves else []), *(["post_delete"] if "delete" in wanted else [])]
    return {"signals": signals, "operations": () if set(wanted) == set(HAPPENS) else tuple(wanted)}
