"""Limits in words: how often a rule acts at most, who used that up, and when it can act again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from django.utils.translation import gettext

from rules_engine.admin.parts.rendering import page_url, short_time
from rules_engine.admin.prose.holding import limited
from rules_engine.admin.prose.marks import words_of
from rules_engine.admin.why.speaker import ended
from rules_engine.models import Rule
from rules_engine.test.limits import LimitUse, Use
from rules_engine.types import RuleSpec


@dataclass(frozen=True, slots=True)
class Link:
    """Where to go on. Without an address it is a text alone."""

    url: str
    text: str


def limit_words(limit: LimitUse, rule: Rule | None) -> str:
    """How often at most: ``at most once an hour per customer``."""
    if limit.throttle is None:
        return gettext("once for each object")
    if rule is None:
        return often_words(*limit.throttle)
    return _said(RuleSpec(slug="", name="", model=rule.model, throttle_by=rule.throttle_by), limit.throttle)


def often_words(count: int, seconds: int) -> str:
    """A throttle: ``at most once an hour``."""
    return _said(RuleSpec(slug="", name="", model=""), (count, seconds))


def _said(rule: RuleSpec, throttle: tuple[int, int]) -> str:
    """As the rule's own sentence says it."""
    count, seconds = throttle
    return str(words_of(limited(replace(rule, throttle_count=count, throttle_seconds=seconds))))


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
