"""Executions: what rules did and could not do. They are read here, retried and cancelled, never edited."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from django.contrib import admin
from django.db import router, transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.bulk import in_batches
from rules_engine.admin.parts.filters import KindFilter, RuleFilter
from rules_engine.admin.parts.labels import ordered_by
from rules_engine.admin.parts.objects import why_unseen
from rules_engine.admin.parts.paging import KeysFirstPaginator
from rules_engine.admin.parts.rendering import (
    context_block,
    json_block,
    link,
    names_of,
    object_block,
    page_url,
    table,
    text_block,
    time_words,
    trace_link,
)
from rules_engine.admin.parts.row_buttons import RowButtonsAdmin
from rules_engine.admin.parts.searching import of_events_about, of_rules, uuid_of
from rules_engine.admin.reading.rule import settings_block
from rules_engine.admin.records.chain import caused_by
from rules_engine.admin.records.columns import FourColumns
from rules_engine.admin.why.on_records import WhyOnRecord
from rules_engine.models import Attempt, Execution, Rule
from rules_engine.models.execution import WAITING, ExecutionQuerySet, State
from rules_engine.outbox import hints
from rules_engine.rules import registry

RETRYABLE_STATES = (State.DISCARDED, State.CANCELLED, State.REFUSED, State.RETRYABLE)
PERMISSION = "rules_engine.retry_execution"

Change = Callable[[ExecutionQuerySet], int]


@admin.register(Execution)
class ExecutionAdmin(WhyOnRecord, FourColumns, RowButtonsAdmin):
    """The outbox, as people read it."""

    buttons = {"retry": RETRYABLE_STATES, "cancel": WAITING, "replay": (State.SUCCEEDED,)}
    buttons_permission = PERMISSION
    narrowed_by = ("queue", "lane")

    list_filter = ("state", RuleFilter, KindFilter)
    list_select_related = ("event",)
    date_hierarchy = "created_at"
    paginator = KeysFirstPaginator
    search_help_text = _("A part of a rule's slug or name; in full: an object's key, an event's or an execution's id.")
    actions = ("retry_selected", "replay_selected", "cancel_selected")
    change_form_template = "admin/rules_engine/execution/change_form.html"
    readonly_fields = (
        "rule_shown", "event_shown", "object_shown", "next_shown", "attempts_shown", "config_shown", "outcome_shown",
        "caused_shown", "context_shown", "kind_named", "author_shown", "trace_shown",
    )  # fmt: skip

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        state = ("state", "outcome_shown", "attempts_shown", "caused_shown", "next_shown", "created_at", "finished_at")
        trace = ("trace_shown",) if obj is not None and obj.event.trace else ()
        origin = ("rule_shown", "rule_version", "kind_named", "event_shown", "object_shown", "author_shown", *trace)
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

    def having(self, word: str) -> Q:
        """By rule, by object, by event, by its own id."""
        number = uuid_of(word)
        return Q(pk=number) | of_events_about(word) if number else of_events_about(word) | of_rules(word)

    # Retry and cancel

    @admin.action(description=_("Retry selected executions"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._retry(request, queryset)

    @admin.action(description=_("Replay selected executions that succeeded"), permissions=["retry"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._replay(request, queryset)

    @admin.action(description=_("Cancel selected executions"), permissions=["retry"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._cancel(request, queryset)

    def _retry(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        self._make_due(request, chosen, RETRYABLE_STATES, ExecutionQuerySet.retry, gettext("Retried."))

    def _replay(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        kinds = [kind for kind, action in registry.kinds(also_ordered=True).items() if action.replayable]
        chosen = chosen.filter(kind__in=kinds)
        self._make_due(request, chosen, (State.SUCCEEDED,), ExecutionQuerySet.replay, gettext("Replayed."))

    def _make_due(
        self, request: HttpRequest, chosen: QuerySet[Any], states: Collection[str], change: Change, message: str
    ) -> None:
        def act(keys: list[Any]) -> list[Execution]:
            rows = _locked(keys, states)
            change(_of(rows))
            for queue in sorted({row.queue for row in rows}):
                transaction.on_commit(partial(hints.notify, queue), using=router.db_for_write(Execution))
            return rows

        done = in_batches(request.user.pk, chosen, act, message)
        text = ngettext("%(count)s execution is due again.", "%(count)s executions are due again.", done.count)
        self.tell(request, text, done)

    def applies(self, button: str, row: Any) -> bool:
        """Only what its receiver knows for a repetition is done again after a success."""
        return super().applies(button, row) and (button != "replay" or is_replayable(row))

    def _cancel(self, request: HttpRequest, chosen: QuerySet[Any]) -> None:
        reason = gettext("Cancelled by %s.") % request.user.get_username()

        def act(keys: list[Any]) -> list[Execution]:
            rows = _locked(keys, WAITING)
            _of(rows).cancel(reason)
            return rows

        done = in_batches(request.user.pk, chosen, act, gettext("Cancelled."))
        text = ngettext("%(count)s execution was cancelled.", "%(count)s executions were cancelled.", done.count)
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
    def object_shown(self, execution: Any) -> SafeString:
        shown: SafeString = execution.object_html
        return shown

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
    def outcome_shown(self, execution: Any) -> SafeString:
        return text_block(execution.unseen or execution.error or execution.summary)

    @admin.display(description=_("What it did"), ordering="kind")
    def kind_named(self, execution: Execution) -> str:
        return registry.title(execution.kind)

    @admin.display(description=_("rule"))
    def rule_shown(self, execution: Execution) -> SafeString:
        return rule_link(execution.rule_slug, execution.event.signal)

    @admin.display(description=_("event"))
    def event_shown(self, execution: Execution) -> SafeString:
        return link(page_url("event", execution.event_id), execution.event)

    @admin.display(description=_("author"))
    def author_shown(self, execution: Execution) -> str:
        return names_of([execution.author_id]).get(execution.author_id, execution.author_id) or "–"

    @admin.display(description=_("trace"))
    def trace_shown(self, execution: Execution) -> SafeString:
        return trace_link(execution.event.trace)

    @admin.display(description=_("events it led to"))
    def caused_shown(self, execution: Execution) -> SafeString:
        return caused_by(execution)

    @admin.display(description=_("config"))
    def config_shown(self, execution: Execution) -> SafeString:
        return settings_block(execution.kind, execution.config)

    @admin.display(description=_("context"))
    def context_shown(self, execution: Any) -> SafeString:
        shown: SafeString = execution.context_html
        return shown

    @admin.display(description=_("attempts"))
    def attempts_shown(self, execution: Any) -> SafeString:
        attempts = Attempt.objects.filter(execution=execution).order_by("number")
        headings = (_("number"), _("outcome"), _("started"), _("took"), _("error"), _("detail"))
        rows = [_attempt_row(attempt, execution.unseen) for attempt in attempts]
        return table(headings, rows) if rows else text_block(gettext("None yet."))


def _locked(keys: Collection[Any], states: Collection[str]) -> list[Execution]:
    """Those of the rows in these states, held so that the log names exactly what was changed."""
    rows = Execution.objects.using(router.db_for_write(Execution)).filter(pk__in=keys, state__in=states)
    return list(rows.only("rule_slug", "kind", "queue").select_for_update())


def _of(rows: Collection[Execution]) -> ExecutionQuerySet:
    return Execution.objects.using(router.db_for_write(Execution)).filter(pk__in=[row.pk for row in rows])


def is_replayable(execution: Execution) -> bool:
    """Whether it does no harm to carry it out once more."""
    action = registry.find(execution.kind)
    return action is not None and action.replayable


def rule_link(slug: str, signal: str = "") -> SafeString:
    """A rule by its slug, linked to its page while there is one; or who ordered what ``signal`` is about."""
    if not slug:
        return link("", ordered_by(signal))
    pk = Rule.objects.filter(slug=slug).values_list("pk", flat=True).first()
    return link(page_url("rule", pk) if pk else "", slug)


def _attempt_row(attempt: Attempt, unseen: str) -> tuple[Any, ...]:
    duration = attempt.duration
    took = "–" if duration is None else gettext("%.3f s") % duration.total_seconds()
    error = f"{attempt.error_type}: {attempt.error}" if attempt.error_type else attempt.error
    # The detail is the object's data as it was sent, and an error may quote it.
    detail = text_block(unseen) if unseen else json_block(attempt.detail)
    when = time_words(attempt.started_at)
    return attempt.number, attempt.get_outcome_display(), when, took, text_block(unseen or error), detail
