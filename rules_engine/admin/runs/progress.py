"""Runs: how far each is, what came of it, and the button that has it go no further."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.bulk import in_batches
from rules_engine.admin.parts.filters import RuleFilter
from rules_engine.admin.parts.objects import UNSEEN
from rules_engine.admin.parts.rendering import clock, link, list_url, page_url, text_block
from rules_engine.admin.parts.row_buttons import RowButtonsAdmin
from rules_engine.admin.parts.searching import labels_like, of_rules
from rules_engine.context.paths import find_model
from rules_engine.models import Rule, Run
from rules_engine.rules.permissions import may_view_outcomes
from rules_engine.work.runs.permitted import RUN_RULE
from rules_engine.work.runs.starting import cancel


@admin.register(Run)
class RunAdmin(RowButtonsAdmin):
    """One rule told of what is there, part by part."""

    buttons = {"cancel": Run.LIVE}
    buttons_permission = RUN_RULE

    list_display = ("time_told", "rule_told", "what_told", "state_told", "asked_by")
    list_display_links = ("time_told",)
    list_filter = ("state", RuleFilter)
    narrowed_by = ("rule_slug",)
    surroundings_column = "surroundings"
    date_hierarchy = "created_at"
    search_help_text = _("A part of a rule's slug or name, a model, or who asked for it.")
    change_form_template = "admin/rules_engine/run/change_form.html"
    readonly_fields = (
        "rule_told",
        "what_told",
        "state_told",
        "matched_told",
        "failed_told",
        "why_told",
        "events_told",
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        state = ("state_told", "why_told", "matched_told", "failed_told", "events_told")
        origin = ("rule_told", "rule_version", "what_told", "asked_by", "created_at", "started_at", "ended_at")
        return [(None, {"fields": state}), (_("Why"), {"fields": origin})]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is not None and not may_view_outcomes(request.user, obj.model):
            # What went wrong may quote the objects.
            obj.reason = str(UNSEEN) if obj.failed else obj.reason
        return super().get_form(request, obj, change, **options)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> Any:
        run = self.get_object(request, object_id)
        more: dict[str, Any] = {"run": run}
        if run is not None and run.counts_only and run.state == Run.State.DONE and self.may_act(request):
            rule = Rule.objects.filter(slug=run.rule_slug).first()
            if rule is not None and not run.is_of_keys:
                more["run_url"] = reverse("admin:rules_engine_rule_run", args=[rule.pk])
        return super().change_view(request, object_id, form_url, {**more, **(extra_context or {})})

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Each with the key of its rule, while there is one."""
        rules = Rule.objects.filter(slug=OuterRef("rule_slug")).values("pk")[:1]
        runs: QuerySet[Any] = super().get_queryset(request).annotate(rule_pk=Subquery(rules))
        return runs

    def having(self, word: str) -> Q:
        """By rule, model and whoever asked for it."""
        return of_rules(word) | Q(model__in=labels_like(word)) | Q(asked_by__iexact=word)

    def _cancel(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        name = request.user.get_username()

        def cancelled(keys: Any) -> list[Any]:
            return [run for run in Run.objects.filter(pk__in=list(keys)) if cancel(run.pk, by=name)]

        done = in_batches(request.user.pk, chosen, cancelled, gettext("Cancelled by %s.") % name)
        self.tell(request, ngettext("%(count)s run was cancelled.", "%(count)s runs were cancelled.", done.count), done)

    # What is shown

    @admin.display(description=_("asked for"), ordering="created_at")
    def time_told(self, run: Run) -> SafeString:
        return clock(run.created_at)

    @admin.display(description=_("rule"), ordering="rule_slug")
    def rule_told(self, run: Any) -> SafeString:
        return link(page_url("rule", run.rule_pk) if run.rule_pk else "", run.rule_slug)

    @admin.display(description=_("on what"))
    def what_told(self, run: Run) -> str:
        model = find_model(run.model)
        names = run.model if model is None else model._meta.verbose_name_plural
        text = gettext("some %s") if run.is_of_keys else gettext("all %s that its condition selects")
        return text % names

    @admin.display(description=_("state"), ordering="state")
    def state_told(self, run: Run) -> SafeString:
        words = run.get_state_display()
        if run.counts_only:
            words = gettext("%s (it only counts)") % words
        return format_html('{}<div class="quiet">{}</div>', words, far(run))

    @admin.display(description=_("matched"))
    def matched_told(self, run: Run) -> str:
        return number_format(run.matched, force_grouping=True)

    @admin.display(description=_("failed"))
    def failed_told(self, run: Run) -> str:
        return number_format(run.failed, force_grouping=True)

    @admin.display(description=_("why"))
    def why_told(self, run: Run) -> SafeString:
        return text_block(run.reason)

    @admin.display(description=_("events"))
    def events_told(self, run: Run) -> SafeString:
        if run.counts_only:
            return text_block("")
        return link(list_url("event", q=run.pk.hex), gettext("Events of this run"))


def far(run: Run) -> str:
    """Say how many objects were looked at, of how many."""
    counts = {"done": number_format(run.looked_at, force_grouping=True)}
    if run.total is None:
        return gettext("%(done)s looked at") % counts
    return gettext("%(done)s of %(total)s looked at") % {
        **counts,
        "total": number_format(max(run.total, run.looked_at), force_grouping=True),
    }
