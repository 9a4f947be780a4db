"""Before a rule is switched on its tests run: where some fail, whoever wants it all the same says so."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext

from rules_engine.admin.kept.verdicts import failing_words, shown_tests
from rules_engine.admin.parts.rule_page import TEST, page, unseen
from rules_engine.models import Rule
from rules_engine.test.kept.running import Verdict, failing


def tests_fail_page(model_admin: Any, request: HttpRequest, rule: Rule, failed: list[Verdict]) -> HttpResponseBase:
    """The page that says which tests fail, and has the button that switches the rule on all the same."""
    may_see = request.user.has_perm(TEST) and not unseen(request.user, rule.spec())
    context = {
        "may_see": may_see,
        "tests": shown_tests(request, rule) if may_see else [],
        "words": failing_words(failed),
        # The same button again, with what it was to do.
        "again_url": request.path,
        "to": request.POST.get("to", ""),
    }
    return page(model_admin, request, rule, "tests_fail.html", gettext("Switch on?"), status=409, **context)


def warn_of_failing(model_admin: Any, request: HttpRequest, rule: Rule) -> None:
    """Say of a rule that is on, and was just saved, which of its tests fail now."""
    spec = Rule.objects.get(pk=rule.pk).spec()
    if spec.enabled and (failed := failing(spec)):
        model_admin.message_user(request, failing_words(failed), messages.WARNING)
