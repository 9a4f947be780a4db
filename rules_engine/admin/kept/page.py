"""The page with the tests of a rule: what came of each, and buttons to keep, renew, edit and remove them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.kept.keeping import CannotBeKept, keep_event, note, renew, store
from rules_engine.admin.kept.verdicts import shown_tests, why_hidden
from rules_engine.admin.parts.json_fields import JSONTextField, sentence
from rules_engine.admin.parts.rule_page import page, refused, rule_for, switch_on_url, unseen
from rules_engine.context.paths import find_model
from rules_engine.models import Event, Rule, RuleTest
from rules_engine.rules.expected.expectation import expectation_problems
from rules_engine.surroundings.state import seen_from_here
from rules_engine.test.pasted import context_problems

CODE = {"class": "rules-code", "spellcheck": "false", "autocomplete": "off"}
EDIT_TEST = "rules_engine_rule_edit_test"
#: Digits of a test's key.
LONGEST_KEY = 18
VIEW_EVENT = "rules_engine.view_event"


class KeptTestsMixin:
    """Adds the pages to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The pages, before the admin's own addresses, whose last one takes any."""
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/tests/", wrap(self.tests_view), name="rules_engine_rule_tests"),
            path(
                "<path:object_id>/tests/<int:test_id>/", wrap(self.edit_test_view), name="rules_engine_rule_edit_test"
            ),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def tests_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The tests with what came of each; by POST one is kept of an event, renewed or removed."""
        rule = rule_for(self, request, object_id)
        title = gettext("Tests of the rule")
        if why := unseen(request.user, rule.spec()):
            return refused(self, request, rule, title, why)
        if request.method == "POST":
            try:
                self.message_user(request, _done(request, rule), messages.SUCCESS)
            except CannotBeKept as error:
                self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(tests_url(rule))
        tests = shown_tests(request, rule)
        failed = sum(not test["is_passed"] for test in tests)
        context: dict[str, Any] = {"tests": tests, "failed": failed, "switch_on_url": switch_on_url(request, rule)}
        return page(self, request, rule, "tests.html", title, **context)

    def edit_test_view(self: Any, request: HttpRequest, object_id: str, test_id: int) -> HttpResponseBase:
        """The form of one test."""
        rule = rule_for(self, request, object_id)
        test, title = _test_of(rule, test_id), gettext("Edit the test")
        if why := unseen(request.user, rule.spec()) or why_hidden(request, rule.spec(), test):
            return refused(self, request, rule, title, why)
        form = KeptTestForm(request.POST if request.method == "POST" else None, instance=test)
        if request.method == "POST" and form.is_valid():
            try:
                store(form.instance)
            except CannotBeKept as error:
                form.add_error(None, str(error))
            else:
                note(request, rule, gettext("Edited the test “%s”.") % form.instance.name)
                self.message_user(request, gettext("The test “%s” was saved.") % form.instance.name, messages.SUCCESS)
                return HttpResponseRedirect(tests_url(rule))
        return page(self, request, rule, "edit_test.html", title, form=form, tests_url=tests_url(rule))


def tests_url(rule: Rule) -> str:
    """Where the tests of the rule are."""
    return reverse("admin:rules_engine_rule_tests", args=[rule.pk])


def _test_of(rule: Rule, test_id: Any) -> RuleTest:
    key = str(test_id)
    if not key.isdecimal() or len(key) > LONGEST_KEY:
        raise Http404
    return get_object_or_404(RuleTest, rule=rule, pk=int(key))


def _done(request: HttpRequest, rule: Rule) -> str:
    """Do what was asked for, and return what to say of it. Raises ``CannotBeKept``."""
    if "event" in request.GET:
        return _kept_of_event(request, rule, request.GET["event"])
    if "renew" in request.POST:
        test = _test_of(rule, request.POST["renew"])
        _refuse_hidden(request, rule, test)
        renew(rule, test)
        note(request, rule, gettext("The test “%s” expects what the rule does now.") % test.name)
        return gettext("The test “%s” expects what the rule does now.") % test.name
    test = _test_of(rule, request.POST.get("remove", ""))
    _refuse_hidden(request, rule, test)
    test.delete()
    note(request, rule, gettext("Removed the test “%s”.") % test.name)
    return gettext("The test “%s” was removed.") % test.name


def _refuse_hidden(request: HttpRequest, rule: Rule, test: RuleTest) -> None:
    if why := why_hidden(request, rule.spec(), test):
        raise CannotBeKept(why)


def _kept_of_event(request: HttpRequest, rule: Rule, key: str) -> str:
    if not request.user.has_perm(VIEW_EVENT):
        raise PermissionDenied
    try:
        event = Event.objects.filter(pk=key, **seen_from_here()).first()
    except (ValidationError, ValueError):
        event = None
    if event is None:
        raise Http404(gettext("There is no such event."))
    test = keep_event(request, rule, event)
    note(request, rule, gettext("Kept the test “%s”.") % test.name)
    return gettext("The event is kept as the test “%s”.") % test.name


class KeptTestForm(forms.ModelForm):
    """A test as it is stored, with its JSON as text."""

    context = JSONTextField(label=_("Sample"), empty={}, widget=forms.Textarea(attrs={**CODE, "rows": 12}))
    expected = JSONTextField(label=_("Expected"), empty={}, widget=forms.Textarea(attrs={**CODE, "rows": 12}))

    class Meta:
        model = RuleTest
        fields = ("name", "occurred_at", "context", "expected")

    def clean_context(self) -> Any:
        """Say where the sample is not shaped as an event's context is."""
        context, label = self.cleaned_data["context"], self.instance.rule.model
        if not isinstance(context, dict):
            raise ValidationError(gettext('Expected an object, such as {"instance": {…}}.'))
        told = {name: value for name, value in context.items() if name != "event"}
        if problems := context_problems(told, find_model(label) if label else None):
            raise ValidationError([sentence(problem) for problem in problems[:5]])
        return context

    def clean_expected(self) -> Any:
        """Say what of it no test can expect."""
        expected = self.cleaned_data["expected"]
        if problems := expectation_problems(expected):
            raise ValidationError([sentence(problem) for problem in problems[:5]])
        return expected
