"""What needs somebody: one list of it, each with the one thing to do.

Its queries are bounded, for they are asked at every look at the app's index, too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from rules_engine.admin.overview.moments import ago
from rules_engine.admin.overview.workers import is_anybody_at_work, last_seen
from rules_engine.admin.parts.rendering import list_url, page_url, time_words
from rules_engine.admin.pauses.notices import may_see_pauses, named, resume_url, scope_words
from rules_engine.admin.reading.enabled import enabled_rules, fault_of
from rules_engine.admin.reading.states import DAY, author_faults
from rules_engine.databases import database_of
from rules_engine.models import Execution, HeldMatch, Pause, Rule, RuleError
from rules_engine.models.execution import TROUBLED, State
from rules_engine.monitoring.backlog import LATE, oldest_free
from rules_engine.surroundings import own_rules
from rules_engine.work import overview
from rules_engine.work.overview import Need
from rules_engine.work.queues import has_drain

#: Of one kind of thing; of more it is said how many.
MOST_NAMED = 10
#: Rules that are looked at, and the latest failures of each.
MOST_ASKED, SAMPLE = 20, 100
#: What was given up longer ago has been let be.
WEEK = timedelta(days=7)
#: What fails is tried again by itself; after so many times somebody should look.
MANY_FAILURES = 3
#: A pause without an end that stands for so long may have been forgotten.
FORGOTTEN = timedelta(days=1)


def needs_of(user: Any) -> list[Need]:
    """Say all that needs somebody, as far as this user may see it; nothing to those who may not view rules."""
    if not any(user.has_perm(f"rules_engine.{right}_rule") for right in ("view", "change")):
        return []
    own = (_no_worker(), _late(), _untold(), _broken(), _failing(user), _paused(user))
    return [*(need for part in own for need in part), *overview.needs(user)]


def how_many(needs: Iterable[Need]) -> int:
    """Say how many things these stand for."""
    return sum(need.count for need in needs)


def _no_worker() -> Iterator[Need]:
    if is_anybody_at_work():
        return
    seen = last_seen()
    why = gettext("None was ever seen, so nothing that is due is done.")
    if seen is not None:
        why = gettext("None was seen since %s, so nothing that is due is done.") % time_words(seen)
    yield Need(gettext("Workers"), why, gettext("Start a worker"), _part_url("workers"))


def _part_url(part: str) -> str:
    return f"{reverse('admin:rules_engine_overview')}#overview-{part}"


def _late() -> Iterator[Need]:
    """Queues in which something waits that nothing holds up. A sender that took a queue over tells of it itself."""
    pauses = list(Pause.objects.current())
    live = Execution.objects.live()
    for queue in database_of(live.db).due_queues(live):
        oldest = None if has_drain(queue) else oldest_free(queue, pauses, LATE)[0]
        if oldest is not None:
            yield _late_need(gettext("The queue %s") % queue, oldest)
    if (oldest := _oldest_held(pauses)) is not None:
        yield _late_need(gettext("Held matches"), oldest)


def _late_need(what: str, oldest: datetime) -> Need:
    why = gettext("What is due is not taken on. The oldest was due %s.") % ago(oldest, timezone.now())
    return Need(what, why, gettext("See whether workers take them"), _part_url("waiting"))


def _oldest_held(pauses: Sequence[Pause]) -> datetime | None:
    if any(pause.is_everything or pause.model for pause in pauses):
        # Which of them wait for that is told by their rules alone, and there may be many.
        return None
    held = HeldMatch.objects.filter(state=HeldMatch.State.WAITING, due_at__lte=Now() - LATE)
    held = held.exclude(rule_slug__in=[pause.rule_slug for pause in pauses])
    due: datetime | None = held.order_by("due_at").values_list("due_at", flat=True).first()
    return due


def _untold() -> Iterator[Need]:
    """Changes that no rule was told of, by the latest that a process has said of them."""
    latest = RuleError.objects.filter(rule_slug="", created_at__gte=Now() - DAY).order_by("-created_at").first()
    if latest is not None:
        url = _part_url("workers")
        yield Need(gettext("Changes that no rule was told of"), latest.message, gettext("See the log"), url)


def _broken() -> Iterator[Need]:
    """Rules that are on and cannot run."""
    known = enabled_rules()
    do = gettext("Open the rule")
    here = {"surroundings": own_rules.made_here()}
    lost = Rule.objects.filter(**here, enabled=True, author_id__isnull=False).exclude(author__is_active=True)
    whys = {spec.slug: fault_of(spec) for spec in known.faulty[:MOST_NAMED]}
    for rule in lost.select_related("author").order_by("position", "slug")[:MOST_NAMED]:
        whys.setdefault(rule.slug, " ".join(author_faults(rule)))
    for slug, why in list(whys.items())[:MOST_NAMED]:
        pk, name = known.names[slug]
        yield Need(name, why, do, page_url("rule", pk))
    if (more := len(known.faulty) - MOST_NAMED) > 0:
        yield _more(more, list_url("rule", enabled__exact=1))


def _more(count: int, url: str) -> Need:
    text = ngettext("and %(count)s more rule", "and %(count)s more rules", count) % {"count": count}
    return Need(text, "", gettext("Look at the rules"), url, count)


def _failing(user: Any) -> Iterator[Need]:
    """Rules with actions that were given up or fail again and again, or whose evaluation failed since they changed."""
    rules = _rules_with_failures()
    asked = list(rules[: MOST_ASKED + 1])
    counts, mistakes = _troubles(asked), _mistakes(asked)
    found = [rule for rule in asked[:MOST_ASKED] if counts.get(rule.slug) or (rule.enabled and mistakes[rule.slug])]
    may_see = user.has_perm("rules_engine.view_execution")
    for rule in found[:MOST_NAMED]:
        counted = counts.get(rule.slug, Counter())
        why = " ".join(_why(counted, mistakes[rule.slug]))
        yield Need(str(rule), why, *_what_to_do(rule, counted, may_see))
    more = len(found) - MOST_NAMED if len(asked) <= MOST_ASKED else rules.count() - MOST_NAMED
    if more > 0:
        yield _more(more, list_url("rule"))


def _rules_with_failures() -> QuerySet[Rule]:
    """Those with a failure of late, of whatever kind. Asked of one rule at a time: each is a look into an index."""
    its = {"rule_slug": OuterRef("slug")}
    troubled = Execution.objects.filter(state__in=TROUBLED, created_at__gte=Now() - WEEK, **its)
    mistaken = RuleError.objects.filter(created_at__gte=OuterRef("updated_at"), **its)
    is_mistaken = Q(Exists(mistaken.filter(created_at__gte=Now() - DAY)), enabled=True)
    return Rule.objects.filter(Q(Exists(troubled)) | is_mistaken).order_by("position", "slug")


def _troubles(rules: Collection[Rule]) -> dict[str, Counter[str]]:
    """Of the latest failures of each rule: how many were given up, refused, and fail again and again. One query. What
    is retried for an endpoint is told of the endpoint."""
    rows = [
        Execution.objects.filter(state__in=TROUBLED, rule_slug=rule.slug, created_at__gte=Now() - WEEK)
        for rule in rules
    ]
    counts: dict[str, Counter[str]] = {}
    columns = ("rule_slug", "state", "failures", "lane")
    for slug, state, failures, lane in _latest_of_each(Execution, rows).values_list(*columns) if rows else ():
        if state != State.RETRYABLE or (failures >= MANY_FAILURES and not lane):
            counts.setdefault(slug, Counter())[str(state)] += 1
    return counts


def _mistakes(rules: Collection[Rule]) -> Counter[str]:
    rows = [
        RuleError.objects.filter(rule_slug=rule.slug, created_at__gte=max(rule.updated_at, timezone.now() - DAY))
        for rule in rules
    ]
    return Counter(_latest_of_each(RuleError, rows).values_list("rule_slug", flat=True) if rows else ())


def _latest_of_each(model: Any, rows: list[Any]) -> Any:
    # A level down, for SQLite takes no limit in a union.
    first, *others = (
        model.objects.filter(pk__in=database_of(one.db).first_keys(one.order_by("-created_at"), SAMPLE))
        .order_by()
        .values("pk")
        for one in rows
    )
    return model.objects.filter(pk__in=first.union(*others, all=True) if others else first).order_by()


def _why(counts: Counter[str], mistakes: int) -> Iterator[str]:
    if number := counts[State.DISCARDED]:
        text = ngettext("%(count)s action was given up.", "%(count)s actions were given up.", number)
        yield text % {"count": _number(number)}
    if number := counts[State.REFUSED]:
        text = ngettext("%(count)s action was refused.", "%(count)s actions were refused.", number)
        yield text % {"count": _number(number)}
    if number := counts[State.RETRYABLE]:
        text = ngettext("%(count)s action fails again and again.", "%(count)s actions fail again and again.", number)
        yield text % {"count": _number(number)}
    if mistakes:
        text = ngettext(
            "It could not be evaluated %(count)s time.", "It could not be evaluated %(count)s times.", mistakes
        )
        yield text % {"count": _number(mistakes)}


def _number(count: int) -> str:
    return gettext("over %s") % (SAMPLE - 1) if count >= SAMPLE else str(count)


def _what_to_do(rule: Rule, counts: Counter[str], may_see: bool) -> tuple[str, str]:
    if may_see and counts[State.DISCARDED]:
        url = list_url("execution", rule_slug=rule.slug, state__exact=State.DISCARDED)
        return gettext("Try again what was given up"), url
    if may_see and counts:
        state = State.RETRYABLE if counts[State.RETRYABLE] else State.REFUSED
        return gettext("See why"), list_url("execution", rule_slug=rule.slug, state__exact=state)
    return gettext("Open the rule"), page_url("rule", rule.pk)


def _paused(user: Any) -> Iterator[Need]:
    """Rules that paused by themselves, and pauses that nobody lifted: without an end for a day, or of people who are
    gone."""
    pauses = list(Pause.objects.current().order_by("created_at"))
    gone = _gone({pause.paused_by for pause in pauses if pause.paused_by})
    before = timezone.now() - FORGOTTEN
    forgotten = [
        pause
        for pause in sorted(pauses, key=lambda pause: not pause.by_itself)
        if pause.by_itself or pause.paused_by in gone or (pause.until is None and pause.created_at <= before)
    ]
    may_resume, may_see = user.has_perm("rules_engine.delete_pause"), may_see_pauses(user)
    for pause in named(forgotten[:MOST_NAMED]):
        url = resume_url(pause) if may_resume else page_url("pause", pause.pk) if may_see else ""
        do = gettext("Resume") if may_resume else gettext("Have it resumed")
        what = gettext("Paused: %s") % scope_words(pause)
        yield Need(what, _since(pause, is_gone=pause.paused_by in gone), do, url)
    if (more := len(forgotten) - MOST_NAMED) > 0:
        text = ngettext("and %(count)s more pause", "and %(count)s more pauses", more) % {"count": more}
        yield Need(text, "", gettext("Look at the pauses"), list_url("pause") if may_see else "", more)


def _since(pause: Pause, *, is_gone: bool) -> str:
    since = time_words(pause.created_at)
    if pause.by_itself:
        return gettext("By itself, since %(time)s. %(why)s") % {"time": since, "why": pause.reason}
    if is_gone:
        text = gettext("Since %(time)s, by %(who)s, who is no longer here.")
    elif pause.paused_by:
        text = gettext("Since %(time)s, by %(who)s, and without an end.")
    else:
        text = gettext("Since %(time)s, and without an end.")
    return text % {"time": since, "who": pause.paused_by}


def _gone(names: Collection[str]) -> set[str]:
    """Those of the names that no active user has. One query, none without names."""
    if not names:
        return set()
    model: Any = get_user_model()
    users = model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": names})
    return set(names) - {user.get_username() for user in users if user.is_active}
