"""The list of rules: whether everything is all right, at a glance."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.contrib.admin.utils import quote
from django.db.models import OrderBy, QuerySet
from django.db.models.fields.json import KT
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.charts import hours_chart
from rules_engine.admin.parts.labels import model_title
from rules_engine.admin.parts.objects import UNSEEN
from rules_engine.admin.parts.rendering import list_url, time_words
from rules_engine.admin.pauses.notices import Pauses
from rules_engine.admin.pauses.of_rules import row_link
from rules_engine.admin.prose.marks import Words
from rules_engine.admin.prose.reader import Reader
from rules_engine.admin.reading import states
from rules_engine.admin.reading.sentence import sentence
from rules_engine.admin.rules.rule_labels import GroupFilter, LabelFilter, labels_of
from rules_engine.models import Rule
from rules_engine.rules import registry
from rules_engine.rules.permissions import may_view_outcomes
from rules_engine.surroundings import own_rules
from rules_engine.surroundings.state import functions, shown

LONGEST = 120
#: The value of the filter for rules that hold in all surroundings; a text of JSON is never this.
EVERYWHERE = "-"
LONGEST_CLAUSE = 200
#: A rule of several labels stands below the first of them.
FIRST_LABEL = OrderBy(KT("labels__0"), nulls_last=True)


class ModelFilter(admin.SimpleListFilter):
    """By the model that rules watch."""

    title = _("model")
    parameter_name = "model"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        watched = (
            Rule.objects.seen_here().exclude(model="").order_by("model").values_list("model", flat=True).distinct()
        )
        return [(label, f"{model_title(label)} ({label})") for label in watched]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(model=self.value()) if self.value() else queryset


class ActionFilter(admin.SimpleListFilter):
    """By what rules do."""

    title = _("action")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(kind, str(action.label)) for kind, action in registry.kinds().items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(actions__kind=self.value()).distinct() if self.value() else queryset


class SurroundingsFilter(admin.SimpleListFilter):
    """By the surroundings that rules hold in alone; shown at home, where there are such rules."""

    title = _("surroundings")
    parameter_name = "surroundings"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        if not _tells_surroundings():
            return ()
        every = Rule.objects.order_by("surroundings").values_list("surroundings", flat=True).distinct()
        return [(text or EVERYWHERE, shown(text) or gettext("all")) for text in every]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        wanted = self.value()
        return queryset.filter(surroundings="" if wanted == EVERYWHERE else wanted) if wanted else queryset


def _tells_surroundings() -> bool:
    said = functions()
    return said is not None and said.own_rules and not own_rules.are_kept_here()


class RuleListMixin:
    """What the admin of rules shows as its list. Two queries of its own, and one for pauses, however many rows."""

    list_display: Any = ("name_shown", "when_shown", "then_shown", "state")
    #: The name is a link of its own, since what stands beside it is none.
    list_display_links: Any = None
    list_filter: Any = (LabelFilter, GroupFilter, SurroundingsFilter, "enabled", "shadow", ModelFilter, ActionFilter)
    list_per_page = 50
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    search_fields: Any = ("slug", "name", "description", "model")

    def get_ordering(self, request: HttpRequest) -> tuple[Any, ...]:
        """What needs somebody first; in a list of groups, within each of them."""
        group = GroupFilter.ORDERS.get(request.GET.get(GroupFilter.parameter_name, ""))
        usual = ("trouble", "position", "slug")
        return (FIRST_LABEL, *usual) if group == "labels" else (group, *usual) if group else usual

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        """With the surroundings at home, where others have rules of their own."""
        first, *others = self.list_display
        return (first, "surroundings_shown", *others) if _tells_surroundings() else self.list_display

    @admin.display(description=_("surroundings"), ordering="surroundings")
    def surroundings_shown(self, rule: Any) -> str:
        return shown(rule.surroundings) or gettext("all")

    def get_queryset(self, request: HttpRequest) -> Any:
        """With what the page shows of each rule, in a fixed number of queries."""
        seen = Rule.objects.seen_here()
        rules = states.with_trouble(seen.select_related("author").prefetch_related("actions"))
        return rules.order_by(*self.get_ordering(request))

    def get_changelist_instance(self: Any, request: HttpRequest) -> Any:
        """Django's, with what each rule of the page did, and what is paused."""
        changelist = super().get_changelist_instance(request)  # type: ignore[misc]
        rules: Any = changelist.result_list
        activity = states.last_day([rule.slug for rule in rules])
        pauses = Pauses(request.user)
        reader = Reader(request.user)
        # Ordered by a column, groups do not stand together.
        head_groups(rules, "" if "o" in request.GET else request.GET.get(GroupFilter.parameter_name, ""))
        for rule in rules:
            rule.change_url = self._change_url(request, rule)
            rule.sentence = sentence(rule, reader=reader)
            rule.activity, rule.pauses = activity[rule.slug], pauses.of(rule)
            rule.pause_link = row_link(request.user, rule, rule.pauses)
            if rule.activity.last_error and not may_view_outcomes(request.user, rule.model):
                rule.activity.last_error = str(UNSEEN)
        changelist.is_of_own_rules = own_rules.are_kept_here()
        changelist.paused = pauses.banner([pause for pause in pauses.all if not pause.rule_slug])
        return changelist

    def _change_url(self: Any, request: HttpRequest, rule: Rule) -> str:
        """Its page, from which one comes back to the list as it is filtered now."""
        kept = {"opts": Rule._meta, "preserved_filters": self.get_preserved_filters(request)}
        return str(add_preserved_filters(kept, reverse("admin:rules_engine_rule_change", args=[quote(rule.pk)])))

    @admin.display(description=_("name"), ordering="name")
    def name_shown(self, rule: Any) -> SafeString:
        heading = format_html('<span class="rules-group" dir="auto">{}</span>', rule.heading) if rule.heading else ""
        name = format_html('<a class="rules-name" dir="auto" href="{}">{}</a>', rule.change_url, rule.name or rule.slug)
        labels = ((list_url("rule", label=label), label) for label in labels_of(rule))
        chips = format_html_join(" ", '<a class="rules-label" dir="auto" href="{}">{}</a>', labels)
        return format_html(
            "{}{}{}", heading, name, format_html('<div class="rules-labels">{}</div>', chips) if chips else ""
        )

    @admin.display(description=_("When"))
    def when_shown(self, rule: Any) -> SafeString:
        return _clause(rule.sentence.when)

    @admin.display(description=_("Then"))
    def then_shown(self, rule: Any) -> SafeString:
        return _clause(rule.sentence.then)

    @admin.display(description=_("State, last 24 hours"), ordering="trouble")
    def state(self, rule: Any) -> SafeString:
        """In one column, or the list is wider than a laptop's screen."""
        return format_html("<div>{}</div>{}", self._state(rule), self._last_day(rule))

    def _state(self, rule: Any) -> SafeString:
        state = states.state_of(rule)
        badges = [_badge(state.name, state.words)]
        if rule.pauses and rule.enabled:
            badges.append(_badge("paused", _paused_words(rule.pauses)))
        if rule.activity.held:
            held = gettext("%(count)s held") % {"count": rule.activity.held}
            badges.append(format_html('<a href="{}">{}</a>', Pauses.held_url(rule), held))
        shown = (*badges, *map(shortened, state.reasons[:1]), rule.pause_link)
        return format_html_join(" ", "{}", ((badge,) for badge in shown if badge))

    def _last_day(self, rule: Any) -> SafeString:
        activity, url = rule.activity, list_url("execution", rule_slug=rule.slug)
        if activity.last_fired is None:
            words = gettext("never fired")
        else:
            words = gettext("%(count)s fired") % {"count": activity.fired}
        lines: list[str] = [format_html('<a href="{}">{}</a>', url, words)]
        if number := activity.failed + activity.errors:
            failed = gettext("%(count)s failed") % {"count": number}
            lines[0] += format_html(' · <strong class="rules-failed">{}</strong>', failed)
        lines.append(hours_chart(activity.hours))
        if activity.last_fired is not None:
            last = gettext("last fired %s") % time_words(activity.last_fired)
            lines.append(format_html('<span class="quiet">{}</span>', last))
        lines.append(shortened(activity.last_error))
        return format_html_join("", "<div>{}</div>", ((line,) for line in lines if line))


def head_groups(rules: Any, group: str) -> None:
    """Give the first rule of each group the heading that stands above it, and all others none."""
    before: str | None = None
    for rule in rules:
        rule.heading = ""
        if group in GroupFilter.ORDERS:
            here = rule.model if group == "model" else next(iter(labels_of(rule)), "")
            if here != before:
                rule.heading = (model_title(here) if group == "model" else here) or _nothing(group)
            before = here


def _nothing(group: str) -> str:
    return gettext("Of no model") if group == "model" else gettext("Without a label")


def _clause(words: Words) -> SafeString:
    """A part of a rule's sentence; the whole of it is read where the mouse rests."""
    short = words.shortened(LONGEST_CLAUSE)
    return format_html('<div class="rules-clause" dir="auto"{}>{}</div>', _title(words, short), short.html)


def _title(words: Words, short: Words) -> SafeString | str:
    return "" if short is words else format_html(' title="{}"', str(words))


def shortened(text: str) -> str:
    """A text that a row of a list has room for."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _paused_words(pauses: list[Any]) -> str:
    """With when the last of them ends, where each has an end."""
    if any(pause.by_itself for pause in pauses):
        return gettext("paused by itself")
    ends = [pause.until for pause in pauses]
    if None in ends:
        return gettext("paused")
    return gettext("paused until %s") % time_words(max(ends))


def _badge(name: str, words: str) -> SafeString:
    return format_html('<span class="rules-state rules-state-{}">{}</span>', name, words)
