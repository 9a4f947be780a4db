"""The forms that a rule has had: what changed from one to the next, and how to go back."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext

from rules_engine.admin.parts.rendering import names_of
from rules_engine.admin.parts.rule_page import page, rule_for
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading.comparison import compared
from rules_engine.admin.reading.differences import Content, differences, spec_of
from rules_engine.admin.reading.sentence import sentence
from rules_engine.live.compiler import content_of
from rules_engine.models import Rule, RuleAction, RuleVersion
from rules_engine.rules.permissions import lacking, needed
from rules_engine.rules.validation import rule_problems
from rules_engine.surroundings.own_rules import author_problem
from rules_engine.types import ActionSpec, RuleSpec

LATEST = 50
#: Restoring leaves the name by which everything else knows the rule, how it is grouped, and whether it is on.
KEPT = ("slug", "enabled", "labels", "author_id", "actions", "each", "objects", "surroundings")


class HistoryMixin:
    """Adds the pages to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page and the button, before the admin's own addresses, whose last one takes any."""
        wrap = self.admin_site.admin_view
        restore = "<path:object_id>/versions/<int:number>/restore/"
        return [
            path("<path:object_id>/versions/", wrap(self.versions_view), name="rules_engine_rule_versions"),
            path(restore, wrap(self.restore_view), name="rules_engine_rule_restore"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def versions_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Each version, the newest first, with what it changed; and what a return to it would change."""
        rule = rule_for(self, request, object_id, "")
        now = content_of(rule.spec())
        rows = list(RuleVersion.objects.filter(rule_slug=rule.slug).order_by("-number")[: LATEST + 1])
        reader, names = Reader(request.user), names_of(row.author_id for row in rows)
        shown = [
            {
                "version": version,
                "author": names.get(version.author_id, version.author_id),
                "sentence": sentence(spec_of(version.content, slug=rule.slug), reader=reader),
                "changed": _between(before.content, version.content, reader) if before else None,
                "is_now": version.content == now,
                "back": _between(now, version.content, reader),
            }
            for version, before in zip(rows[:LATEST], [*rows[1:], None], strict=False)
        ]
        may = self.has_change_permission(request, rule)
        return page(self, request, rule, "versions.html", gettext("Its versions"), versions=shown, may_restore=may)

    def restore_view(self: Any, request: HttpRequest, object_id: str, number: int) -> HttpResponseBase:
        """The rule as it was then, as a new edit: by POST, valid by today's measure, and within the user's power."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rule = rule_for(self, request, object_id, "rules_engine.change_rule")
        if not self.has_change_permission(request, rule):
            raise PermissionDenied
        version = RuleVersion.objects.filter(rule_slug=rule.slug, number=number).first()
        if version is None:
            raise Http404(gettext("There is no such version."))
        spec = spec_of(version.content, slug=rule.slug, enabled=rule.enabled)
        if why := _why_not(request.user, spec):
            self.message_user(request, why, messages.ERROR)
        else:
            restore(rule, spec, request.user)
            self.log_change(request, rule, gettext("Restored as it was in version %s.") % number)
            self.message_user(request, gettext("The rule is as it was in version %s.") % number, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:rules_engine_rule_versions", args=[rule.pk]))


def _between(old: Content, new: Content, reader: Reader) -> dict[str, Any]:
    """What differs, in words and as JSON."""
    return {
        "rows": compared(spec_of(old, slug=""), spec_of(new, slug=""), reader),
        "differences": differences(old, new),
    }


def _why_not(user: Any, spec: RuleSpec) -> str:
    if problems := rule_problems(spec):
        return gettext("As it was then it does not work any more: %s") % "; ".join(map(str, problems))
    if problem := author_problem(user):
        return problem
    missing = lacking(user, needed(spec))
    text = gettext("A rule can do no more than its author, and you lack the permission %(missing)s.")
    return text % {"missing": ", ".join(missing)} if missing else ""


def restore(rule: Rule, spec: RuleSpec, author: Any) -> None:
    """Write the form into the rule and its actions; ``author`` is who answers for it from now on."""
    for column in fields(RuleSpec):
        if column.name not in KEPT:
            value = getattr(spec, column.name)
            setattr(rule, column.name, list(value) if isinstance(value, tuple) else value)
    rule.author = author
    with transaction.atomic():
        rule.actions.all().delete()
        rule.save()
        for action in spec.actions:
            columns = {column.name: getattr(action, column.name) for column in fields(ActionSpec)}
            RuleAction.objects.create(rule=rule, **columns)
