"""Pauses: made, read and lifted in the admin. To delete one is to resume."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.guarding import GuardedAdmin
from rules_engine.admin.parts.rendering import page_url, time_words
from rules_engine.admin.pauses.forms import MODES, PauseForm
from rules_engine.admin.pauses.notices import named, resume_url, scope_words
from rules_engine.admin.pauses.resuming import consequence
from rules_engine.models import Pause, Rule
from rules_engine.surroundings import own_rules

#: Pauses that the page which asks whether to resume names; of more it says how many.
MOST_NAMED = 20
INDEX = "admin/rules_engine/index.html"


@admin.register(Pause)
class PauseAdmin(GuardedAdmin):
    """Rules held still for a while. The index of the admin that it is registered with shows what is paused."""

    form = PauseForm
    list_display = ("scope_shown", "short_mode", "since_shown", "until_shown", "reason")
    list_filter = ("mode",)
    list_per_page = 50
    show_full_result_count = False
    search_fields = ("rule_slug", "model", "reason", "paused_by")
    date_hierarchy = "created_at"
    actions = ("delete_selected",)
    delete_confirmation_template = "admin/rules_engine/pause/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/rules_engine/pause/delete_selected_confirmation.html"
    change_form_template = "admin/rules_engine/pause/change_form.html"
    change_list_template = "admin/rules_engine/pause/change_list.html"

    class Media:
        css = {"all": ["rules_engine/themes.css", "rules_engine/admin.css", "rules_engine/pauses.css"]}
        js = ["rules_engine/pause.js"]

    def __init__(self, model: type[Pause], admin_site: Any) -> None:
        super().__init__(model, admin_site)
        # The template extends whatever "admin/index.html" the site and its theme have. A site that draws its index
        # by a template of another name keeps that, and may show the banner there by a tag.
        if admin_site.index_template is None:
            admin_site.index_template = INDEX

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Django's; where these surroundings have rules of their own, those of these rules alone."""
        pauses = super().get_queryset(request)
        own = Rule.objects.seen_here().values("slug")
        return pauses.filter(rule_slug__in=own) if own_rules.are_kept_here() else pauses

    # The form

    def get_fieldsets(self, request: HttpRequest, obj: Pause | None = None) -> Any:
        if obj is None:
            fields = ("scope", "rule_slug", "model", "mode", "lasts", "until", "reason")
            said = _("While it is paused, a rule does nothing. None is switched off, and what waits already waits on.")
            return [(None, {"fields": fields, "description": said})]
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

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        return super().add_view(request, form_url, {"title": gettext("Pause"), **(extra_context or {})})

    def save_model(self, request: HttpRequest, obj: Pause, form: Any, change: bool) -> None:
        if not change:
            obj.paused_by = request.user.get_username()[:150]
        if not change or form.has_changed():
            super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Pause, post_url_continue: Any = None) -> HttpResponse:
        self.message_user(request, _paused_words(*named([obj])), messages.SUCCESS)
        return HttpResponseRedirect(self._next(request, obj))

    def _next(self, request: HttpRequest, pause: Pause) -> str:
        """The page to go on at: the rule that it is about, else the pauses, else the index."""
        rules = self.admin_site._registry.get(Rule)
        rule = Rule.objects.filter(slug=pause.rule_slug).first() if pause.rule_slug else None
        if rule is not None and rules is not None and rules.has_view_permission(request, rule):
            return page_url("rule", rule.pk)
        name = "rules_engine_pause_changelist" if self.has_view_permission(request) else "index"
        return reverse(f"admin:{name}")

    # Resuming

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        pause = self.get_object(request, object_id)
        said: dict[str, Any] = {}
        if pause is not None:
            named([pause])
            said = {"title": gettext("Resume"), "scope": scope_words(pause), "consequence": consequence([pause])}
        answer = super().delete_view(request, object_id, {**said, **(extra_context or {})})
        is_done = request.method == "POST" and isinstance(answer, HttpResponseRedirect)
        return HttpResponseRedirect(self._next(request, pause)) if pause is not None and is_done else answer

    def delete_model(self, request: HttpRequest, obj: Pause) -> None:
        super().delete_model(request, obj)
        self.message_user(request, gettext("Resumed: %s.") % scope_words(*named([obj])), messages.SUCCESS)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: Any) -> HttpResponse:
        """Where Django goes on; what is resumed was said."""
        return HttpResponseRedirect(reverse("admin:index"))

    @admin.action(description=_("Resume what is selected"), permissions=["delete"])
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Ask, saying what it comes to; then lift them."""
        pauses = named(queryset)
        if request.POST.get("post"):
            self.log_deletions(request, queryset)
            self.delete_queryset(request, queryset)
            text = ngettext("%(count)s pause is lifted.", "%(count)s pauses are lifted.", len(pauses))
            self.message_user(request, text % {"count": len(pauses)}, messages.SUCCESS)
            return None
        across = request.POST.get("select_across") == "1"
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Resume"),
            "opts": self.opts,
            "media": self.media,
            "scopes": [scope_words(pause) for pause in pauses[:MOST_NAMED]],
            "more": max(0, len(pauses) - MOST_NAMED),
            "consequence": consequence(pauses),
            "across": across,
            "chosen": [pause.pk for pause in (pauses[:1] if across else pauses)],
        }
        return TemplateResponse(request, self.delete_selected_confirmation_template, context)

    # The list

    def get_list_display(self, request: HttpRequest) -> Any:
        return (*self.list_display, *(("resume",) if self.has_delete_permission(request) else ()))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Django's, under a title that is no order to select something."""
        changelist = super().get_changelist_instance(request)
        changelist.title = gettext("Pauses")
        named(changelist.result_list)
        return changelist

    @admin.display(description=_("what is paused"))
    def scope_shown(self, pause: Pause) -> str:
        return scope_words(pause)

    @admin.display(description=_("until"), ordering="until")
    def until_shown(self, pause: Pause) -> str:
        if pause.until is None:
            return gettext("it is resumed")
        text = gettext("%s (ended)") if pause.has_ended() else "%s"
        return text % time_words(pause.until)

    @admin.display(description=_("since"), ordering="created_at")
    def since_shown(self, pause: Pause) -> str:
        since = time_words(pause.created_at)
        if pause.by_itself:
            return gettext("%(time)s, by itself") % {"time": since}
        by = gettext("%(time)s, by %(who)s") % {"time": since, "who": pause.paused_by}
        return by if pause.paused_by else since

    @admin.display(description=_("meanwhile"), ordering="mode")
    def short_mode(self, pause: Pause) -> str:
        return gettext("dropped") if pause.mode == Pause.Mode.DROP else gettext("held")

    @admin.display(description=_("meanwhile"))
    def mode_shown(self, pause: Pause) -> str:
        return str(next((words for mode, words in MODES if mode == pause.mode), pause.mode))

    @admin.display(description=_("What to do"))
    def resume(self, pause: Pause) -> SafeString:
        said = gettext("Resume: %s") % scope_words(pause)
        url, words = resume_url(pause), gettext("Resume")
        return format_html('<a class="rules-do" href="{}" aria-label="{}">{}</a>', url, said, words)


def _paused_words(pause: Pause) -> str:
    until = gettext("until somebody resumes") if pause.until is None else gettext("until %s") % time_words(pause.until)
    return gettext("Paused: %(scope)s, %(until)s.") % {"scope": scope_words(pause), "until": until}
