"""Matches that wait: which, for what, until when; released or discarded here, never edited."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine import releasing
from rules_engine.admin.executions import RuleFilter, rule_link
from rules_engine.admin.rendering import (
    context_block,
    json_block,
    link,
    list_url,
    object_link,
    page_url,
    text_block,
    time_words,
)
from rules_engine.admin.verbs import VerbsAdmin, log_changes
from rules_engine.models import HeldMatch

WAITING = (HeldMatch.State.WAITING,)
Decide = Callable[..., list[HeldMatch]]


@admin.register(HeldMatch)
class HeldMatchAdmin(VerbsAdmin):
    """What a throttle, a rule that waits for more, or one that acts once holds, or has held back."""

    verbs = {"release": WAITING, "discard": WAITING}
    verbs_permission = "rules_engine.release_heldmatch"

    list_display = ("created_at", "state", "rule_slug", "object_shown", "due_shown", "why")
    list_display_links = ("created_at", "state")
    list_filter = ("state", RuleFilter)
    list_select_related = ("event",)
    date_hierarchy = "created_at"
    search_fields = ("rule_slug", "=event__object_pk", "throttle_key", "coalesce_key")
    search_help_text = _("A rule's slug or a part of it, an object's key, or what it is counted for.")
    actions = ("release_selected", "discard_selected")
    change_form_template = "admin/rules_engine/heldmatch/change_form.html"
    readonly_fields = (
        "rule_shown", "object_shown", "event_shown", "due_shown", "why_shown", "executions_shown", "actions_shown",
        "context_shown",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        state = ("state", "why_shown", "created_at", "waits_since", "due_shown", "decided_at", "executions_shown")
        origin = ("rule_shown", "rule_version", "object_shown", "event_shown", "throttle_key", "coalesce_key")
        return [
            (None, {"fields": state}),
            (_("Why"), {"fields": origin}),
            (_("With what"), {"fields": ("actions_shown", "context_shown")}),
        ]

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Whether the user may release and discard."""
        return self.may_act(request)

    # Release and discard

    @admin.action(description=_("Release selected matches now"), permissions=["release"])
    def release_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._release(request, queryset)

    @admin.action(description=_("Discard selected matches"), permissions=["release"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._discard(request, queryset)

    def _release(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        reason = gettext("Released by %s.") % request.user.get_username()
        count = self._decide(request, chosen, releasing.release_now, reason)
        text = ngettext("%(count)s match was released.", "%(count)s matches were released.", count)
        self.tell(request, text % {"count": count}, count)

    def _discard(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        reason = gettext("Discarded by %s.") % request.user.get_username()
        count = self._decide(request, chosen, releasing.discard, reason)
        text = ngettext("%(count)s match was discarded.", "%(count)s matches were discarded.", count)
        self.tell(request, text % {"count": count}, count)

    def _decide(self, request: HttpRequest, chosen: QuerySet[Any], decide: Decide, reason: str) -> int:
        by_rule = defaultdict(list)
        for slug, pk in chosen.order_by().values_list("rule_slug", "pk"):
            by_rule[slug].append(pk)
        # In one order, so that two people who choose the same do not wait for each other.
        done = [match for slug in sorted(by_rule) for match in decide(slug, by_rule[slug], reason=reason)]
        log_changes(request, done, reason)
        return len(done)

    # What is shown

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is not None:
            # Whether the data may be seen depends on who asks; a display method is not told.
            obj.context_html = context_block(request, obj.event.model, obj.event.context)
        return super().get_form(request, obj, change, **options)

    @admin.display(description=_("object"))
    def object_shown(self, match: HeldMatch) -> SafeString:
        return object_link(match.event.model, match.event.object_pk)

    @admin.display(description=_("due"), ordering="due_at")
    def due_shown(self, match: HeldMatch) -> str:
        return time_words(match.due_at) if match.state in WAITING else "–"

    @admin.display(description=_("why"))
    def why(self, match: HeldMatch) -> str:
        text = match.reason or "; ".join(waits_for(match))
        return text if len(text) <= 160 else f"{text[:160]}…"

    @admin.display(description=_("why"))
    def why_shown(self, match: HeldMatch) -> SafeString:
        return text_block("\n".join(filter(None, [match.reason, *waits_for(match)])))

    @admin.display(description=_("rule"))
    def rule_shown(self, match: HeldMatch) -> SafeString:
        return rule_link(match.rule_slug)

    @admin.display(description=_("event"))
    def event_shown(self, match: HeldMatch) -> SafeString:
        return link(page_url("event", match.event_id), match.event)

    @admin.display(description=_("executions"))
    def executions_shown(self, match: HeldMatch) -> SafeString:
        address = list_url("execution", event__id__exact=match.event_id, rule_slug=match.rule_slug)
        return link(address, match.event.executions.filter(rule_slug=match.rule_slug).count())

    @admin.display(description=_("what it is to do"))
    def actions_shown(self, match: HeldMatch) -> SafeString:
        rows = match.actions if isinstance(match.actions, list) else []
        return json_block([{"kind": one.get("kind"), "config": one.get("config")} for one in rows])

    @admin.display(description=_("context"))
    def context_shown(self, match: Any) -> SafeString:
        shown: SafeString = match.context_html
        return shown


def waits_for(match: HeldMatch) -> list[str]:
    """The terms of a match, as sentences."""
    terms = match.terms if isinstance(match.terms, dict) else {}
    found = []
    if terms.get("coalesce") is not None:
        texts = {
            True: gettext("Waits until nothing more has come for %(seconds)s seconds; then the last one acts."),
            False: gettext("Waits %(seconds)s seconds for more; then the last one acts."),
        }
        found.append(texts[bool(terms.get("debounce"))] % {"seconds": terms["coalesce"]})
    if terms.get("once"):
        found.append(gettext("Acts once for each object."))
    if terms.get("throttle"):
        count, seconds = terms["throttle"]
        text = gettext("Acts at most %(count)s times in %(seconds)s seconds.")
        found.append(text % {"count": count, "seconds": seconds})
    return found or [gettext("Waits for a worker.")]
