"""Limits in words: how often a rule acts at most, who used that up, and when it can act again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from django.utils.translation import gettext

from rules_engine.admin.parts.rendering import page_url, short_time
from rules_engine.admin.why.names import counted_by
from rules_engine.admin.why.speaker import ended
from rules_engine.models import Rule
from rules_engine.test.limits import LimitUse, Use

DAY, HOUR, MINUTE = 86_400, 3_600, 60


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go on. Without an address it is a text alone."""

    url: str
    text: str


def limit_words(limit: LimitUse, rule: Rule | None) -> str:
    """How often at most: ``at most once an hour for each customer``."""
    if limit.throttle is None:
        return gettext("once for each object")
    words = often_words(*limit.throttle)
    counted = counted_by(rule) if rule is not None else None
    if counted is not None:
        return gettext("%(limit)s for each %(field)s") % {"limit": words, "field": counted.title}
    return words


def often_words(count: int, seconds: int) -> str:
    """A throttle: ``at most once in an hour``."""
    often = gettext("at most once %(span)s") if count == 1 else gettext("at most %(count)s times %(span)s")
    return often % {"count": count, "span": _span(seconds)}


def _span(seconds: int) -> str:
    if seconds % DAY == 0:
        one, many, unit = gettext("in a day"), gettext("in %s days"), DAY
    elif seconds % HOUR == 0:
        one, many, unit = gettext("in an hour"), gettext("in %s hours"), HOUR
    elif seconds % MINUTE == 0:
        one, many, unit = gettext("in a minute"), gettext("in %s minutes"), MINUTE
    else:
        one, many, unit = gettext("in a second"), gettext("in %s seconds"), 1
    return one if seconds == unit else many % (seconds // unit)


def used_words(limit: LimitUse, name_of: Callable[[Use], str]) -> str:
    """Who used it up, as sentences: the last one by its object and time, and how many others."""
    if not limit.uses:
        return ""
    last = limit.uses[0]
    words = gettext("It acted for %(object)s at %(time)s") % {"object": name_of(last), "time": short_time(last.at)}
    others = min(len(limit.uses), limit.throttle[0] if limit.throttle else 1) - 1
    if others < 1:
        return words
    names = ", ".join(
        gettext("%(object)s (%(time)s)") % {"object": name_of(use), "time": short_time(use.at)}
        for use in limit.uses[1:]
    )
    return f"{ended(words)} {gettext('Before that: %s') % names}"


def next_words(limit: LimitUse) -> str:
    """When it can act again."""
    if limit.throttle is None:
        return gettext("It does not act on this object again, unless “once per object” is taken off the rule.")
    if limit.next_at is None:
        return gettext("There is room for it again now.")
    return gettext("It can act again at %s") % short_time(limit.next_at)


def use_link(limit: LimitUse) -> Link | None:
    """The match that used it up last."""
    if not limit.uses:
        return None
    return Link(page_url("heldmatch", limit.uses[0].match), gettext("What used it up"))
