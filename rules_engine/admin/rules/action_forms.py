"""The rows of actions below a rule's form. Here the whole rule is validated, and each problem is said at its field."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.limits.keys import ROWS, Group, KeyWidget, rows
from rules_engine.admin.limits.spans import Span, SpanField
from rules_engine.admin.parts import choices
from rules_engine.admin.parts.json_fields import (
    JSONTextField,
    RowsField,
    sentence,
)
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.rules.action_lines import USUAL, action_line, row_words
from rules_engine.admin.rules.forms import ceiling_sentence
from rules_engine.admin.rules.jsonform import ConfigWidget, forms_by_kind
from rules_engine.errors import Problem
from rules_engine.models import RuleAction
from rules_engine.rules import registry
from rules_engine.rules.holding import LONGEST_DELAY
from rules_engine.rules.permissions import lacking, needed, needed_by_action
from rules_engine.rules.validation import MOST_ACTIONS, rule_problems
from rules_engine.types import RuleSpec

#: Far above any place that people give, so that rows can change places without meeting on the way.
OUT_OF_THE_WAY = 1_000_000


def _kind_choices() -> list[choices.Choice]:
    return choices.kinds()


class RuleActionForm(forms.ModelForm):
    """One action. A kind that is not installed here is shown and kept; only its place and switch can be changed."""

    kind = forms.ChoiceField(label=_("What to do"), choices=_kind_choices)
    timing = forms.ChoiceField(
        label=_("When"),
        choices=[("", _("– as is usual for it –")), *RuleAction.Timing.choices],
        required=False,
        help_text=_("After the commit is safest: nobody waits for it, and what fails is tried again."),
    )
    position = forms.IntegerField(
        label=_("Place"), required=False, min_value=0, max_value=OUT_OF_THE_WAY - 1, help_text=_("Empty: last.")
    )
    config = JSONTextField(label=_("Settings"), empty={}, widget=ConfigWidget())
    for_each = RowsField(
        label=_("Once for each of"),
        required=False,
        widget=KeyWidget(ROWS, {"data-title": _("Once for each of")}),
        help_text=_(
            "Texts then read the one as each: {{ each.name }}. Own text: a relation, or JSONLogic that gives a list."
        ),
    )
    delay = SpanField(
        label=_("Delay"),
        least=0,
        most=LONGEST_DELAY,
        suggested=Span("", "minutes"),
        help_text=_("Counted from the commit; at most 30 days. Empty: at once."),
    )
    at = forms.CharField(
        label=_("Wait until"),
        required=False,
        max_length=5,
        widget=forms.TextInput(attrs={"size": 5, "placeholder": "18:00", "inputmode": "numeric"}),
        help_text=_("After the delay it waits for the next such time of day. Empty: for none."),
    )
    zone = forms.CharField(
        label=_("Time zone"),
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"size": 20, "placeholder": "Europe/Berlin", "autocapitalize": "off"}),
        help_text=_("Of that time of day. Empty: the site's."),
    )
    asks_again = forms.BooleanField(
        label=_("Only if it still holds"),
        required=False,
        help_text=_(
            "When it is due, the condition is asked again, of the object as it is then. If it does not hold, or the "
            "object is gone, nothing is done, and the record says so."
        ),
    )
    on_failure = forms.ChoiceField(
        label=_("If it fails"),
        choices=RuleAction.OnFailure.choices,
        required=False,
        # What a browser posts of a row in which nobody chose anything.
        initial=RuleAction.OnFailure.GO_ON,
        help_text=_(
            "For good, after its last attempt. At once in the same transaction, the change itself is undone where "
            "the next actions are not carried out."
        ),
    )

    #: Set by the formset: the rule as it was typed above, and who reads what the row says.
    rule: RuleSpec
    reader: Reader

    class Meta:
        model = RuleAction
        fields = (
            "position",
            "kind",
            "timing",
            "enabled",
            "config",
            "for_each",
            "delay",
            "at",
            "zone",
            "asks_again",
            "on_failure",
        )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.instance.is_checked_by_form = True
        self.stored_kind = self.instance.kind
        if self.instance.pk is None:
            self.initial["position"] = None
            return
        if "config" in self.fields:
            self.fields["config"].stored = self.instance.config  # type: ignore[attr-defined]
        if self.is_unknown and "kind" in self.fields:
            self._keep_as_it_is()

    @property
    def is_unknown(self) -> bool:
        """Whether the stored action is of a kind that is not installed here."""
        return self.instance.pk is not None and registry.find(self.stored_kind) is None

    def usual(self, name: str) -> Any:
        """What a field is where nobody chose anything: the section it is in stays folded."""
        kind = self["kind"].value() if self.is_bound else self.instance.kind
        action = registry.find(str(kind or ""))
        if name == "timing" and action is not None:
            return action.timings[0]
        if name == "position":  # one place is as usual as another
            return self["position"].value() if self.is_bound else self.instance.position
        column: Any = RuleAction._meta.get_field(name)
        return column.get_default()

    @property
    def line(self) -> str:
        """What a folded row says: what it does, and with what."""
        return action_line(self.instance.spec(), self.rule, self.reader)

    def _keep_as_it_is(self) -> None:
        kind = self.stored_kind
        self.fields["kind"].choices = choices.kinds(kind)  # type: ignore[attr-defined]
        for name in ("kind", "timing", "config", "for_each", "delay", "at", "zone", "asks_again", "on_failure"):
            self.fields[name].disabled = True
        reason = gettext("It is kept as it is, and done by workers that know the kind. To be rid of it, delete it.")
        # Django does not escape help texts.
        self.fields["kind"].help_text = format_html("{} {}", registry.unknown(kind), reason)

    def clean_timing(self) -> str:
        """The kind's first timing, where none was posted."""
        action = registry.find(str(self.cleaned_data.get("kind")))
        return self.cleaned_data["timing"] or (action.timings[0] if action else RuleAction.Timing.AFTER_COMMIT)

    def clean_delay(self) -> int:
        """None given is none."""
        return self.cleaned_data["delay"] or 0

    def clean_on_failure(self) -> str:
        """The usual, where nothing was posted."""
        return self.cleaned_data["on_failure"] or RuleAction.OnFailure.GO_ON

    # The formset sees to this: rows change places, and each alone would be held against what is stored.
    def validate_unique(self) -> None: ...

    def validate_constraints(self) -> None: ...

    def say(self, problems: list[Problem]) -> None:
        """Put problems, with pointers into the action, at this row's fields."""
        for problem in problems:
            name, _slash, rest = problem.pointer.removeprefix("/").partition("/")
            inner = Problem("/" + rest if rest else "", problem.message)
            self.add_error(name if name in self.fields else None, sentence(inner))
            if name == "config":
                self.fields["config"].widget.problems.append(inner)


class RuleActionFormSet(forms.BaseInlineFormSet):
    """The rows of a rule's actions, validated against the rule as it was typed above them."""

    user: Any = None

    def add_fields(self, form: Any, index: int | None) -> None:
        """The usual, and settings and rows that offer what this user may choose from."""
        super().add_fields(form, index)
        form.rule, form.reader = self._rule, self._reader
        if "for_each" in form.fields:
            form.fields["for_each"].widget.offered = self._rows_offered
        if "config" in form.fields:
            form.fields["config"].widget.kinds = self._kinds

    @property
    def told(self) -> str:
        """What the script of the rows needs to know."""
        return json.dumps(
            {**row_words(), "usual": [kind for kind in USUAL if kind in self._kinds], "most": MOST_ACTIONS}
        )

    @cached_property
    def _rule(self) -> RuleSpec:
        rule: RuleSpec = self.instance.spec_with([])
        return rule

    @cached_property
    def _reader(self) -> Reader:
        return Reader(self.user)

    @cached_property
    def _rows_offered(self) -> list[Group]:
        return rows(self.instance.model, self.user)

    @cached_property
    def _kinds(self) -> dict[str, Any]:
        return forms_by_kind(self.user)

    def clean(self) -> None:
        """Give places, then hold each action against the rule and against what its author may do."""
        rows = list(self._rows())
        self._place(rows)
        sound = [row for row in rows if not row.errors and not row.is_unknown]
        spec = self.instance.spec_with([row.instance.spec() for row in sound])
        problems = rule_problems(spec)
        for index, row in enumerate(sound):
            place = f"/actions/{index}"
            own = [
                problem for problem in problems if problem.pointer == place or problem.pointer.startswith(place + "/")
            ]
            row.say([Problem(problem.pointer.removeprefix(place), problem.message) for problem in own])
            if not problems:
                self._check_ceiling(row, spec)

    def _rows(self) -> Iterator[RuleActionForm]:
        rows: list[Any] = self.forms
        going = [row for row in rows if self.can_delete and row.cleaned_data.get("DELETE")]
        for form in rows:
            is_blank = form.instance.pk is None and not form.has_changed()
            if not is_blank and form not in going:
                yield form

    def _place(self, rows: list[RuleActionForm]) -> None:
        taken = self._unseen_places()
        for row in rows:
            place = row.cleaned_data.get("position") if hasattr(row, "cleaned_data") else None
            if place in taken:
                row.add_error("position", gettext("Two actions have the place %s; give each its own.") % place)
            elif place is not None:
                taken.add(place)
        for row in rows:
            if hasattr(row, "cleaned_data") and row.cleaned_data.get("position", 0) is None:
                row.instance.position = row.cleaned_data["position"] = max(taken, default=-1) + 1
                taken.add(row.instance.position)

    def _unseen_places(self) -> set[int]:
        """The places of actions that the rule was given after this page was drawn."""
        drawn = [form.instance.pk for form in self.forms if form.instance.pk is not None]
        others = RuleAction.objects.filter(rule_id=self.instance.pk).exclude(pk__in=drawn)
        return set(others.values_list("position", flat=True)) if self.instance.pk else set()

    def _check_ceiling(self, row: RuleActionForm, spec: RuleSpec) -> None:
        if self.user is None:
            return
        # What the rule itself takes is said above the rows.
        wanted = needed_by_action(row.instance.spec(), spec) - needed(replace(spec, actions=()))
        if missing := lacking(self.user, wanted):
            row.add_error(None, ValidationError(ceiling_sentence(missing), code="ceiling"))

    def save(self, commit: bool = True) -> Any:
        """Save the rows; those that move, or go, first make room."""
        if commit:
            moving = [
                form.instance.pk
                for form in self.initial_forms
                if "position" in form.changed_data or form in self.deleted_forms
            ]
            RuleAction.objects.filter(pk__in=moving).update(position=F("position") + OUT_OF_THE_WAY)
        return super().save(commit)
