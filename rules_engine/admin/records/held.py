"""Matches that wait: which, for what, until when; released or discarded here, never edited."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.bulk import in_batches
from rules_engine.admin.parts.filters import RuleFilter
from rules_engine.admin.parts.objects import why_unseen
from rules_engine.admin.parts.paging import KeysFirstPaginator
from rules_engine.admin.parts.rendering import (
    context_block,
    link,
    list_url,
    object_block,
    page_url,
    text_block,
    time_words,
)
from rules_engine.admin.parts.row_buttons import RowButtonsAdmin
from rules_engine.admin.parts.searching import of_events_about, of_rules
from rules_engine.admin.reading.rule import settings_block
from rules_engine.admin.records.columns import FourColumns
from rules_engine.admin.records.executions import rule_link
from rules_engine.admin.records.state_words import often_of
from rules_engine.admin.why.on_records import WhyOnRecord
from rules_engine.models import HeldMatch
from rules_engine.outbox import releasing
from rules_engine.rules import registry

WAITING = (HeldMatch.State.WAITING,)


@admin.register(HeldMatch)
class HeldMatchAdmin(WhyOnRecord, FourColumns, RowButtonsAdmin):
    """What a throttle, a rule that waits for more, or one that acts once holds, or has held back."""

    buttons = {"release": WAITING, "discard": WAITING}
    buttons_permission = "rules_engine.release_heldmatch"

    list_filter = ("state", RuleFilter)
    list_select_related = ("event",)
    date_hierarchy = "created_at"
    paginator = KeysFirstPaginator
    search_help_text = _("A part of a rule's slug or name, or of what it is counted for; in full: an object's key.")
    actions = ("release_selected", "discard_selected")
    change_form_template = "admin/rules_engine/heldmatch/change_form.html"
    readonly_fields = (
        "rule_shown", "object_shown", "event_shown", "throttled_shown", "coalesced_shown", "due_shown", "why_shown",
        "executions_shown", "actions_shown", "context_shown",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        state = ("state", "why_shown", "created_at", "waits_since", "due_shown", "decided_at", "executions_shown")
        origin = ("rule_shown", "rule_version", "object_shown", "event_shown", "throttled_shown", "coalesced_shown")
        return [
            (None, {"fields": state}),
            (_("Why"), {"fields": origin}),
            (_("With what"), {"fields": ("actions_shown", "context_shown")}),
        ]

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Whether the user may release and discard."""
        return self.may_act(request)

    model_column = "event__model"

    def having(self, word: str) -> Q:
        """By rule and by object."""
        return of_rules(word) | of_events_about(word)

    def having_in_data(self, word: str) -> Q:
        """By what it is counted for or taken together by."""
        return Q(throttle_key__icontains=word) | Q(coalesce_key__icontains=word)

    # Release and discard

    @admin.action(description=_("Release selected matches now"), permissions=["release"])
    def release_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._release(request, queryset)

    @admin.action(description=_("Discard selected matches"), permissions=["release"])
    def discard_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._discard(request, queryset)

    def _release(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        reason = gettext("Released by %s.") % request.user.get_username()
        done = in_batches(request.user.pk, chosen, partial(releasing.release_now, reason=reason), reason)
        text = ngettext("%(count)s match was released.", "%(count)s matches were released.", done.count)
        self.tell(request, text, done)

    def _discard(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        reason = gettext("Discarded by %s.") % request.user.get_username()
        done = in_batches(request.user.pk, chosen, partial(releasing.discard, reason=reason), reason)
        text = ngettext("%(count)s match was discarded.", "%(count)s matches were discarded.", done.count)
        self.tell(request, text, done)

    # What is shown

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is not None:
            # Whether the data may be seen depends on who asks; a display method is not told.
            obj.context_html = context_block(request, obj.event)
            obj.object_html = object_block(request, obj.event)
            obj.unseen = why_unseen(request, obj.event.model, obj.event.key_here, obj.event.context)
        return super().get_form(request, obj, change, **options)

    @admin.display(description=_("object"))
    def object_shown(self, match: Any) -> SafeString:
        shown: SafeString = match.object_html
        return shown

    @admin.display(description=_("due"), ordering="due_at")
    def due_shown(self, match: HeldMatch) -> str:
        return time_words(match.due_at) if match.state in WAITING else "–"

    @admin.display(description=_("why"))
    def why_shown(self, match: HeldMatch) -> SafeString:
        return text_block("\n".join(filter(None, [match.reason, *waits_for(match)])))

    @admin.display(description=_("rule"))
    def rule_shown(self, match: HeldMatch) -> SafeString:
        return rule_link(match.rule_slug)

    @admin.display(description=_("event"))
    def event_shown(self, match: HeldMatch) -> SafeString:
        return link(page_url("event", match.event_id), match.event)

    @admin.display(description=_("counted for"))
    def throttled_shown(self, match: Any) -> str:
        return _key(match, match.throttle_key)

    @admin.display(description=_("taken together as"))
    def coalesced_shown(self, match: Any) -> str:
        return _key(match, match.coalesce_key)

    @admin.display(description=_("executions"))
    def executions_shown(self, match: HeldMatch) -> SafeString:
        address = list_url("execution", event__id__exact=match.event_id, rule_slug=match.rule_slug)
        return link(address, match.event.executions.filter(rule_slug=match.rule_slug).count())

    @admin.display(description=_("what it is to do"))
    def actions_shown(self, match: HeldMatch) -> SafeString:
        rows = match.actions if isinstance(match.actions, list) else []
        kinds = registry.kinds()
        named = (
            (kinds[action["kind"]].label if action.get("kind") in kinds else action.get("kind"), action)
            for action in rows
        )
        shown = ((label, settings_block(str(action.get("kind")), action.get("config"))) for label, action in named)
        return format_html_join("", "<div><strong>{}</strong>{}</div>", shown)

    @admin.display(description=_("context"))
    def context_shown(self, match: Any) -> SafeString:
        shown: SafeString = match.context_html
        return shown


def _key(match: Any, text: str) -> str:
    """A key is worked out from the object's data."""
    return str(match.unseen or text) if text else ""


def waits_for(match: HeldMatch) -> list[str]:
    """The terms of a match, as sentences."""
    terms = match.terms if isinstance(match.terms, dict) else {}
    reasons = []
    if often := often_of(match):
        reasons.append(gettext("Waits until there are %(times)s in %(span)s; then the last one acts.") % often)
    if terms.get("coalesce") is not None:
        texts = {
            True: gettext("Waits until nothing more has come for %(seconds)s seconds; then the last one acts."),
            False: gettext("Waits %(seconds)s seconds for more; then the last one acts."),
        }
        reasons.append(texts[bool(terms.get("debounce"))] % {"seconds": terms["coalesce"]})
    if terms.get("once"):
        reasons.append(gettext("Acts once for each object."))
    if terms.get("throttle"):
        count, seconds = terms["throttle"]
        text = gettext("Acts at most %(count)s times in %(seconds)s seconds.")
        reasons.append(text % {"count": count, "seconds": seconds})
    return reasons or [gettext("Waits for a worker.")]
