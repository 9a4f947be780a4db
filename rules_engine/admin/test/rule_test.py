"""The page that tests a rule: every gate with what it saw, and each action as it would be. Nothing comes of it."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.kept.keeping import CannotBeKept, keep_context, note
from rules_engine.admin.kept.page import tests_url
from rules_engine.admin.parts.objects import ObjectsSeen
from rules_engine.admin.parts.rendering import json_block, text_block
from rules_engine.admin.parts.rule_page import page, refused, rule_for, switch_on_url, unseen
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.sentence import sentence_for
from rules_engine.admin.test.forms import RuleTestForm, change_forms, made_up
from rules_engine.admin.test.now import kept_now
from rules_engine.admin.test.test_mail import BUTTON, can_be_mailed, mail_me, own_address
from rules_engine.admin.why.gates import shown_gate
from rules_engine.context.paths import find_model
from rules_engine.context.signals import find_signal
from rules_engine.context.snapshot import plain
from rules_engine.errors import RulesEngineError
from rules_engine.models import Rule
from rules_engine.test.previews import Planned
from rules_engine.test.rule_test import Tested, event_of, tested_on_event, tested_on_object
from rules_engine.test.timed.tested import tested_when_due
from rules_engine.types import RuleSpec

VERDICTS = {
    "open": _("The rule would act."),
    "shut": _("The rule would not act."),
    "error": _("The rule could not be evaluated."),
    "not_recorded": _("That cannot be said: what the rule reads is not there."),
}


class RuleTestMixin:
    """Adds the page to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page, before the admin's own addresses, whose last one takes any."""
        view = self.admin_site.admin_view(self.test_view)
        return [path("<path:object_id>/test/", view, name="rules_engine_rule_test"), *super().get_urls()]  # type: ignore[misc]

    def test_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The form, and below it what came of it."""
        rule = rule_for(self, request, object_id)
        spec, title = rule.spec(), gettext("Test the rule")
        if why := unseen(request.user, spec):
            return refused(self, request, rule, title, why)
        data = request.POST if request.method == "POST" else None
        given = {"pk": request.GET.get("pk", ""), "context": None if spec.model else _usual_context(spec)}
        seen = ObjectsSeen(self.admin_site, request)
        form = RuleTestForm(spec, seen, data, initial=given)
        rows = change_forms(spec, seen, data)
        context: dict[str, Any] = {
            "form": form,
            "rows": rows,
            "lookup_url": _lookup_url(self.admin_site, spec.model),
            "switch_on_url": switch_on_url(request, rule),
            "sentence": sentence_for(rule, Reader(request.user)),
        }
        if data is not None and form.is_valid() and (rows is None or rows.is_valid()):
            try:
                test = _tested(spec, form, rows, request.user)
                if BUTTON in request.POST:
                    mail_me(self, request, rule, test)
                context["rule_test"] = {**shown_test(test, spec), **kept_now(request, rule, test)}
                context["own_address"] = own_address(request.user)
                if "_keep" in data:
                    return _kept(self, request, rule, test)
            except (RulesEngineError, LookupError, DatabaseError, CannotBeKept) as error:
                form.add_error(None, str(error))
        return page(self, request, rule, "test.html", title, **context)


def _kept(model_admin: Any, request: HttpRequest, rule: Rule, tested: Tested) -> HttpResponseBase:
    test = keep_context(rule, tested.context, request.POST.get("keep_name", ""))
    note(request, rule, gettext("Kept the test “%s”.") % test.name)
    model_admin.message_user(request, gettext("It is kept as the test “%s”.") % test.name, messages.SUCCESS)
    return HttpResponseRedirect(tests_url(rule))


def _tested(spec: RuleSpec, form: RuleTestForm, rows: Any, user: Any) -> Tested:
    if form.is_due:
        at = form.cleaned_data.get("due_at") or timezone.now()
        shown = form.seen.rows(form.model) if form.model is not None else None
        return tested_when_due(spec, form.object, at, user, shown, form.seen.is_shown)
    happening = form.happening(made_up(rows))
    if written := form.cleaned_data.get("context"):
        return tested_on_event(spec, event_of(spec, happening.signal, happening.operation, written), user)
    return tested_on_object(spec, form.object, happening, user)


def _lookup_url(admin_site: Any, label: str) -> str:
    """Where an object is chosen in a window of its own, as the admin does it for keys."""
    model = find_model(label) if label else None
    if model is None or not admin_site.is_registered(model):
        return ""
    try:
        url = reverse(f"{admin_site.name}:{model._meta.app_label}_{model._meta.model_name}_changelist")
    except NoReverseMatch:
        return ""
    return f"{url}?_to_field={model._meta.pk.name}"


def _usual_context(spec: RuleSpec) -> dict[str, Any]:
    named = find_signal(str(spec.signals[0])) if spec.signals else None
    return {"signal": dict.fromkeys(named.arguments) if named is not None else {}}


def shown_test(test: Tested, spec: RuleSpec) -> dict[str, Any]:
    """The test of a rule for the template."""
    titles = Titles.of(spec.model)
    return {
        "state": test.state,
        "verdict": VERDICTS[test.state],
        "is_cut": test.is_cut,
        "gates": [shown_gate(gate, titles) for gate in test.gates],
        "actions": [_shown_action(planned) for planned in test.actions],
        "context": json_block(plain(test.context)),
    }


def _shown_action(planned: Planned) -> dict[str, Any]:
    return {
        "label": planned.label,
        "timing": planned.action.timing,
        "trouble": planned.trouble,
        "count": planned.count,
        "mailed_by": planned.action.position if can_be_mailed(planned) else None,
        "previews": [
            {
                "summary": preview.summary,
                "details": [
                    (name, text_block(value) if isinstance(value, str) else json_block(plain(value)))
                    for name, value in preview.details.items()
                ],
            }
            for preview in planned.previews
        ],
    }
