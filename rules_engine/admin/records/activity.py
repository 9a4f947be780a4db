"""Activity: executions and held matches as one list, with a tab each for what failed, waits or is held back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.core.paginator import InvalidPage, Paginator
from django.db import transaction
from django.db.models import QuerySet, Value
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import path
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.filters import RuleFilter
from rules_engine.admin.parts.guarding import LONGEST_SEARCH, MOST_WORDS
from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.parts.row_buttons import RowButtonsAdmin
from rules_engine.admin.records.columns import FourColumns
from rules_engine.admin.records.executions import PERMISSION, ExecutionAdmin
from rules_engine.admin.records.held import HeldMatchAdmin
from rules_engine.models import Activity, Execution, HeldMatch
from rules_engine.models.execution import LIVE, TROUBLED, State
from rules_engine.work.lanes import lane_titles

if TYPE_CHECKING:
    _Paginator = Paginator[Any]
else:
    _Paginator = Paginator

TAB = "tab"
#: Rows of each table that are merged here: an index gives the newest of each, however many there are. Of pages further
#: back the database sorts all keys.
MOST_MERGED = 2_000
#: Lanes of one address that are asked what they are called.
MOST_LANES = 10
VIEW_EXECUTIONS, VIEW_HELD = "rules_engine.view_execution", "rules_engine.view_heldmatch"
RELEASE = HeldMatchAdmin.buttons_permission

Rows = QuerySet[Any]


@dataclass(frozen=True, slots=True)
class Tab:
    """A part of the activity: which executions are in it and which held matches, None for none of these."""

    name: str
    title: Any
    executions: Callable[[Rows], Rows] | None
    held: Callable[[Rows], Rows] | None


def _failed(rows: Rows) -> Rows:
    # One that somebody has retried waits, and does not fail any more.
    return rows.filter(state__in=TROUBLED).exclude(state=State.RETRYABLE, failures=0)


def _waiting(rows: Rows) -> Rows:
    return rows.filter(state__in=LIVE).exclude(state=State.RETRYABLE, failures__gt=0)


def _held(rows: Rows) -> Rows:
    # What a released one became are executions.
    return rows.exclude(state=HeldMatch.State.RELEASED)


def _all(rows: Rows) -> Rows:
    return rows


TABS = (
    Tab("all", _("All"), _all, _held),
    Tab("failed", _("Failed"), _failed, None),
    Tab("waiting", _("Waiting"), _waiting, None),
    Tab("held", _("Held back"), None, _held),
)


class SinceFilter(admin.SimpleListFilter):
    """By when it was recorded."""

    title = _("recorded")
    parameter_name = "since"
    HOURS: Mapping[str, int] = {"1h": 1, "24h": 24, "7d": 7 * 24}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        titles = (_("in the last hour"), _("in the last 24 hours"), _("in the last 7 days"))
        return list(zip(self.HOURS, titles, strict=True))

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        hours = self.HOURS.get(self.value() or "")
        return queryset.filter(created_at__gte=Now() - timedelta(hours=hours)) if hours else queryset


class _Pages(_Paginator):
    """Pages of both tables, in the order in which their rows were recorded."""

    def __init__(self, executions: Rows, held: Rows, per_page: int) -> None:
        super().__init__(executions, per_page)
        self.executions, self.held = executions, held

    @cached_property
    def count(self) -> int:
        """How many rows there are in both; of a table that is left out, Django knows without a query."""
        return self.executions.count() + self.held.count()

    def rows(self, number: int | str) -> list[Any]:
        """The rows of a page, with their events: a query of each table, once the keys are found out."""
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        keys = self._keys(first, first + self.per_page)
        found: dict[Any, Any] = {}
        for is_held, model in enumerate((Execution, HeldMatch)):
            wanted = [pk for pk, _created, of in keys if of == is_held]
            if wanted:
                rows: Rows = model._default_manager.select_related("event").filter(pk__in=wanted)
                found |= {row.pk: row for row in rows}
        # One that was pruned between the queries is left out.
        return [found[pk] for pk, _created, _of in keys if pk in found]

    def _keys(self, first: int, end: int) -> list[tuple[Any, Any, int]]:
        """The keys from here to there, with when the rows were recorded and of which table they are."""
        columns = ("pk", "created_at", "is_held")
        tables = [
            rows.order_by().annotate(is_held=Value(is_held)).values_list(*columns)
            for is_held, rows in enumerate((self.executions, self.held))
        ]
        if end > MOST_MERGED:
            return list(tables[0].union(tables[1], all=True).order_by("-created_at", "-pk")[first:end])
        newest = (rows.order_by("-created_at", "-pk")[:end] for rows in tables)
        in_order = sorted((key for keys in newest for key in keys), key=lambda key: (key[1], key[0]), reverse=True)
        return in_order[first:end]


class ActivityList(ChangeList):
    """Django's list of executions, with held matches among them."""

    model_admin: ActivityAdmin
    held: Rows
    tab: Tab

    def get_filters_params(self, params: Any = None) -> Any:
        """Without the tab, which is no filter of a column."""
        return {name: value for name, value in super().get_filters_params(params).items() if name != TAB}

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Rows:
        """The executions of the tab. ``held`` are its held matches then."""
        asked = self.params.get(TAB)
        self.tab = next((tab for tab in TABS if tab.name == asked), TABS[0])
        rows = super().get_queryset(request, exclude_parameters)
        self.held = self._held_matches(request)
        if self.tab.executions is None or not request.user.has_perm(VIEW_EXECUTIONS):
            return rows.none()
        return self.tab.executions(rows)

    def _held_matches(self, request: HttpRequest) -> Rows:
        page: Any = self.model_admin.admin_site.get_model_admin(HeldMatch)
        rows: Rows = page.get_queryset(request)
        if self.tab.held is None or self._is_of_lanes() or not request.user.has_perm(VIEW_HELD):
            return rows.none()
        for spec in self.filter_specs:
            narrowed: Any = spec.queryset(request, rows)
            rows = narrowed
        words = " ".join(self.query[:LONGEST_SEARCH].split()[:MOST_WORDS])
        return self.tab.held(page.search(request, rows, words)[0])

    def _is_of_lanes(self) -> bool:
        """Whether the address narrows the list to a queue or lanes, in which no held match is yet."""
        return any(name.partition("__")[0] in self.model_admin.narrowed_by for name in self.params)

    def get_results(self, request: HttpRequest) -> None:
        """The page of both tables."""
        self.paginator = _Pages(self.queryset, self.held, self.list_per_page)
        self.result_count = self.paginator.count
        self.show_full_result_count, self.full_result_count = False, None
        self.show_admin_actions = True
        self.can_show_all, self.multi_page = False, self.result_count > self.list_per_page
        try:
            self.result_list = self.paginator.rows(self.page_num)
        except InvalidPage:
            raise IncorrectLookupParameters from None

    def url_for_result(self, result: Any) -> str:
        """The page of the execution, or of the held match."""
        return page_url("heldmatch" if isinstance(result, HeldMatch) else "execution", result.pk)

    def tabs(self) -> list[dict[str, Any]]:
        """The tabs, for the page: titles and addresses, which keep what else is asked for."""
        return [
            {
                "title": tab.title,
                "url": self.get_query_string({TAB: tab.name}),
                "is_current": tab is self.tab,
            }
            for tab in TABS
            if tab.executions is not None or not self._is_of_lanes()
        ]


@admin.register(Activity)
class ActivityAdmin(FourColumns, RowButtonsAdmin):
    """What rules did, could not do yet, or hold back."""

    narrowed_by = ("queue", "lane")
    list_filter = (RuleFilter, SinceFilter)
    sortable_by = ()
    list_max_show_all = 0
    search_help_text = _("A part of a rule's slug or name; in full: an object's key, an event's or an execution's id.")
    actions = ("retry_selected", "replay_selected", "cancel_selected", "release_selected", "discard_selected")
    change_list_template = "admin/rules_engine/activity/change_list.html"

    def get_urls(self) -> list[Any]:
        """The list alone: a row's page is that of the execution or of the held match."""
        return [path("", self.admin_site.admin_view(self.changelist_view), name="rules_engine_activity_changelist")]

    @transaction.non_atomic_requests
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """The list, with a heading by the lanes that it is narrowed to."""
        queue, lanes = request.GET.get("queue__exact", ""), request.GET.get("lane__in", "").split(",")
        titles = list(lane_titles(request.user, {(queue, lane) for lane in lanes[:MOST_LANES]}).values())
        is_one = len({title.heading for title in titles}) == 1
        context = {
            "title": titles[0].heading if is_one else gettext("Activity"),
            "links": titles[0].links if is_one else (),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_changelist(self, request: HttpRequest, **options: Any) -> Any:
        return ActivityList

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may view either of both; a row is shown to who may view its kind."""
        return request.user.has_perm(VIEW_EXECUTIONS) or request.user.has_perm(VIEW_HELD)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """Whether the user may retry and cancel executions that they see."""
        return request.user.has_perm(PERMISSION) and request.user.has_perm(VIEW_EXECUTIONS)

    def has_release_permission(self, request: HttpRequest) -> bool:
        """Whether the user may release and discard held matches that they see."""
        return request.user.has_perm(RELEASE) and request.user.has_perm(VIEW_HELD)

    def having(self, word: str) -> Any:
        """As the list of executions."""
        return self._executions.having(word)

    @property
    def _executions(self) -> ExecutionAdmin:
        page: ExecutionAdmin = self.admin_site.get_model_admin(Execution)  # type: ignore[assignment]
        return page

    @property
    def _held(self) -> HeldMatchAdmin:
        page: HeldMatchAdmin = self.admin_site.get_model_admin(HeldMatch)  # type: ignore[assignment]
        return page

    # What is done to the rows that were chosen: what their own lists do.

    @admin.action(description=_("Retry selected executions"), permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: Rows) -> None:
        self._executions.retry_selected(request, Execution.objects.filter(pk__in=queryset.values("pk")))

    @admin.action(description=_("Replay selected executions that succeeded"), permissions=["retry"])
    def replay_selected(self, request: HttpRequest, queryset: Rows) -> None:
        self._executions.replay_selected(request, Execution.objects.filter(pk__in=queryset.values("pk")))

    @admin.action(description=_("Cancel selected executions"), permissions=["retry"])
    def cancel_selected(self, request: HttpRequest, queryset: Rows) -> None:
        self._executions.cancel_selected(request, Execution.objects.filter(pk__in=queryset.values("pk")))

    @admin.action(description=_("Release selected matches now"), permissions=["release"])
    def release_selected(self, request: HttpRequest, queryset: Rows) -> None:
        self._held.release_selected(request, self._chosen_matches(request))

    @admin.action(description=_("Discard selected matches"), permissions=["release"])
    def discard_selected(self, request: HttpRequest, queryset: Rows) -> None:
        self._held.discard_selected(request, self._chosen_matches(request))

    def _chosen_matches(self, request: HttpRequest) -> Rows:
        """The held matches that were chosen: Django tells an action of the executions alone."""
        rows: Rows = self.get_changelist_instance(request).held
        chosen: Sequence[str] = request.POST.getlist(ACTION_CHECKBOX_NAME)
        return rows if request.POST.get("select_across", "0") != "0" else rows.filter(pk__in=chosen)
