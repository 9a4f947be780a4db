"""Executions: what rules did and could not do. They are read here, retried and cancelled, never edited."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from django.contrib import admin
from django.db import router, transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine import hints
from rules_engine.actions import registry
from rules_engine.admin.chain import caused_by
from rules_engine.admin.rendering import (
    context_block,
    json_block,
    link,
    object_link,
    page_url,
    table,
    text_block,
    time_words,
)
from rules_engine.admin.verbs import VerbsAdmin, log_changes
from rules_engine.models import Attempt, Execution, Rule
from rules_engine.models.execution import WAITING, State

RETRYABLE_STATES = (State.DISCARDED, State.CANCELLED, State.REFUSED, State.RETRYABLE)
PERMISSION = "rules_engine.retry_execution"
#: In place of a rule's slug, which has no colon.
BY_HAND = ":by-hand"


class KindFilter(admin.SimpleListFilter):
    """By kind; asking the table which there are would read all of it."""

    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(kind, str(action.label)) for kind, action in registry.kinds(also_ordered=True).items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class RuleFilter(admin.SimpleListFilter):
    """By rule, also one that is gone: then its slug is named in the address."""

    title = _("rule")
    parameter_name = "rule_slug"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        found = dict(Rule.objects.values_list("slug", "name"))
        named = request.GET.get(self.parameter_name)
        if named and named not in found:
            found[named] = named
        return [*found.items(), (BY_HAND, gettext("ordered by hand"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        return queryset.filter(rule_slug="" if self.value() == BY_HAND else self.value())


@admin.register(Execution)
class ExecutionAdmin(VerbsAdmin):
    """The outbox, as people read it."""

    verbs = {"retry": RETRYABLE_STATES, "cancel": WAITING, "replay": (State.SUCCEEDED,)}
    verbs_permission = PERMISSION

    list_display = ("created_at", "state", "rule_named", "kind", "object_shown", "attempts", "next_shown", "outcome")
    list_display_links = ("created_at", "state")
    list_filter = ("state", RuleFilter, KindFilter)
    list_select_related = ("event",)
    date_hierarchy = "created_at"
    search_fields = ("rule_slug", "=event__object_pk", "=id")
    search_help_text = _("A rule's slug or a part of it, an object's key, or an execution's id.")
    actions = ("retry_selected", "cancel_selected")
    change_form_template = "admin/rules_engine/execution/change_form.html"
    readonly_fields = (
        "rule_shown", "event_shown", "object_shown", "next_shown", "attempts_shown", "config_shown", "outcome_shown",
        "caused_shown", "context_shown",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        state = ("state", "outcome_shown", "attempts_shown", "caused_shown", "next_shown", "created_at", "finished_at")
        origin = ("rule_shown", "rule_version", "kind", "event_shown", "object_shown", "author_id")
        place = ("queue", "lane", "order_key", "leased_by", "lease_until", "crashes")
        return [
            (None, {"fields": state}),
            (_("Why"), {"fields": origin}),
            (_("With what"), {"fields": ("config_shown", "context_shown")}),
            (_("Where it waits"), {"fields": place, "classes": ("collapse",)}),
        ]

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        return lookup == "event__id__exact" or super().lookup_allowed(lookup, value, request)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may retry and cancel."""
        return self.may_act(request)

    # Retry and cancel

    @admin.action(description=_("Retry selected executions"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._retry(request, queryset)

    @admin.action(description=_("Cancel selected executions"), permissions=["retry"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._cancel(request, queryset)

    def _retry(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        with transaction.atomic(using=router.db_for_write(Execution)):
            rows = self._lock(chosen, RETRYABLE_STATES)
            Execution.objects.filter(pk__in=[row.pk for row in rows]).retry()
            log_changes(request, rows, gettext("Retried."))
            for queue in sorted({row.queue for row in rows}):
                transaction.on_commit(partial(hints.notify, queue), using=router.db_for_write(Execution))
        text = ngettext("%(count)s execution is due again.", "%(count)s executions are due again.", len(rows))
        self.tell(request, text % {"count": len(rows)}, len(rows))

    def _replay(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        with transaction.atomic(using=router.db_for_write(Execution)):
            rows = [row for row in self._lock(chosen, (State.SUCCEEDED,)) if is_replayable(row)]
            Execution.objects.filter(pk__in=[row.pk for row in rows]).replay()
            log_changes(request, rows, gettext("Replayed."))
            for queue in sorted({row.queue for row in rows}):
                transaction.on_commit(partial(hints.notify, queue), using=router.db_for_write(Execution))
        text = ngettext("%(count)s execution is due again.", "%(count)s executions are due again.", len(rows))
        self.tell(request, text % {"count": len(rows)}, len(rows))

    def applies(self, verb: str, row: Any) -> bool:
        """Only what its receiver knows for a repetition is done again after a success."""
        return super().applies(verb, row) and (verb != "replay" or is_replayable(row))

    def _cancel(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        reason = gettext("Cancelled by %s.") % request.user.get_username()
        with transaction.atomic(using=router.db_for_write(Execution)):
            rows = self._lock(chosen, WAITING)
            Execution.objects.filter(pk__in=[row.pk for row in rows]).cancel(reason)
            log_changes(request, rows, gettext("Cancelled."))
        text = ngettext("%(count)s execution was cancelled.", "%(count)s executions were cancelled.", len(rows))
        self.tell(request, text % {"count": len(rows)}, len(rows))

    def _lock(self, chosen: QuerySet[Any], states: Collection[str]) -> list[Execution]:
        """Those of the chosen in these states, held so that the log names exactly what was changed."""
        ids = list(chosen.order_by().values_list("pk", flat=True))
        rows = Execution.objects.using(router.db_for_write(Execution)).filter(pk__in=ids, state__in=states)
        return list(rows.select_for_update())

    # What is shown

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is not None:
            # Whether the data may be seen depends on who asks; a display method is not told.
            obj.context_html = context_block(request, obj.event.model, obj.event.context)
        return super().get_form(request, obj, change, **options)

    @admin.display(description=_("object"))
    def object_shown(self, execution: Execution) -> SafeString:
        return object_link(execution.event.model, execution.event.object_pk)

    @admin.display(description=_("next attempt"), ordering="next_attempt_at")
    def next_shown(self, execution: Execution) -> str:
        if execution.state not in WAITING:
            return "–"
        return (
            time_words(execution.next_attempt_at)
            if execution.next_attempt_at
            else gettext("after the action before it")
        )

    @admin.display(description=_("outcome"))
    def outcome(self, execution: Execution) -> str:
        text = execution.error or execution.summary
        return text if len(text) <= 100 else f"{text[:100]}…"

    @admin.display(description=_("outcome"))
    def outcome_shown(self, execution: Execution) -> SafeString:
        return text_block(execution.error or execution.summary)

    @admin.display(description=_("rule"), ordering="rule_slug")
    def rule_named(self, execution: Execution) -> str:
        return execution.rule_slug or gettext("ordered by hand")

    @admin.display(description=_("rule"))
    def rule_shown(self, execution: Execution) -> SafeString:
        return rule_link(execution.rule_slug)

    @admin.display(description=_("event"))
    def event_shown(self, execution: Execution) -> SafeString:
        return link(page_url("event", execution.event_id), execution.event)

    @admin.display(description=_("events it led to"))
    def caused_shown(self, execution: Execution) -> SafeString:
        return caused_by(execution)

    @admin.display(description=_("config"))
    def config_shown(self, execution: Execution) -> SafeString:
        return json_block(execution.config)

    @admin.display(description=_("context"))
    def context_shown(self, execution: Any) -> SafeString:
        shown: SafeString = execution.context_html
        return shown

    @admin.display(description=_("attempts"))
    def attempts_shown(self, execution: Execution) -> SafeString:
        attempts = Attempt.objects.filter(execution=execution).order_by("number")
        headings = (_("number"), _("outcome"), _("started"), _("took"), _("error"), _("detail"))
        rows = [_attempt_row(attempt) for attempt in attempts]
        return table(headings, rows) if rows else text_block(gettext("None yet."))


def is_replayable(execution: Execution) -> bool:
    """Whether it does no harm to carry it out once more."""
    action = registry.find(execution.kind)
    return action is not None and action.replayable


def rule_link(slug: str) -> SafeString:
    """A rule by its slug, linked to its page while there is one."""
    if not slug:
        return link("", gettext("ordered by hand"))
    pk = Rule.objects.filter(slug=slug).values_list("pk", flat=True).first()
    return link(page_url("rule", pk) if pk else "", slug)


def _attempt_row(attempt: Attempt) -> tuple[Any, ...]:
    duration = attempt.duration
    took = "–" if duration is None else gettext("%.3f s") % duration.total_seconds()
    error = f"{attempt.error_type}: {attempt.error}" if attempt.error_type else attempt.error
    when, detail = time_words(attempt.started_at), json_block(attempt.detail)
    return attempt.number, attempt.get_outcome_display(), when, took, text_block(error), detail
