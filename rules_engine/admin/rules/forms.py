"""The rule's form: what it watches, when it acts, and how it holds back. Each problem is said at its field."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.admin.widgets import AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.text import slugify
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.cards.timed import ScheduleField
from rules_engine.admin.conditions.builder import ChangesField, ConditionField
from rules_engine.admin.limits.keys import COALESCE, THROTTLE, KeyField, offers
from rules_engine.admin.limits.spans import Span, SpanField
from rules_engine.admin.parts import choices
from rules_engine.admin.parts.json_fields import (
    NamesField,
    PlainTextField,
    name_halves,
    sentence,
)
from rules_engine.admin.prose.marks import cut
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.sentence import sentence as told
from rules_engine.admin.rules.edit_conflicts import SeenForm
from rules_engine.admin.rules.rule_labels import LabelsField
from rules_engine.errors import Problem
from rules_engine.models import Rule
from rules_engine.models.rule import LONGEST_SLUG, new_constant_keys
from rules_engine.rules.holding import KEYS, LARGEST_COLUMN_NUMBER, LONGEST_DELAY
from rules_engine.rules.permissions import lacking, needed
from rules_engine.rules.validation import rule_problems
from rules_engine.surroundings.own_rules import author_problem

LONGEST_NAME, LONGEST_MADE_NAME, LONGEST_MADE_SLUG = 200, 120, 60
TEXTS = ("description", *KEYS)
#: Labels that are read on into what stands behind them: at most [1] times in [1 hour] for each [customer].
READ_ON = ("throttle_count", "throttle_seconds", "coalesce_seconds", *KEYS)
#: What decides how often, and when, a rule acts.
HOLDING = (
    "active_from", "active_until", "sample_percent", "raw", "once", "throttle_count", "throttle_seconds",
    "throttle_by", "coalesce_seconds", "coalesce_by", "debounce",
)  # fmt: skip


def ceiling_sentence(missing: list[str]) -> str:
    """Say which permissions the editor lacks for what the rule would do."""
    text = gettext("A rule can do no more than its author, and you lack the permission %(missing)s.")
    return text % {"missing": ", ".join(missing)}


def _names(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


class RuleForm(SeenForm):
    """A rule without its actions. ``user`` is who is editing; the admin sets it on the class it makes."""

    user: Any = None

    model = forms.ChoiceField(
        label=_("Model"), required=False, help_text=_("What the rule watches. Choose none for signals of the site.")
    )
    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=LONGEST_NAME,
        widget=AdminTextInputWidget(),
        help_text=_("Empty: what sets it off, in words."),
    )
    slug = forms.SlugField(
        label=_("Slug"),
        required=False,
        max_length=LONGEST_SLUG,
        widget=AdminTextInputWidget(),
        help_text=_("Its name for packs and logs. Empty: made from the name."),
    )
    signals = NamesField(label=_("Signals"), required=False)
    operations = NamesField(
        label=_("Only when it was"),
        required=False,
        help_text=_("None ticked: whatever happened. Created, updated and deleted go with saving and deleting."),
    )
    changes = ChangesField()
    condition = ConditionField()
    schedule = ScheduleField()
    description = PlainTextField(label=_("Description"), widget=forms.Textarea(attrs={"rows": 2, "cols": 80}))
    throttle_seconds = SpanField(
        label=_("times in"), most=LARGEST_COLUMN_NUMBER, suggested=Span("1", "hours"), beside="throttle_count"
    )
    throttle_by = KeyField(
        THROTTLE,
        label=_("for each"),
        help_text=_("What comes above that is left out, and counted. No number: no limit."),
    )
    coalesce_seconds = SpanField(
        label=_("Wait for more"),
        least=0,
        most=LONGEST_DELAY,
        suggested=Span("", "minutes"),
        in_transaction=True,
    )
    coalesce_by = KeyField(
        COALESCE,
        label=_("together for each"),
        help_text=_("Of several matches in that time only the last acts, at its end. No number: each acts at once."),
    )
    labels = LabelsField(
        label=_("Labels"),
        help_text=_("What rules are grouped by in their list, with commas between them: billing, urgent"),
    )
    sample_percent = forms.IntegerField(
        label=_("Sample, in percent"),
        required=False,
        min_value=1,
        max_value=100,
        initial=100,
        help_text=_("Tried on this share of all events, chosen by chance."),
    )

    class Meta:
        model = Rule
        fields = (
            "name", "slug", "description", "labels", "shadow", "model", "signals", "operations", "changes",
            "condition", "schedule", "position", "stop_processing", *HOLDING,
        )  # fmt: skip
        labels = {"throttle_count": _("At most")}
        help_texts = {
            "position": _("Rules are tried from the lowest number up; those of one number by their slug."),
            "active_from": _("Empty: at once."),
            "active_until": _("Empty: for good."),
            "throttle_count": "",
            "debounce": _("Each further match starts the wait again, so it acts when nothing more comes."),
        }

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        rule = self.instance
        offers = {
            "model": choices.models(rule.model),
            "signals": choices.signals(_names(rule.signals)),
            "operations": choices.operations(_names(rule.operations)),
        }
        for name, offered in offers.items():
            if name in self.fields:
                self.fields[name].choices = offered  # type: ignore[attr-defined]
        if "signals" in self.fields:
            self.fields["signals"].help_text = format_html(
                "{} {}", _("Tick at least one."), choices.what_signals_send()
            )
            self.fields["signals"].widget.folded = [choices.of_the_site()]
        for name in ("signals", "operations", "changes", "condition", "schedule", *TEXTS):
            if name in self.fields and rule.pk:
                value = getattr(rule, name)
                self.fields[name].stored = _names(value) if name in offers else value  # type: ignore[attr-defined]
        self._offer_keys()
        for name in READ_ON:
            if name in self.fields:
                self.fields[name].label_suffix = ""
        for name in ("active_from", "active_until"):
            if name in self.fields:
                name_halves(self.fields[name])

    def _offer_keys(self) -> None:
        keys = [self.fields[name].widget for name in KEYS if name in self.fields]
        if not keys:
            return
        model, signals = (
            self[name].value() if name in self.fields else getattr(self.instance, name) for name in ("model", "signals")
        )
        offered = offers(str(model or ""), [str(name) for name in _names(signals)], self.user)
        for widget in keys:
            widget.offered = offered

    def clean(self) -> Any:
        """Ask for what sets the rule off, unless that is the clock, and for an author who is known where rules are."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "signals" in self.fields and not self.errors and not cleaned["signals"] and cleaned.get("schedule") is None:
            self.add_error("signals", ValidationError(gettext("Tick at least one."), code="required"))
        if self.user is not None and (problem := author_problem(self.user)):
            self.add_error(None, problem)
        return cleaned

    def clean_sample_percent(self) -> int:
        """All of them, where nothing was posted."""
        return self.cleaned_data["sample_percent"] or 100

    def _post_clean(self) -> None:
        self.instance.is_checked_by_form = True
        super()._post_clean()  # type: ignore[misc]
        self._name()
        spec = self.instance.spec_with([])
        for problem in [*rule_problems(spec), *new_constant_keys(spec)]:
            self._say(problem)
        if self.user is not None and not self.errors and (missing := lacking(self.user, needed(spec))):
            self.add_error(None, ValidationError(ceiling_sentence(missing), code="ceiling"))

    def _name(self) -> None:
        rule = self.instance
        if not rule.name and not self.errors:
            rule.name = cut(str(told(rule, [], reader=Reader(self.user)).when), LONGEST_MADE_NAME)
        if not rule.slug:
            rule.slug = Rule.objects.free_slug(slugify(rule.name)[:LONGEST_MADE_SLUG].strip("-") or "rule")

    def _say(self, problem: Problem) -> None:
        _root, name, *rest = problem.pointer.split("/", 2)
        known = name in self.fields
        if known and (name in self.errors and not self._found_here(name)):
            return  # What could not be read at all was said already, and this is about the old value.
        inner = Problem("/" + rest[0], problem.message) if rest and name in ("condition", "changes") else None
        text = sentence(inner) if inner else problem.message if known else sentence(problem)
        self.add_error(name if known else None, ValidationError(text, code="rule"))
        if inner and known:
            self.fields[name].widget.problems.append(inner)

    def _found_here(self, name: str) -> bool:
        return all(error.code == "rule" for error in self.errors[name].as_data())
