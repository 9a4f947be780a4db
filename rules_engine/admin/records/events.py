"""Events as they were captured, and what each rule said to them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.labels import OPERATION_WORDS, SIGNALS, detail_words, ordered_by
from rules_engine.admin.parts.objects import names_of_objects, why_unseen
from rules_engine.admin.parts.rendering import (
    clock,
    context_block,
    link,
    list_url,
    object_block,
    object_cell,
    page_url,
    table,
    text_block,
    trace_link,
)
from rules_engine.admin.parts.rule_page import TEST
from rules_engine.admin.parts.searching import SearchedAdmin, labels_like, uuid_of
from rules_engine.admin.records.chain import chain_block
from rules_engine.admin.why.on_records import WhyOnRecord
from rules_engine.models import Event, Rule
from rules_engine.rules.permissions import may_view_outcomes

OUTCOMES = {"matched": _("matched"), "not_matched": _("did not match"), "error": _("could not be evaluated")}
GATES = {"operations": _("its operations"), "changes": _("its change conditions"), "condition": _("its condition")}

#: Rules of an event that a row of the list has room for.
MOST_TOLD = 5


@admin.register(Event)
class EventAdmin(WhyOnRecord, SearchedAdmin):
    """What happened."""

    list_display = ("time_told", "happened_told", "object_told", "rules_told")
    list_display_links = ("time_told",)
    list_filter = ("operation",)
    surroundings_column = "surroundings"
    date_hierarchy = "created_at"
    change_form_template = "admin/rules_engine/event/change_form.html"
    search_help_text = _(
        "In full: an object's key, an actor's name, a signal, the id of a request or event. Or a model."
    )
    readonly_fields = (
        "object_shown",
        "root_shown",
        "cause_shown",
        "evaluations_shown",
        "executions_shown",
        "chain_shown",
        "context_shown",
        "trace_shown",
    )

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Nobody who keeps no traces is to ask what one is.
        trace = ("trace_shown",) if obj is not None and obj.trace else ()
        return (
            "signal", "operation", "object_shown", "occurred_at", "created_at", "actor_name", "actor_id",
            "request_id", *trace, "depth", "root_shown", "cause_shown", "evaluations_shown", "executions_shown",
            "chain_shown", "context_shown",
        )  # fmt: skip

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        if obj is not None:
            # Whether the data may be seen depends on who asks; a display method is not told.
            obj.context_html = context_block(request, obj)
            obj.object_html = object_block(request, obj)
            obj.unseen = why_unseen(request, obj.model, obj.key_here, obj.context)
            obj.rules = _rules_to_test(request, obj)
            obj.sees = partial(may_view_outcomes, request.user)
        return super().get_form(request, obj, change, **options)

    def having(self, word: str) -> Q:
        """By object, request, chain, model, signal and actor."""
        if (number := uuid_of(word)) is not None:
            return Q(pk=number) | Q(root_id=number) | Q(object_pk=word) | Q(request_id=word)
        keys = Q(object_pk=word) | Q(request_id=word) | Q(signal=word) | Q(model__in=labels_like(word))
        return keys | Q(actor_name__iexact=word)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Django's, with what the rules and the objects of the page are called."""
        changelist: Any = super().get_changelist_instance(request)
        events = changelist.result_list = list(changelist.result_list)
        names = names_of_objects(request, ((event.model, event.key_here) for event in events))
        slugs = {evaluation.get("rule") for event in events for evaluation in _evaluations(event)[:MOST_TOLD]}
        rules = dict(Rule.objects.filter(slug__in=slugs).order_by().values_list("slug", "name"))
        for event in events:
            event.object_cell = object_cell(event, names)
            event.rules_cell = _rules_cell(event, rules)
        return changelist

    @admin.display(description=_("when"), ordering="occurred_at")
    def time_told(self, event: Event) -> SafeString:
        return clock(event.occurred_at)

    @admin.display(description=_("what happened"), ordering="signal")
    def happened_told(self, event: Event) -> SafeString:
        """As people say it; below it the signal's name, and who did it."""
        words = OPERATION_WORDS.get(event.operation) or SIGNALS.get(event.signal) or event.signal
        below = [event.signal if words != event.signal else ""]
        if event.actor_name:
            below.append(gettext("by %s") % event.actor_name)
        lines = format_html_join("", '<div class="quiet" dir="auto">{}</div>', ((line,) for line in below if line))
        return format_html("{}{}", words, lines)

    @admin.display(description=_("object"), ordering="object_pk")
    def object_told(self, event: Any) -> SafeString:
        cell: SafeString = event.object_cell
        return cell

    @admin.display(description=_("rules"))
    def rules_told(self, event: Any) -> SafeString:
        cell: SafeString = event.rules_cell
        return cell

    @admin.display(description=_("object"))
    def object_shown(self, event: Any) -> SafeString:
        shown: SafeString = event.object_html
        return shown

    @admin.display(description=_("first event of its chain"))
    def root_shown(self, event: Event) -> SafeString:
        return link(page_url("event", event.root_id) if event.root_id != event.pk else "", event.root_id)

    @admin.display(description=_("caused by"))
    def cause_shown(self, event: Event) -> SafeString:
        return link(page_url("execution", event.cause_id) if event.cause_id else "", event.cause_id or "–")

    @admin.display(description=_("trace"))
    def trace_shown(self, event: Event) -> SafeString:
        return trace_link(event.trace)

    @admin.display(description=_("chain"))
    def chain_shown(self, event: Any) -> SafeString:
        return chain_block(event, event.sees)

    @admin.display(description=_("evaluations"))
    def evaluations_shown(self, event: Any) -> SafeString:
        rows = [
            (
                evaluation.get("rule"),
                evaluation.get("version"),
                *_verdict(evaluation),
                _detail(evaluation, event.unseen),
                _keep_button(event, str(evaluation.get("rule"))),
            )
            for evaluation in _evaluations(event)
        ]
        if not rows:
            return text_block(ordered_by(event.signal))
        headings = (_("rule"), _("version"), _("outcome"), _("stopped by"), _("detail"), _("test"))
        return table(headings, rows) if event.rules else table(headings[:-1], [row[:-1] for row in rows])

    @admin.display(description=_("executions"))
    def executions_shown(self, event: Event) -> SafeString:
        return link(list_url("execution", event__id__exact=event.pk), event.executions.count())

    @admin.display(description=_("context"))
    def context_shown(self, event: Any) -> SafeString:
        shown: SafeString = event.context_html
        return shown


def _rules_to_test(request: HttpRequest, event: Any) -> dict[str, Any]:
    """The rules, by slug, for which the user may keep this event as a test."""
    if event.unseen or not all(request.user.has_perm(name) for name in (TEST, "rules_engine.view_rule")):
        return {}
    slugs = [str(evaluation.get("rule")) for evaluation in _evaluations(event)]
    return dict(Rule.objects.filter(slug__in=slugs, model=event.model).values_list("slug", "pk"))


def _keep_button(event: Any, slug: str) -> SafeString | str:
    """A button of the page's own form, which has nothing else to send."""
    if slug not in event.rules:
        return "–"
    address = f"{reverse('admin:rules_engine_rule_tests', args=[event.rules[slug]])}?event={event.pk}"
    html = (
        '<button type="submit" class="button" formmethod="post" formaction="{}" formnovalidate>{}'
        '<span class="visually-hidden"> {}</span></button>'
    )
    return format_html(html, address, gettext("Keep as a test"), slug)


def _evaluations(event: Event) -> list[Mapping[str, Any]]:
    evaluations = event.evaluations if isinstance(event.evaluations, list) else []
    return [evaluation for evaluation in evaluations if isinstance(evaluation, Mapping)]


def _rules_cell(event: Event, names: Mapping[str, str]) -> SafeString:
    """What the first rules said, a line each; how many more there were."""
    evaluations = _evaluations(event)
    if not evaluations:
        return format_html("{}", ordered_by(event.signal))
    lines = [
        (names.get(slug := str(each.get("rule")), "") or slug, _word(OUTCOMES, each.get("outcome")))
        for each in evaluations[:MOST_TOLD]
    ]
    told = format_html_join("", '<div><span dir="auto">{}</span>: {}</div>', lines)
    left = len(evaluations) - len(lines)
    if not left:
        return told
    return format_html(
        '{}<div class="quiet">{}</div>',
        told,
        ngettext("and %(count)s more rule", "and %(count)s more rules", left) % {"count": left},
    )


def _detail(evaluation: Mapping[str, Any], unseen: str) -> str:
    """Why a rule stopped; an error may quote the object's data."""
    detail = str(evaluation.get("detail") or "")
    if detail and unseen and evaluation.get("outcome") == "error":
        return unseen
    return detail_words(detail) or "–"


def _verdict(evaluation: Mapping[str, Any]) -> tuple[str, str]:
    gate = evaluation.get("gate")
    return _word(OUTCOMES, evaluation.get("outcome")), _word(GATES, gate) if gate else "–"


def _word(words: Mapping[str, Any], name: Any) -> str:
    return str(words.get(str(name), name))
