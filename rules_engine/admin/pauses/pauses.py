"""Pauses: made, read and lifted in the admin. To delete one is to resume."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.actions import delete_selected
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.guarding import GuardedAdmin
from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.rendering import list_url, page_url, time_words
from rules_engine.admin.pauses.forms import MODES, PauseForm
from rules_engine.models import Execution, HeldMatch, Pause, Rule


@dataclass(frozen=True, slots=True)
class Kept:
    """What waits behind a pause."""

    executions: int
    matches: int


def kept_by(pauses: Iterable[Pause]) -> Kept:
    """What goes on when all of these pauses are lifted: what no other pause would go on to stop. Four queries."""
    going = list(pauses)
    others = list(Pause.objects.current().exclude(pk__in=[pause.pk for pause in going]))
    executions = Execution.objects.waiting().order_by().values_list("rule_slug").annotate(Count("pk"))
    matches = HeldMatch.objects.filter(state=HeldMatch.State.WAITING)
    waiting = matches.order_by().values_list("rule_slug").annotate(Count("pk"))
    model_of = dict(Rule.objects.values_list("slug", "model"))

    def of(counts: Iterable[tuple[str, int]]) -> int:
        return sum(number for slug, number in counts if _stops(going, slug) and not _stops(others, slug))

    def _stops(some: Collection[Pause], slug: str) -> bool:
        return any(pause.stops(slug, model_of.get(slug)) for pause in some)

    return Kept(of(executions), of(waiting))


def consequence(pauses: Collection[Pause]) -> list[str]:
    """What resuming does, as sentences."""
    kept = kept_by(pauses)
    sentences = [
        ngettext(
            "%(count)s action that waits is carried out as soon as a worker is free.",
            "%(count)s actions that wait are carried out as soon as a worker is free.",
            kept.executions,
        )
        % {"count": kept.executions}
        if kept.executions
        else gettext("No action waits behind it.")
    ]
    if kept.matches:
        text = ngettext(
            "%(count)s held match is decided on then.", "%(count)s held matches are decided on then.", kept.matches
        )
        sentences.append(text % {"count": kept.matches})
    if any(pause.mode == Pause.Mode.DROP for pause in pauses):
        sentences.append(gettext("What happened while it dropped was not recorded, and is not made up for."))
    return sentences


@admin.register(Pause)
class PauseAdmin(GuardedAdmin):
    """Rules held still for a while."""

    form = PauseForm
    list_display = ("scope_shown", "mode_shown", "created_at", "until_shown", "paused_by", "reason")
    list_filter = ("mode",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("rule_slug", "model", "reason", "paused_by")
    date_hierarchy = "created_at"
    actions = ("delete_selected",)
    delete_confirmation_template = "admin/rules_engine/pause/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/rules_engine/pause/delete_selected_confirmation.html"
    change_form_template = "admin/rules_engine/pause/change_form.html"

    class Media:
        css = {"all": ["rules_engine/admin.css"]}
        js = ["rules_engine/pause.js"]

    def get_fieldsets(self, request: HttpRequest, obj: Pause | None = None) -> Any:
        if obj is None:
            return [(None, {"fields": ("scope", "rule_slug", "model", "mode", "lasts", "until", "reason")})]
        mode = "mode" if self.has_change_permission(request, obj) else "mode_shown"
        until = "until" if self.has_change_permission(request, obj) else "until_shown"
        return [(None, {"fields": ("scope_shown", mode, "reason", "created_at", until, "paused_by")})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        form = super().get_form(request, obj, change, **options)
        if obj is not None:
            # It is of the form itself, so leaving it out of the page does not take it away.
            for name in ("scope", "lasts", "rule_slug", "model"):
                form.base_fields.pop(name, None)
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Pause | None = None) -> Any:
        return ("scope_shown", "mode_shown", "created_at", "until_shown", "paused_by")

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        given: dict[str, Any] = super().get_changeform_initial_data(request)
        scope = "rule" if given.get("rule_slug") else "model" if given.get("model") else None
        return {**({"scope": scope} if scope else {}), **given}

    @admin.action(description=_("Resume: delete selected pauses"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Django's own, under a name that says what it comes to."""
        return delete_selected(self, request, queryset)

    def save_model(self, request: HttpRequest, obj: Pause, form: Any, change: bool) -> None:
        if not change:
            obj.paused_by = request.user.get_username()[:150]
        if not change or form.has_changed():
            super().save_model(request, obj, form, change)

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        pause = self.get_object(request, object_id)
        said: dict[str, Any] = {}
        if pause is not None:
            said = {"title": gettext("Resume"), "scope": scope_words(pause), "consequence": consequence([pause])}
        return super().delete_view(request, object_id, {**said, **(extra_context or {})})

    def delete_model(self, request: HttpRequest, obj: Pause) -> None:
        super().delete_model(request, obj)
        self.message_user(request, gettext("Resumed: %s.") % scope_words(obj), messages.SUCCESS)

    @admin.display(description=_("what is paused"))
    def scope_shown(self, pause: Pause) -> str:
        return scope_words(pause)

    @admin.display(description=_("until"), ordering="until")
    def until_shown(self, pause: Pause) -> str:
        if pause.until is None:
            return gettext("it is resumed")
        text = gettext("%s (ended)") if pause.has_ended() else "%s"
        return text % time_words(pause.until)

    @admin.display(description=_("meanwhile"), ordering="mode")
    def mode_shown(self, pause: Pause) -> str:
        return str(next((words for mode, words in MODES if mode == pause.mode), pause.mode))


def scope_words(pause: Pause) -> str:
    """What it stops, in words."""
    if pause.rule_slug:
        return gettext('the rule "%s"') % pause.rule_slug
    if pause.model:
        return gettext("all rules that watch %s") % f"{model_title(pause.model)} ({pause.model})"
    return gettext("everything")


class Pauses:
    """How the rules of a page are paused. One query, however many they are."""

    def __init__(self, request: HttpRequest) -> None:
        self.all = list(Pause.objects.current())
        self.user: Any = request.user

    def of(self, rule: Rule) -> list[Pause]:
        """Those that stop this rule."""
        return [pause for pause in self.all if pause.stops(rule.slug, rule.model)]

    def notices(self, pauses: Iterable[Pause]) -> list[dict[str, Any]]:
        """For a template: each with its words and, for whoever may, the addresses of its page and of resuming."""
        may_see = any(self.user.has_perm(f"rules_engine.{right}_pause") for right in ("view", "change"))
        resume = self.user.has_perm("rules_engine.delete_pause")
        return [
            {
                "pause": pause,
                "scope": scope_words(pause),
                "url": page_url("pause", pause.pk) if may_see else "",
                "resume_url": page_url("pause", pause.pk).replace("/change/", "/delete/") if resume else "",
            }
            for pause in pauses
        ]

    @staticmethod
    def held_url(rule: Rule) -> str:
        """Where the matches of a rule that wait are listed."""
        return list_url("heldmatch", rule_slug=rule.slug, state__exact="waiting")
