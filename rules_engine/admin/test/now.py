"""What would keep a match of the rule from acting now: a limit that is used up, a pause, a wait for more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext

from rules_engine.admin.limits.spans import span_words
from rules_engine.admin.parts.rendering import page_url
from rules_engine.admin.why.limits import Link, limit_words, next_words, use_link, used_words
from rules_engine.admin.why.names import key_name, names_of_limit, object_name
from rules_engine.admin.why.speaker import capital, ended
from rules_engine.admin.why.words import paused_words
from rules_engine.models import Pause, Rule
from rules_engine.test.limits import LimitUse
from rules_engine.test.rule_test import Tested


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence or two, and links."""

    text: str
    links: tuple[Link, ...] = ()


def kept_now(request: HttpRequest, rule: Rule, test: Tested) -> dict[str, Any]:
    """For the template: what would keep it, and, of one that would match, another verdict. Nothing is used up."""
    pauses = [pause for pause in Pause.objects.current() if pause.stops(rule.slug, rule.model)]
    notes = list(_notes(request, rule, test, pauses))
    if test.state != "open" or (test.limit is None and not pauses):
        return {"notes": notes}
    return {"notes": notes, "state": "held", "verdict": gettext("The rule would match, and be held back now.")}


def _notes(request: HttpRequest, rule: Rule, test: Tested, pauses: Iterable[Pause]) -> Iterator[Note]:
    user: Any = request.user
    if test.limit is not None:
        link = use_link(test.limit) if user.has_perm("rules_engine.view_heldmatch") else None
        yield Note(_limit_text(request, rule, test.limit), (link,) if link is not None else ())
    elif rule.throttle_count and rule.throttle_seconds:
        words = limit_words(LimitUse((rule.throttle_count, rule.throttle_seconds)), rule)
        yield Note(gettext("%s: there is room for it now.") % capital(words))
    for pause in pauses:
        may_view = user.has_perm("rules_engine.view_pause")
        links = (Link(page_url("pause", pause.pk), gettext("The pause")),) if may_view else ()
        yield Note(ended(paused_words(pause, is_seen=may_view)), links)
    if rule.coalesce_seconds:
        wait = span_words(rule.coalesce_seconds)
        if rule.debounce:
            yield Note(gettext("It would be held until nothing more has come for %s; then the last one acts.") % wait)
        else:
            yield Note(gettext("It would be held for %s for more of the same; then the last one acts.") % wait)
    if rule.shadow:
        yield Note(gettext("It is a shadow: it is recorded, and does nothing."))


def _limit_text(request: HttpRequest, rule: Rule, limit: LimitUse) -> str:
    names = names_of_limit(request, rule, limit)
    words, key = capital(limit_words(limit, rule)), key_name(names, rule, limit.key) if limit.throttle else ""
    at_most = gettext("%(limit)s; here: %(key)s.") % {"limit": words, "key": key} if key else f"{words}."
    used = used_words(limit, lambda use: object_name(names, use.model, use.object_pk))
    return " ".join(ended(part) for part in (at_most, used, next_words(limit)) if part)
