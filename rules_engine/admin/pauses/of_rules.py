"""Pausing and resuming from the list of rules: several at once, and each from its row."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, DELETION, LogEntry
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.pauses.at_once import acting_at_once, left_out_block
from rules_engine.admin.pauses.forms import PausingForm
from rules_engine.admin.pauses.notices import named, resume_url, scope_words
from rules_engine.admin.pauses.resuming import consequence
from rules_engine.models import Pause, Rule

#: Rules and pauses that the page which asks names; of more it says how many.
MOST_NAMED = 20
RESUME_PAGE = "admin/rules_engine/pause/delete_selected_confirmation.html"


@admin.action(description=_("Pause selected rules"), permissions=["pause"])
def pause(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponseBase | None:
    """Ask how long, and what is to become of what happens meanwhile; then hold the rules still."""
    rules = list(queryset.order_by("position", "slug"))
    form = PausingForm(request.POST if "post" in request.POST else None)
    if form.is_valid():
        made = [form.pause(rule.slug, request.user.get_username()) for rule in rules]
        with transaction.atomic():
            Pause.objects.bulk_create(made)
            LogEntry.objects.log_actions(request.user.pk, made, ADDITION, gettext("Paused."))  # type: ignore[arg-type]
        text = ngettext("%(count)s rule is paused.", "%(count)s rules are paused.", len(made)) % {"count": len(made)}
        model_admin.message_user(request, text, messages.SUCCESS)
        return None
    context = {
        **_asked(model_admin, request, gettext("Pause rules")),
        "form": form,
        "left_out": left_out_block(acting_at_once({rule.slug for rule in rules})),
        "rules": rules[:MOST_NAMED],
        "more": max(0, len(rules) - MOST_NAMED),
        **_chosen(request, rules),
    }
    return TemplateResponse(request, "admin/rules_engine/rule/pause_selected.html", context)


@admin.action(description=_("Resume selected rules"), permissions=["resume"])
def resume(model_admin: Any, request: HttpRequest, queryset: Any) -> HttpResponseBase | None:
    """Ask, saying what it comes to; then lift the pauses of these rules. Those of a model, or of everything, stay."""
    rules = list(queryset)
    pauses = named(Pause.objects.current().filter(rule_slug__in=[rule.slug for rule in rules]))
    if not pauses:
        text = gettext("None of these rules has a pause of its own; pauses of a model, or of everything, go on.")
        model_admin.message_user(request, text, messages.WARNING)
        return None
    if "post" in request.POST:
        with transaction.atomic():
            LogEntry.objects.log_actions(request.user.pk, pauses, DELETION, gettext("Resumed."))  # type: ignore[arg-type]
            Pause.objects.filter(pk__in=[one.pk for one in pauses]).delete()
        resumed = len({one.rule_slug for one in pauses})
        text = ngettext("%(count)s rule is resumed.", "%(count)s rules are resumed.", resumed) % {"count": resumed}
        model_admin.message_user(request, text, messages.SUCCESS)
        return None
    context = {
        **_asked(model_admin, request, gettext("Resume rules")),
        "action": "resume",
        "scopes": [scope_words(one) for one in pauses[:MOST_NAMED]],
        "more": max(0, len(pauses) - MOST_NAMED),
        "consequence": consequence(pauses),
        **_chosen(request, rules),
    }
    return TemplateResponse(request, RESUME_PAGE, context)


def _asked(model_admin: Any, request: HttpRequest, title: str) -> dict[str, Any]:
    return {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "media": model_admin.media,
    }


def _chosen(request: HttpRequest, rules: list[Rule]) -> dict[str, Any]:
    """The rows to be named once more. All that the list found are named by its own address, one of them for form's
    sake: there is room for a thousand fields."""
    across = request.POST.get("select_across") == "1"
    return {"across": across, "chosen": [rule.pk for rule in (rules[:1] if across else rules)]}


class PausingMixin:
    """What the admin of rules has of it: who may, and the link of each row."""

    def has_pause_permission(self, request: HttpRequest) -> bool:
        """Whether the user may hold rules still for a while."""
        return request.user.has_perm("rules_engine.add_pause")

    def has_resume_permission(self, request: HttpRequest) -> bool:
        """Whether the user may lift pauses."""
        return request.user.has_perm("rules_engine.delete_pause")


def row_link(user: Any, rule: Rule, pauses: list[Pause]) -> SafeString:
    """The link of a rule's row: to pause it, or to resume it, for whoever may. A rule that is off has none, nor has one
    that is paused along with others: that is resumed above the list."""
    own = next((one for one in pauses if one.rule_slug), None)
    if own is not None and user.has_perm("rules_engine.delete_pause"):
        return _row_link(resume_url(own), gettext("Resume"), str(rule))
    if pauses or not rule.enabled or not user.has_perm("rules_engine.add_pause"):
        return SafeString("")
    url = f"{reverse('admin:rules_engine_pause_add')}?{urlencode({'rule_slug': rule.slug})}"
    return _row_link(url, gettext("Pause"), str(rule))


def _row_link(url: str, words: str, what: str) -> SafeString:
    return format_html('<a class="rules-do" href="{}" aria-label="{}: {}">{}</a>', url, words, what, words)
