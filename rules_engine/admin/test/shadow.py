"""What a rule in shadow would have done, on real events; and its promotion, by one click."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext

from rules_engine.admin.kept.before_on import tests_fail_page
from rules_engine.admin.kept.verdicts import failing_words
from rules_engine.admin.parts.rendering import object_link, page_url
from rules_engine.admin.parts.rule_page import ENABLE, page, refused, rule_for, unseen
from rules_engine.admin.test.rule_test import shown_test
from rules_engine.models import Event, HeldMatch, Rule
from rules_engine.rules.permissions import lacking, needed
from rules_engine.rules.validation import rule_problems
from rules_engine.test.backtest import CHUNK, MOST, events_of
from rules_engine.test.kept.running import failing
from rules_engine.test.rule_test import tested_on_event

#: Events that are shown with what each action would have been.
SHOWN = 10


class ShadowMixin:
    """Adds both to the admin of rules."""

    def get_urls(self: Any) -> list[Any]:
        """The page and the button, before the admin's own addresses, whose last one takes any."""
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/shadow/", wrap(self.shadow_view), name="rules_engine_rule_shadow"),
            path("<path:object_id>/promote/", wrap(self.promote_view), name="rules_engine_rule_promote"),
            *super().get_urls(),  # type: ignore[misc]
        ]

    def shadow_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """The latest events that it matched, each with its actions as they would have been."""
        rule = rule_for(self, request, object_id)
        spec, title = rule.spec(), gettext("What it would have done")
        if why := unseen(request.user, spec):
            return refused(self, request, rule, title, why)
        count, latest = matched_in_shadow(rule)
        tried = [
            {
                "event": event,
                "url": page_url("event", event.pk),
                "object": object_link(event.model, event.key_here) if event.model else "",
                "rule_test": shown_test(tested_on_event(spec, event.captured(), request.user), spec),
            }
            for event in latest
        ]
        return page(self, request, rule, "shadow.html", title, count=count, tried=tried, most=MOST)

    def promote_view(self: Any, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Out of the shadow: by POST, by whoever may enable rules and could have written this one."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        rule = rule_for(self, request, object_id, ENABLE)
        if why := _why_not(request.user, rule):
            self.message_user(request, why, messages.ERROR)
        elif rule.shadow:
            failed = failing(rule.spec())
            if failed and "all_the_same" not in request.POST:
                return tests_fail_page(self, request, rule, failed)
            rule.shadow = False
            rule.save(update_fields=["shadow", "updated_at"])
            although = failing_words(failed) if failed else ""
            self.log_change(request, rule, f"{gettext('Promoted: it acts from now on.')} {although}".strip())
            self.message_user(request, gettext("%s acts from now on.") % rule, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:rules_engine_rule_change", args=[rule.pk]))


def _why_not(user: Any, rule: Rule) -> str:
    if problems := rule_problems(rule.spec()):
        return str(problems[0])
    missing = lacking(user, needed(rule.spec()))
    text = gettext("A rule can do no more than its author, and you lack the permission %(missing)s.")
    return text % {"missing": ", ".join(missing)} if missing else ""


def matched_in_shadow(rule: Rule) -> tuple[int, list[Event]]:
    """On how many of the newest recorded events it matched without acting, and the latest of them."""
    rows = events_of(rule.spec()).order_by("-created_at")[:MOST]
    latest: list[Any] = []
    count = 0
    for row in rows.iterator(chunk_size=CHUNK):
        matched = any(
            evaluation.get("rule") == rule.slug and evaluation.get("outcome") == "matched"
            for evaluation in row.evaluations
        )
        if matched and not _acted(row, rule.slug):
            count += 1
            latest += [row] if len(latest) < SHOWN else []
    return count, latest


def _acted(row: Event, slug: str) -> bool:
    if row.execution_count == 0:
        return False
    acted = row.executions.filter(rule_slug=slug).exists()
    return bool(acted or HeldMatch.objects.filter(event=row, rule_slug=slug).exists())
