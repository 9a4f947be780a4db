"""The rule as it stands in a form that is still being filled in, valid or not: what its sentence is made of."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.urls import path
from django.utils import timezone

from rules_engine.admin.cards.next_times import next_times_said
from rules_engine.admin.parts.rule_page import rule_for
from rules_engine.admin.prose.condition import UNREADABLE
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.sentence import sentence_for
from rules_engine.admin.rules.action_lines import action_lines
from rules_engine.models import Rule, RuleAction
from rules_engine.types import ActionSpec, RuleSpec


class SentenceMixin:
    """Adds the address that tells a form as a sentence to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The address, before the admin's own, whose last one takes any."""
        view = self.admin_site.admin_view(self.sentence_view)
        return [path("sentence/", view, name="rules_engine_rule_sentence"), *super().get_urls()]  # type: ignore[misc]

    def sentence_view(self: Any, request: HttpRequest) -> HttpResponseBase:
        """The posted form as a sentence, piece by piece, each action as a line, and when it acts next; ``?pk=`` names
        the rule that is edited. Nothing is saved."""
        key = request.GET.get("pk")
        rule = rule_for(self, request, key, "") if key else None
        if rule is None and not self.has_add_permission(request):
            raise PermissionDenied
        spec = rule.spec() if rule is not None else Rule().spec_with([])
        if request.method == "POST" and (rule is None or self.has_change_permission(request, rule)):
            spec = drafted(self, request, rule)
        reader = Reader(request.user)
        told = sentence_for(rule or Rule(), reader, spec)
        parts = [{"text": part.text, "kind": part.kind} for part in told.whole.parts]
        times = next_times_said(spec, timezone.now())
        return JsonResponse({"parts": parts, "actions": action_lines(spec, reader), "times": times})


def drafted(model_admin: Any, request: HttpRequest, rule: Rule | None) -> RuleSpec:
    """The rule of the posted form; what cannot be read there is as if it had been left empty."""
    draft = copy.copy(rule) if rule is not None else Rule()
    form = model_admin.get_form(request, rule, change=rule is not None)(request.POST, instance=copy.copy(draft))
    for name, value in _typed(form, Rule):
        setattr(draft, name, value)
    actions = [spec for formset in _formsets(model_admin, request, rule) for spec in _actions(formset)]
    return draft.spec_with(sorted(actions, key=lambda action: action.position))


def _formsets(model_admin: Any, request: HttpRequest, rule: Rule | None) -> Iterator[Any]:
    for formset_class, inline in model_admin.get_formsets_with_inlines(request, rule):
        if issubclass(formset_class.model, RuleAction):
            prefix = formset_class.get_default_prefix()
            options = model_admin.get_formset_kwargs(request, rule or Rule(), inline, prefix)
            yield formset_class(**options)


def _actions(formset: Any) -> Iterator[ActionSpec]:
    """Its rows in their order, without those that are to go and those that nobody has begun to fill in."""
    last = -1
    for form in formset.forms:
        is_going = formset.can_delete and form.data.get(form.add_prefix("DELETE"))
        if is_going or (form.instance.pk is None and not form.has_changed()):
            continue
        action = copy.copy(form.instance)
        for name, value in _typed(form, RuleAction):
            setattr(action, name, value)
        spec = action.spec()
        # An empty place is the last one.
        place = spec.position if isinstance(spec.position, int) else last + 1
        last = max(last, place)
        yield replace(spec, position=place)


def _typed(form: Any, model: Any) -> Iterator[tuple[str, Any]]:
    """Each field by itself: one that is wrong says nothing of the others."""
    columns = {column.name: column for column in model._meta.concrete_fields}
    for name, field in form.fields.items():
        if name not in columns or field.disabled:
            continue
        given = field.widget.value_from_datadict(form.data, form.files, form.add_prefix(name))
        try:
            yield name, field.clean(given)
        except ValidationError:
            yield name, UNREADABLE if name == "condition" else columns[name].get_default()
