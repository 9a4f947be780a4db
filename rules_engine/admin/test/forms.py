"""What a rule is tested with: an object and a change that is made up, or a context that somebody pastes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import MAXYEAR, MINYEAR
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.json_fields import JSONTextField, sentence
from rules_engine.admin.parts.labels import OPERATION_WORDS, signal_words
from rules_engine.admin.parts.objects import ObjectsSeen
from rules_engine.context.paths import ModelClass, field_of, find_model, readable_fields, steps
from rules_engine.context.signals import MODEL_SIGNALS, OPERATIONS, find_signal
from rules_engine.rules.permissions import may_view
from rules_engine.rules.schedules.kinds import is_on_time_alone, tells
from rules_engine.test.pasted import Named, context_problems, objects_named
from rules_engine.test.subjects import AS_IT_IS, Happening, MadeUp
from rules_engine.types import RuleSpec

LATEST = 10
#: Empty rows below those that the rule asks for.
SPARE = 2
MOST_CHANGES = 30
#: Of a pasted context, so many are said at once.
MOST_PROBLEMS = 5
#: Of a key that is written in digits; Python reads no number of more than 4300.
LONGEST_NUMBER = 40
CODE = {"class": "rules-code", "spellcheck": "false", "autocomplete": "off"}


class RuleTestForm(forms.Form):
    """The object and what is to have happened to it."""

    latest = forms.ChoiceField(label=_("One of the latest"), required=False)
    pk = forms.CharField(label=_("Or any other, by its key"), required=False, max_length=255)
    signal = forms.ChoiceField(label=_("What happens"))
    operation = forms.ChoiceField(label=_("It is"), required=False)
    relation = forms.ChoiceField(label=_("Many-to-many field"), required=False)
    others = forms.CharField(label=_("Keys added or removed"), required=False, help_text=_("Such as 3, 7."))
    arguments = JSONTextField(
        label=_("What the signal sends"), empty={}, widget=forms.Textarea(attrs={**CODE, "rows": 4})
    )
    due_at = forms.DateTimeField(
        label=_("As if it were due at"),
        required=False,
        help_text=_("Empty: now."),
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    context = JSONTextField(
        label=_("Or a context, as JSON"),
        empty={},
        widget=forms.Textarea(attrs={**CODE, "rows": 8}),
        help_text=_("Such as that of an event. If there is one, it is taken instead of the object."),
    )

    def __init__(self, spec: RuleSpec, seen: ObjectsSeen, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.spec, self.seen = spec, seen
        self.model = find_model(spec.model) if spec.model else None
        self.object: Any = None
        chosen: Any = self.fields
        chosen["signal"].choices = [(name, signal_words(str(name))) for name in spec.signals]
        chosen["operation"].choices = [(operation, OPERATION_WORDS[operation]) for operation in _operations(spec)]
        chosen["latest"].choices = [("", "–"), *self._latest()]
        self._choose(str(self.initial.get("pk", "")))
        chosen["relation"].choices = [(name, name) for name in self._relations()]
        #: A rule that acts by the clock is tested as if it were due, on an object where it acts on one at a time.
        self.is_due = is_on_time_alone(spec)
        self.is_of_object = self.model is not None and "rows" not in tells(spec.schedule)
        unused = ["signal", "arguments", "context"] if self.is_due else ["due_at"]
        unused += ["pk", "latest"] if self.is_due and not self.is_of_object else []
        unused += [] if self.model is not None else ["pk", "latest", "operation"]
        unused += [] if "m2m_changed" in spec.signals else ["relation", "others"]
        unused += [] if self.model is not None and _own_signals(spec) else ["arguments"]
        unused += [] if len(_operations(spec)) > 1 else ["operation"]
        for name in set(unused):
            del self.fields[name]

    def _choose(self, key: str) -> None:
        """The object that a link named: in the list, where it is there, so that choosing another one there counts."""
        if key in dict(self.fields["latest"].choices):  # type: ignore[attr-defined]
            self.initial = {**self.initial, "latest": key, "pk": ""}

    def _latest(self) -> list[tuple[str, str]]:
        if self.model is None:
            return []
        return [(str(row.pk), f"{row} ({row.pk})") for row in self.seen.latest(self.model, LATEST)]

    def _relations(self) -> list[str]:
        """The many-to-many fields that lead to what the user may view."""
        may = may_view(self.seen.request.user)
        named = steps(self.model).items() if self.model is not None else ()
        return [
            name
            for name, step in named
            if step.model is not None and getattr(step.field, "many_to_many", False) and may(step.model)
        ]

    def clean(self) -> Any:
        """Find the object, unless there is a context."""
        given = super().clean() or {}
        at = given.get("due_at")
        if at is not None and not MINYEAR + 1 < at.year < MAXYEAR - 1:
            self.add_error("due_at", gettext("There is no such time in the calendar."))
        if self.is_due and not self.is_of_object:
            return given
        if given.get("context"):
            self._check_context(given["context"])
        elif self.model is None:
            if "context" not in self.errors:
                self.add_error("context", gettext("This rule listens to no model: write what the signal sends."))
        elif "context" not in self.errors:
            self._find(self.model, given.get("pk") or given.get("latest"))
        if "arguments" in self.fields and not isinstance(given.get("arguments", {}), dict):
            self.add_error("arguments", gettext('Expected an object, such as {"reason": "…"}.'))
        self._check_others(given.get("relation", ""), given.get("others", ""))
        return given

    def _find(self, model: ModelClass, key: Any) -> None:
        if not key:
            self.add_error("pk", gettext("Choose an object, or paste a context."))
            return
        self.object = self.seen.find(model, key)
        if self.object is None:
            self.add_error("pk", gettext('There is no object "%s" that you may see.') % key)

    def _check_context(self, context: Any) -> None:
        """A context whose shape is none would be an error in whatever reads it; the objects it names are looked up."""
        if not isinstance(context, dict):
            self.add_error("context", gettext('Expected an object, such as {"instance": {…}}.'))
        elif problems := context_problems(context, self.model):
            self.add_error("context", [sentence(problem) for problem in problems[:MOST_PROBLEMS]])
        elif self.model is not None and (hidden := self.seen.hidden_of(objects_named(context, self.model))):
            self.add_error("context", _not_seen(hidden))

    def _check_others(self, relation: str, written: str) -> None:
        model = _end_of(self.model, relation)
        named = [Named(model, "pk", key) for key in keys_of(written)] if model is not None else []
        if model is not None and self.seen.hidden_of(named):
            self.add_error("others", _not_seen(model))

    def happening(self, changes: list[MadeUp]) -> Happening:
        """What was chosen."""
        given = self.cleaned_data
        signal, operations = given["signal"], OPERATIONS.get(given["signal"], ())
        wanted = given.get("operation") or next(iter(_operations(self.spec)), None)
        operation: Any = wanted if wanted in operations else next(iter(operations), None)
        arguments = given.get("arguments") or {}
        return Happening(
            signal, operation, changes, arguments, given.get("relation", ""), keys_of(given.get("others", ""))
        )


def _operations(spec: RuleSpec) -> list[str]:
    """Those that the rule's signals come with; the ones it asks for first."""
    known = [operation for name in spec.signals for operation in OPERATIONS.get(name, ())]
    wanted = [str(operation) for operation in spec.operations if operation in known]
    usual = sorted(dict.fromkeys(known), key=lambda operation: (operation not in wanted, operation != "update"))
    return [operation for operation in usual if operation in OPERATION_WORDS]


def keys_of(text: str) -> list[Any]:
    """Read the keys that somebody wrote with commas between."""
    written = [key.strip() for key in text.split(",") if key.strip()]
    return [int(key) if key.isdecimal() and len(key) < LONGEST_NUMBER else key for key in written]


def _end_of(model: ModelClass | None, relation: str) -> ModelClass | None:
    step = steps(model).get(relation) if model is not None else None
    return step.model if step is not None else None


def _not_seen(model: ModelClass) -> str:
    text = gettext("It names an object that you may not see (%s).")
    return text % model._meta.verbose_name


def _own_signals(spec: RuleSpec) -> list[str]:
    return [name for name in spec.signals if name not in MODEL_SIGNALS and find_signal(name) is not None]


class ChangeForm(forms.Form):
    """One field's values before and after. Set on the class that ``change_forms`` makes: the model, and whose objects
    may be named."""

    model: Any = None
    seen: Any = None

    field = forms.ChoiceField(label=_("Field"), required=False)
    old = forms.CharField(label=_("Before"), required=False, strip=False)
    new = forms.CharField(label=_("After"), required=False, strip=False)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        named = [(field.name, f"{field.verbose_name} ({field.name})") for field in readable_fields(self.model)]
        self.fields["field"].choices = [("", "–"), *named]  # type: ignore[attr-defined]

    def clean(self) -> Any:
        """The texts as values of the field."""
        given = super().clean() or {}
        if not given.get("field"):
            if given.get("old") or given.get("new"):
                self.add_error("field", gettext("Choose the field."))
            return given
        field = field_of(self.model, given["field"])
        for name in ("old", "new"):
            try:
                given[name] = _value(field, given.get(name) or "")
            except (ValidationError, ValueError, TypeError, ArithmeticError) as error:
                said = (
                    error.messages[0] if isinstance(error, ValidationError) else gettext("It does not take this value.")
                )
                self.add_error(name, said)
            else:
                self._check_object(name, field, given[name])
        return given

    def _check_object(self, name: str, field: Any, value: Any) -> None:
        """A key that is made up would be followed to the object that has it."""
        target = getattr(field, "target_field", None)
        model, column = (self.model, "pk") if field.primary_key else (field.related_model, target and target.attname)
        if value in (None, AS_IT_IS) or model is None or column is None:
            return
        if self.seen.hidden_of([Named(model, column, value)]):
            self.add_error(name, _not_seen(model))


def _value(field: Any, text: str) -> Any:
    if text == "":
        return AS_IT_IS
    if text == "null":
        return None
    target = field.target_field if isinstance(field, models.ForeignKey) else field
    if isinstance(target, models.JSONField):
        return JSONTextField(empty=None).to_python(text)
    return target.to_python("" if text == '""' else text)


def change_forms(spec: RuleSpec, seen: ObjectsSeen, data: Any = None) -> Any:
    """The rows of changes, begun with those that the rule asks for; None for a rule on no model."""
    model = find_model(spec.model) if spec.model else None
    if model is None or not {"pre_save", "post_save"} & set(spec.signals):
        return None
    form = type("ModelChangeForm", (ChangeForm,), {"model": model, "seen": seen})
    begun = list(_begun(spec, {field.name for field in readable_fields(model)}))
    made: Any = forms.formset_factory(
        form,
        extra=len(begun) + SPARE if data is None else 0,
        max_num=MOST_CHANGES,
        validate_max=True,
        absolute_max=MOST_CHANGES + 1,
    )
    return made(data, prefix="changes", initial=begun if data is None else None)


def _begun(spec: RuleSpec, known: set[str]) -> Iterator[dict[str, str]]:
    for change in spec.changes:
        if change.get("field") in known:
            yield {
                "field": change["field"],
                "old": _text(change["from"]) if "from" in change else "",
                "new": _text(change["to"]) if "to" in change else "",
            }


def _text(value: Any) -> str:
    return "null" if value is None else '""' if value == "" else str(value)


def made_up(rows: Any) -> list[MadeUp]:
    """The changes of a valid formset."""
    filled = [row.cleaned_data for row in rows.forms if row.cleaned_data.get("field")] if rows is not None else []
    return [MadeUp(row["field"], row["old"], row["new"]) for row in filled]
