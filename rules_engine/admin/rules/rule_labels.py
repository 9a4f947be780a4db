"""Labels of rules: typed with commas between them, a filter and groups of the list, and given to several at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import connections, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.models import Rule
from rules_engine.rules.validation import check_labels

#: The value of the filter for rules without any; a label is never empty.
NONE = "-"
PAGE = "admin/rules_engine/rule/label_selected.html"


def labels_in_use() -> list[str]:
    """Every label that some rule has, in the order of the alphabet. One query."""
    rules = Rule.objects.seen_here().exclude(labels__isnull=True).exclude(labels=[])
    rows = rules.values_list("labels", flat=True).distinct()
    return sorted({label for labels in rows for label in _texts(labels)}, key=lambda label: (label.casefold(), label))


def labels_of(rule: Rule) -> list[str]:
    """Its labels, as far as they are some."""
    return _texts(rule.labels)


def _texts(labels: Any) -> list[str]:
    return [label for label in labels if isinstance(label, str)] if isinstance(labels, list) else []


def with_label(rules: QuerySet[Rule], label: str) -> QuerySet[Rule]:
    """The rules that have the label."""
    if connections[rules.db].features.supports_json_field_contains:
        return rules.filter(labels__contains=[label])
    labelled = Rule.objects.using(rules.db).exclude(labels__isnull=True).exclude(labels=[]).values_list("pk", "labels")
    return rules.filter(pk__in=[pk for pk, labels in labelled if label in _texts(labels)])


class LabelFilter(admin.SimpleListFilter):
    """By label; shown where some rule has one."""

    title = _("label")
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        labels = labels_in_use()
        return [*((label, label) for label in labels), (NONE, gettext("none"))] if labels else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == NONE:
            return queryset.filter(Q(labels__isnull=True) | Q(labels=[]))
        return with_label(queryset, str(self.value())) if self.value() else queryset


class GroupFilter(admin.SimpleListFilter):
    """Not which rules there are, but in which order, with a heading above each group."""

    title = _("group")
    parameter_name = "group"
    #: What the list is ordered by, by what it is grouped by.
    ORDERS = {"label": "labels", "model": "model"}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("label", gettext("by label")), ("model", gettext("by model"))]

    def choices(self, changelist: Any) -> Any:
        """With a word for no groups in place of "All", which is about which rules there are."""
        first, *rest = super().choices(changelist)
        return [{**first, "display": gettext("not grouped")}, *rest]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset


class LabelsField(forms.Field):
    """A list of labels as a text with commas; None where there are none. What is stored stays as it is until edited."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, widget=forms.TextInput(attrs={"class": "vTextField"}), **options)

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(_texts(value)) if isinstance(value, list) else value

    def to_python(self, value: Any) -> list[str] | None:
        """The labels, each once; raises ``ValidationError``."""
        text = value if isinstance(value, str) else self.prepare_value(value)
        labels = list(dict.fromkeys(" ".join(part.split()) for part in (text or "").split(",")))
        found = [label for label in labels if label]
        check_labels(found)
        return found or None

    def has_changed(self, initial: Any, data: Any) -> bool:
        if self.disabled:
            return False
        try:
            return (self.to_python(data) or []) != _texts(initial)
        except ValidationError:
            return True

    def validate(self, value: Any) -> None: ...

    def run_validators(self, value: Any) -> None: ...


class LabellingForm(forms.Form):
    """Which labels several rules are to get, and which they are to lose."""

    add = LabelsField(label=_("Add"), help_text=_("With commas between them, such as: billing, urgent"))
    remove = forms.MultipleChoiceField(label=_("Remove"), required=False, widget=forms.CheckboxSelectMultiple)

    def __init__(self, present: Iterable[str], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        choices = [(label, label) for label in present]
        self.fields["remove"].choices = choices  # type: ignore[attr-defined]
        if not choices:
            del self.fields["remove"]

    def clean(self) -> dict[str, Any]:
        """Ask for something to be done."""
        asked = super().clean() or self.cleaned_data
        if not self.errors and not asked.get("add") and not asked.get("remove"):
            raise ValidationError(gettext("Name a label to add, or choose one to remove."), code="nothing")
        return asked

    def labels(self, rule: Rule) -> list[str]:
        """What the rule has then."""
        kept = [label for label in labels_of(rule) if label not in self.cleaned_data.get("remove", ())]
        return list(dict.fromkeys([*kept, *(self.cleaned_data["add"] or ())]))


@admin.action(description=_("Add or remove labels of selected rules"), permissions=["change"])
def label(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponseBase | None:
    """Ask which, then write them; what rules do stays as it is, and so does who answers for it."""
    rules = list(queryset.order_by("position", "slug"))
    present = sorted({label for rule in rules for label in labels_of(rule)}, key=str.casefold)
    form = LabellingForm(present, request.POST if "post" in request.POST else None)
    if form.is_valid():
        _write(model_admin, request, rules, form)
        return None
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": Rule._meta,
        "title": gettext("Labels of rules"),
        "media": model_admin.media,
        "form": form,
        "rules": rules[:20],
        "more": max(0, len(rules) - 20),
        "known": labels_in_use(),
        "across": request.POST.get("select_across") == "1",
        "chosen": [] if request.POST.get("select_across") == "1" else [rule.pk for rule in rules],
    }
    return TemplateResponse(request, PAGE, context)


def _write(model_admin: Any, request: HttpRequest, rules: list[Rule], form: LabellingForm) -> None:
    changed = 0
    with transaction.atomic():
        for rule in rules:
            labels = form.labels(rule)
            try:
                check_labels(labels)
            except ValidationError as error:
                model_admin.message_user(request, f"{rule}: {' '.join(error.messages)}", messages.ERROR)
                continue
            if labels != labels_of(rule):
                rule.labels = labels or None
                rule.save(update_fields=["labels", "updated_at"])
                model_admin.log_change(request, rule, gettext("Labels: %s.") % (", ".join(labels) or "–"))
                changed += 1
    text = ngettext("%(count)s rule was changed.", "%(count)s rules were changed.", changed) % {"count": changed}
    model_admin.message_user(request, text, messages.SUCCESS if changed else messages.INFO)
