"""The page that runs a rule, saved or as it is being edited, over recorded events."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.forms.formsets import all_valid
from django.http import HttpRequest, HttpResponseBase
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.parts.rendering import object_link, page_url
from rules_engine.admin.parts.rule_page import page, refused, rule_for, unseen
from rules_engine.admin.times.shown import Times
from rules_engine.models import Event, Recording, Rule
from rules_engine.rules.gates import title_of
from rules_engine.rules.permissions import may_view
from rules_engine.test.backtest import MOST, AnotherForm, AsItWas, Baseline, Listed, Result, run
from rules_engine.types import ActionSpec, RuleSpec

WINDOWS = [
    (1, _("the last hour")),
    (24, _("the last day")),
    (7 * 24, _("the last week")),
    (30 * 24, _("the last 30 days")),
]
USUAL_WINDOW = 7 * 24
WINDOW = "_window"


class WindowForm(forms.Form):
    """How far back."""

    _window = forms.TypedChoiceField(label=_("Events of"), choices=WINDOWS, coerce=int, initial=USUAL_WINDOW)


class BacktestMixin:
    """Adds the page to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.backtest_view)
        return [path("<path:object_id>/backtest/", view, name="rules_engine_rule_backtest"), *super().get_urls()]  # type: ignore[misc]

    def backtest_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """GET runs the saved rule beside what it did; POST the rule form as it stands beside the saved rule."""
        rule = rule_for(self, request, object_id)
        saved, title = rule.spec(), gettext("Run over recorded events")
        spec = saved
        baseline: Baseline = AsItWas(saved.slug)
        is_edited = request.method == "POST"
        if is_edited:
            edited = self._edited(request, object_id)
            if edited is None:
                url = reverse("admin:rules_engine_rule_change", args=[rule.pk])
                answer: HttpResponseBase = self.changeform_view(request, object_id, form_url=url)
                return answer
            spec, baseline = edited, AnotherForm.of(saved)
        if why := unseen(request.user, spec) or unseen(request.user, saved):
            return refused(self, request, rule, title, why)
        given = request.POST if is_edited else request.GET
        window = WindowForm({WINDOW: given.get(WINDOW, USUAL_WINDOW)})
        hours = window.cleaned_data[WINDOW] if window.is_valid() else USUAL_WINDOW
        result = run(spec, baseline, timezone.now() - timedelta(hours=hours), may_view=may_view(request.user))
        context: dict[str, Any] = {
            "window": window,
            "is_edited": is_edited,
            "hidden": list(_hidden(request)) if is_edited else (),
        }
        times = Times(request, spec)
        if times.is_timed:
            now = timezone.now()
            context["by_clock"] = times.between(now - timedelta(hours=hours), now)
        return page(self, request, rule, "backtest.html", title, **context, **_shown(spec, result))

    def _edited(self: Any, request: HttpRequest, object_id: str) -> RuleSpec | None:
        """The rule that the posted form would make; None where it has errors. Nothing is saved."""
        rule: Rule = self.get_object(request, object_id)
        if not self.has_change_permission(request, rule):
            raise PermissionDenied
        form = self.get_form(request, rule, change=True)(request.POST, request.FILES, instance=rule)
        is_valid = form.is_valid()
        formsets, _inlines = self._create_formsets(request, form.instance, change=True)
        if not (all_valid(formsets) and is_valid):
            return None
        spec: RuleSpec = form.instance.spec_with([spec for formset in formsets for spec in _specs(formset)])
        return spec


def _specs(formset: Any) -> list[ActionSpec]:
    """The actions as they stand in the valid rows."""
    rows = [form for form in formset.forms if form.instance.pk is not None or form.has_changed()]
    return [form.instance.spec() for form in rows if form not in formset.deleted_forms]


def _hidden(request: HttpRequest) -> Iterable[tuple[str, str]]:
    """What was posted, to be posted again."""
    for name, values in request.POST.lists():
        if name not in (WINDOW, "csrfmiddlewaretoken") and not name.startswith("_save"):
            yield from ((name, str(value)) for value in values)


def _shown(spec: RuleSpec, result: Result) -> dict[str, Any]:
    recording = Recording.objects.current().filter(model=spec.model.lower()).first() if spec.model else None
    titles = Titles.of(spec.model)
    return {
        "result": result,
        "most": MOST,
        "stopped": [(title_of(name), count) for name, count in result.stopped.most_common()],
        "errors": result.errors.most_common(5),
        "missing": [(titles.title(name), count) for name, count in result.missing.most_common(5)],
        "lists": [
            (gettext("Would act on, and did not"), _listed(result.newly)),
            (gettext("Acted on, and would no longer"), _listed(result.no_longer)),
            (gettext("Would act on"), _listed(result.fired)),
        ],
        "recording": recording,
        "record_url": f"{reverse('admin:rules_engine_recording_add')}?model={spec.model}" if spec.model else "",
    }


def _listed(listed: Listed) -> dict[str, Any]:
    events = [{"event": event, "url": page_url("event", event.pk), "object": _object(event)} for event in listed.events]
    return {"count": listed.count, "events": events, "more": listed.count - len(events)}


def _object(event: Event) -> Any:
    return object_link(event.model, event.key_here) if event.model else ""
