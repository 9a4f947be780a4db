"""The four columns in which executions and held matches are listed: time, rule → target, object, state. What they say
of a page's rows is fetched for all of them together, as far as who asks may be told it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.labels import ordered_by
from rules_engine.admin.parts.objects import UNSEEN, hidden_rows, names_of_objects
from rules_engine.admin.parts.rendering import clock, link, object_cell, page_url
from rules_engine.admin.records.state_words import LIMITED, Circumstances, execution_words, held_words
from rules_engine.models import Execution, HeldMatch, Pause, Rule
from rules_engine.rules import registry
from rules_engine.rules.permissions import may_view_event
from rules_engine.work.lanes import LaneTitle, lane_titles

Row = Execution | HeldMatch
#: Released matches that are looked at for when the limits of a page's rules let them act again.
MOST_RELEASED = 1_000


@dataclass(slots=True)
class _Page:
    """What the rows of a page say besides their own columns."""

    now: datetime
    rules: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[tuple[str, str], str] = field(default_factory=dict)
    pauses: Sequence[Pause] = ()
    may_view_pauses: bool = False
    lanes: Mapping[tuple[str, str], LaneTitle] = field(default_factory=dict)
    free_at: Mapping[Any, datetime] = field(default_factory=dict)

    def circumstances(self, row: Any) -> Circumstances:
        """What the row's state depends on."""
        rule = self.rules.get(row.rule_slug)
        pauses = [pause for pause in self.pauses if pause.stops(row.rule_slug, rule.model if rule else "")]
        reasons = [pause.reason for pause in pauses if pause.reason] if self.may_view_pauses else []
        title = self.title(row)
        return Circumstances(
            now=self.now,
            pauses=pauses,
            pause_reason=reasons[0] if reasons else "",
            lane=title.waits if title else "",
            free_at=self.free_at.get(row.pk),
            unseen=row.unseen,
        )

    def title(self, row: Any) -> LaneTitle | None:
        """What the lane of an execution is called."""
        return self.lanes.get((row.queue, row.lane)) if isinstance(row, Execution) else None


def tell(request: HttpRequest, rows: Iterable[Row]) -> None:
    """Have the rows of a page say what the four columns show. It depends on who asks, whom no display method knows."""
    rows = list(rows)
    _hide(request, rows)
    page = _Page(
        now=timezone.now(),
        rules={rule.slug: rule for rule in _rules_of(rows)},
        names=names_of_objects(request, ((row.event.model, row.event.key_here) for row in rows)),
        pauses=list(Pause.objects.current()),
        may_view_pauses=request.user.has_perm("rules_engine.view_pause"),
        lanes=lane_titles(request.user, {(row.queue, row.lane) for row in rows if isinstance(row, Execution)}),
        free_at=_free_at([row for row in rows if isinstance(row, HeldMatch)]),
    )
    may_view_rules = request.user.has_perm("rules_engine.view_rule") or request.user.has_perm(
        "rules_engine.change_rule"
    )
    for row in rows:
        told: Any = row
        event = row.event
        told.rule_cell = _rule_cell(row, page, may_view_rules)
        told.object_cell = object_cell(event, page.names)
        around = page.circumstances(row)
        words = execution_words(row, around) if isinstance(row, Execution) else held_words(row, around)
        told.state_cell = words.sentence()


def _hide(request: HttpRequest, rows: Sequence[Row]) -> None:
    """Say of each row why who asks may not be shown what quotes its object's data, if so."""
    hidden = hidden_rows(request, ((row.event.model, row.event.key_here) for row in rows))
    for row in rows:
        event, told = row.event, row
        is_hidden = (event.model, event.key_here) in hidden
        is_seen = not is_hidden and (event.model or may_view_event(request.user, "", event.context))
        setattr(told, "unseen", "" if is_seen else str(UNSEEN))  # noqa: B010 - no field of either model


def _rules_of(rows: Sequence[Row]) -> Iterable[Any]:
    slugs = {row.rule_slug for row in rows}
    return Rule.objects.filter(slug__in=slugs).order_by().only("slug", "name", "model") if slugs else ()


def _free_at(rows: Sequence[HeldMatch]) -> dict[Any, datetime]:
    """When the limit that held a match back let its rule act again: as long after the earliest of those that had used
    it up as the limit says. Those are found by one query for all the rows."""
    limited = [row for row in rows if row.reason.startswith(LIMITED) and row.decided_at and row.terms.get("throttle")]
    if not limited:
        return {}
    spans = {row.pk: timedelta(seconds=row.terms["throttle"][1]) for row in limited}
    decided: dict[Any, datetime] = {row.pk: row.decided_at for row in limited if row.decided_at}
    released = HeldMatch.objects.filter(
        rule_slug__in={row.rule_slug for row in limited},
        throttle_key__in={row.throttle_key for row in limited},
        state=HeldMatch.State.RELEASED,
        decided_at__gt=min(decided[row.pk] - spans[row.pk] for row in limited),
        decided_at__lte=max(decided.values()),
    )
    times = list(
        released.order_by("-decided_at").values_list("rule_slug", "throttle_key", "decided_at")[:MOST_RELEASED]
    )
    found = {}
    for row in limited:
        until, key = decided[row.pk], (row.rule_slug, row.throttle_key)
        used = [at for *of, at in times if tuple(of) == key and at and until - spans[row.pk] < at <= until]
        if used and len(times) < MOST_RELEASED:
            found[row.pk] = min(used) + spans[row.pk]
    return found


def _rule_cell(row: Row, page: _Page, is_linked: bool) -> SafeString:
    rule = page.rules.get(row.rule_slug)
    name = (rule.name if rule else "") or row.rule_slug or ordered_by(row.event.signal)
    url = page_url("rule", rule.pk) if rule and is_linked else ""
    named = link(url, format_html('<span class="rules-name" dir="auto">{}</span>', name))
    targets = format_html_join(", ", "{}", ((target,) for target in _targets(row, page)))
    return format_html('{}<div class="rules-target">→ {}</div>', named, targets)


def _targets(row: Row, page: _Page) -> list[SafeString]:
    if isinstance(row, HeldMatch):
        rows = row.actions if isinstance(row.actions, list) else []
        kinds = dict.fromkeys(str(action.get("kind")) for action in rows if isinstance(action, Mapping))
        return [format_html("{}", registry.title(kind)) for kind in kinds]
    title = page.title(row)
    named = registry.title(row.kind)
    if title is None:
        return [format_html("{}", named)]
    return [format_html("{}: {}", named, link(title.url, format_html('<span dir="auto">{}</span>', title.name)))]


class FourColumns:
    """The columns, for the admin of either and of both. A page's rows are told by ``tell``."""

    list_display: Any = ("time_told", "rule_told", "object_told", "state_told")
    list_display_links: Any = ("time_told",)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Django's, with what the columns say."""
        changelist: Any = super().get_changelist_instance(request)  # type: ignore[misc]
        changelist.result_list = list(changelist.result_list)
        tell(request, changelist.result_list)
        return changelist

    @admin.display(description=_("when"), ordering="created_at")
    def time_told(self, row: Row) -> SafeString:
        return clock(row.created_at)

    @admin.display(description=_("rule → target"), ordering="rule_slug")
    def rule_told(self, row: Any) -> SafeString:
        cell: SafeString = row.rule_cell
        return cell

    @admin.display(description=_("object"))
    def object_told(self, row: Any) -> SafeString:
        cell: SafeString = row.object_cell
        return cell

    @admin.display(description=_("state"), ordering="state")
    def state_told(self, row: Any) -> SafeString:
        cell: SafeString = row.state_cell
        return cell
