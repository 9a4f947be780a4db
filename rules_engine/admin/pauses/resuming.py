"""What resuming comes to: what waits behind pauses, and goes on when they are lifted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from django.db.models import Count
from django.utils.translation import gettext, ngettext

from rules_engine.admin.pauses.notices import named, scope_words
from rules_engine.models import Execution, HeldMatch, Pause, Rule

#: Other pauses that are named.
MOST_NAMED = 5


@dataclass(frozen=True, slots=True)
class Kept:
    """What waits behind pauses, and which other pauses go on to stop some of it."""

    executions: int
    matches: int
    still_paused_by: tuple[Pause, ...] = ()


def kept_by(pauses: Iterable[Pause]) -> Kept:
    """Say what goes on when all of these pauses are lifted: what no other pause would go on to stop. Four queries."""
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

    stopped = [slug for slug in model_of if _stops(going, slug)]
    still = (pause for pause in others if any(pause.stops(slug, model_of[slug]) for slug in stopped))
    return Kept(of(executions), of(waiting), tuple(still))


def consequence(pauses: Collection[Pause]) -> list[str]:
    """What resuming does, as sentences."""
    kept = kept_by(pauses)
    sentences = [_carried_out(kept.executions)]
    if kept.matches:
        text = ngettext(
            "%(count)s held match is decided on then.", "%(count)s held matches are decided on then.", kept.matches
        )
        sentences.append(text % {"count": kept.matches})
    if any(pause.mode == Pause.Mode.DROP for pause in pauses):
        sentences.append(gettext("What happened while it dropped was not recorded, and is not made up for."))
    if any(pause.mode == Pause.Mode.HOLD for pause in pauses):
        sentences.append(
            gettext("What belonged to a save itself (fields to set, changes to refuse) was left out for good.")
        )
    if kept.still_paused_by:
        others = [scope_words(pause) for pause in named(kept.still_paused_by[:MOST_NAMED])]
        rest = ["…"] if len(kept.still_paused_by) > MOST_NAMED else []
        text = gettext("Other pauses go on to stop some of these rules, or all: %s.")
        sentences.append(text % ", ".join([*others, *rest]))
    return sentences


def _carried_out(count: int) -> str:
    if not count:
        return gettext("No action waits behind it.")
    text = ngettext(
        "%(count)s action that waits is carried out as soon as a worker is free.",
        "%(count)s actions that wait are carried out as soon as a worker is free.",
        count,
    )
    return text % {"count": count}
