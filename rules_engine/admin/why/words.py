"""A verdict in words: what came of the rule, the cause and what would change it in a sentence or two, with links."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.parts.labels import detail_words
from rules_engine.admin.parts.rendering import list_url, page_url, short_time
from rules_engine.admin.prose.marks import words_of
from rules_engine.admin.prose.names import lowered
from rules_engine.admin.prose.timed import when as when_of
from rules_engine.admin.why.gates import gate_words
from rules_engine.admin.why.limits import Link, limit_words, next_words, use_link, used_words
from rules_engine.admin.why.names import key_name
from rules_engine.admin.why.speaker import Speaker, capital, ended
from rules_engine.models import Pause, Rule
from rules_engine.models.held import TOO_SELDOM
from rules_engine.rules import registry
from rules_engine.rules.schedules.kinds import is_on_time_alone
from rules_engine.test.changes import AFTER
from rules_engine.test.limits import LimitUse
from rules_engine.test.verdicts import Verdict

OUTCOMES = {
    "failed": _("failed"),
    "held_back": _("held back"),
    "paused": _("paused"),
    "waiting": _("waiting"),
    "acted": _("acted"),
    "shadow": _("shadow"),
    "not_matched": _("did not match"),
    "not_recorded": _("not recorded"),
    "untried": _("not tried"),
}


def sentence_of(verdict: Verdict, speaker: Speaker) -> str:
    """The cause, and what would change it."""
    return " ".join(ended(part) for part in _SENTENCES[verdict.cause](verdict, speaker) if part)


def links_of(verdict: Verdict, speaker: Speaker) -> list[Link]:
    """Where to go on, the nearest first."""
    links = [_record_link(verdict, speaker)]
    if verdict.limit is not None and "heldmatch" in speaker.rights:
        links.append(use_link(verdict.limit))
    if verdict.pause is not None and "pause" in speaker.rights:
        links.append(Link(page_url("pause", verdict.pause.pk), gettext("The pause")))
    if verdict.cause in ("limit", "once", "off", "gate", "shadow") and speaker.rule is not None:
        links.append(_rule_link(verdict, speaker.rule))
    if verdict.is_silent:
        links.append(Link(reverse("admin:rules_engine_overview"), gettext("Overview")))
    return [link for link in links if link is not None]


def _record_link(verdict: Verdict, speaker: Speaker) -> Link | None:
    if verdict.execution is not None:
        if verdict.total == 1:
            return Link(page_url("execution", verdict.execution.pk), gettext("Execution"))
        every = list_url("execution", event__id__exact=speaker.event_id, rule_slug=verdict.said.slug)
        return Link(every, ngettext("%s execution", "%s executions", verdict.total) % verdict.total)
    if verdict.match is not None and "heldmatch" in speaker.rights:
        return Link(page_url("heldmatch", verdict.match.pk), gettext("Held match"))
    return None


def _rule_link(verdict: Verdict, rule: Rule) -> Link:
    texts = {"off": gettext("Switch it on"), "gate": gettext("Its condition"), "shadow": gettext("The rule")}
    anchors = {"limit": "rules-card-at-most", "once": "rules-card-at-most", "gate": "rules-card-only-if"}
    if verdict.cause == "gate" and verdict.said.gate == "changes":
        texts["gate"], anchors["gate"] = gettext("Its changes"), "rules-card-when"
    anchor = anchors.get(verdict.cause, "")
    text = texts.get(verdict.cause, gettext("The limit"))
    return Link(page_url("rule", rule.pk) + (f"#{anchor}" if anchor else ""), text)


# Sentences, one function a cause; each yields what is to be said, in order.


def _action(verdict: Verdict) -> str:
    return registry.title(verdict.execution.kind) if verdict.execution is not None else ""


def _of_how_many(verdict: Verdict) -> str:
    if verdict.total <= 1:
        return ""
    if verdict.count == verdict.total:
        return ngettext("%(count)s action.", "%(count)s actions.", verdict.total) % {"count": verdict.total}
    text = gettext("%(count)s of %(total)s actions.")
    return text % {"count": verdict.count, "total": verdict.total}


def _done(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    at = verdict.at
    text = gettext("%(action)s at %(time)s") if at is not None else gettext("%(action)s.")
    said = text % {"action": _action(verdict), "time": short_time(at) if at is not None else ""}
    summary = verdict.execution.summary if verdict.execution is not None and verdict.total == 1 else ""
    limit = ""
    if verdict.limit is not None and verdict.next_at is not None:
        key = _key(verdict.limit, speaker)
        text = gettext("Next for %(key)s at %(time)s (%(limit)s).") if key else gettext("Next at %(time)s (%(limit)s).")
        limit = text % {
            "key": key,
            "time": short_time(verdict.next_at),
            "limit": limit_words(verdict.limit, speaker.rule),
        }
    return said, speaker.quoted(summary), _of_how_many(verdict), limit


def _key(limit: LimitUse, speaker: Speaker) -> str:
    if not limit.key or speaker.rule is None or not (speaker.is_object_seen and speaker.is_rule_seen):
        return ""
    return key_name(speaker.names, speaker.rule, limit.key)


def _nothing_left(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return (gettext("It matched. What it did then is not on record, or there was nothing for it to do."),)


def _error(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return gettext("It could not be evaluated:"), speaker.quoted(detail_words(verdict.said.detail))


def _failure(verdict: Verdict, speaker: Speaker) -> str:
    error = speaker.quoted(verdict.execution.error) if verdict.execution is not None else ""
    return f"{_action(verdict)}: {error}" if error else _action(verdict)


def _retrying(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    if verdict.pause is not None:
        again = gettext("It is tried again when the pause is over.")
    elif verdict.next_at is None:
        again = ""
    else:
        again = gettext("Tried again at %s") % short_time(verdict.next_at)
    return _failure(verdict, speaker), again, _of_how_many(verdict)


def _given_up(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    tries = verdict.execution.attempts if verdict.execution is not None else 0
    text = ngettext("Given up after %(count)s try.", "Given up after %(count)s tries.", tries)
    what_now = gettext("It is done when somebody retries it.")
    return _failure(verdict, speaker), text % {"count": tries}, what_now, _of_how_many(verdict)


def _refused(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return (
        _failure(verdict, speaker),
        gettext("It was refused, and is not tried again by itself."),
        _of_how_many(verdict),
    )


def _limit(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    limit = verdict.limit
    if limit is None:
        return ()
    key = _key(limit, speaker)
    words = limit_words(limit, speaker.rule)
    at_most = gettext("%(limit)s; here: %(key)s.") % {"limit": words, "key": key} if key else f"{words}."
    changed = "" if _is_limit_of(limit, speaker.rule) else gettext("The rule has another limit by now.")
    return capital(at_most), used_words(limit, speaker.object_of), changed or next_words(limit)


def _is_limit_of(limit: LimitUse, rule: Rule | None) -> bool:
    return rule is None or limit.throttle == (rule.throttle_count, rule.throttle_seconds)


def _once(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    limit = verdict.limit
    if limit is None:
        return ()
    at = short_time(limit.uses[0].at) if limit.uses else ""
    acted = gettext("It acted on this object at %s") % at if at else gettext("It has acted on this object before.")
    return capital(f"{limit_words(limit, speaker.rule)}."), acted, next_words(limit)


def _together(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    said = gettext("Taken together with a later change, which acts in its place.")
    instead = verdict.instead
    if instead is None:
        return (said,)
    if instead.state == "waiting":
        return said, gettext("That one waits until %s") % short_time(instead.due_at)
    if instead.state == "released" and instead.decided_at is not None:
        return said, gettext("That one acted at %s") % short_time(instead.decided_at)
    return said, gettext("That one was held back, too.")


def _rule_gone(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return (gettext("The rule was switched off or deleted while this waited."),)


def _let_go(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    if verdict.match is not None and verdict.match.reason == TOO_SELDOM:
        return (gettext("It did not happen so often in that time that the rule would act."),)
    return (speaker.quoted(verdict.match.reason if verdict.match is not None else ""),)


def _cancelled(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    is_live = speaker.rule is not None and speaker.rule.enabled
    again = gettext("It is done when somebody retries it.") if is_live else ""
    return _failure(verdict, speaker), again, _of_how_many(verdict)


def _pause(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return (
        ()
        if verdict.pause is None
        else (
            paused_words(verdict.pause, is_seen="pause" in speaker.rights),
            _of_how_many(verdict),
        )
    )


def paused_words(pause: Pause, *, is_seen: bool) -> str:
    """Until when it is paused, and, for those who may view pauses, by whom and why."""
    who, until = pause.paused_by if is_seen else "", short_time(pause.until) if pause.until else ""
    if who:
        text = (
            gettext("Paused by %(who)s until %(time)s")
            if until
            else gettext("Paused by %(who)s until somebody resumes")
        )
    else:
        text = gettext("Paused until %(time)s") if until else gettext("Paused until somebody resumes")
    said = text % {"who": who, "time": until}
    return f"{said}: {pause.reason}" if pause.reason and is_seen else said


def _dropping_pause(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return *_pause(verdict, speaker), gettext("What happens meanwhile is not looked at, and not made up for.")


def _running(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return gettext("%s: a worker is at it right now.") % _action(verdict), _of_how_many(verdict)


def _queue(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    since = gettext("In the queue since %s") % short_time(verdict.at) if verdict.at else gettext("In the queue.")
    return capital(_action(verdict)) + ".", since, _silence(verdict), _of_how_many(verdict)


def _silence(verdict: Verdict) -> str:
    if not verdict.is_silent:
        return gettext("A worker takes it up within seconds.")
    if verdict.silent_since is None:
        return gettext("No worker was ever seen: it is done when one is started.")
    return gettext("No worker was seen since %s: it is done when one is started.") % short_time(verdict.silent_since)


def _later(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    error = speaker.quoted(verdict.execution.error) if verdict.execution is not None else ""
    at = short_time(verdict.next_at) if verdict.next_at else ""
    return (
        _failure(verdict, speaker) if error else f"{_action(verdict)}.",
        gettext("Due at %s") % at,
        _of_how_many(verdict),
    )


def _after_another(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return gettext("%s: after the action before it has succeeded.") % _action(verdict), _of_how_many(verdict)


def _for_more(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    at = short_time(verdict.next_at) if verdict.next_at else ""
    terms = verdict.match.terms if verdict.match is not None else {}
    if terms.get("often"):
        return (gettext("Held until %s for more of them; the rule acts when there are enough.") % at,)
    if terms.get("debounce"):
        return (gettext("Held until nothing more has come; by now until %s. Then the last one acts.") % at,)
    return (gettext("Held until %s for more of the same; then the last one acts.") % at,)


def _to_decide(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    since = gettext("A worker decides on it; due since %s") % short_time(verdict.at) if verdict.at else ""
    return since, _silence(verdict) if verdict.is_silent else ""


def _shadow(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return (gettext("It matched; as a shadow it does nothing. It acts when it is switched from shadow to on."),)


def _missing(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    names = ", ".join(map(speaker.titles.title, verdict.said.missing))
    text = gettext("The record of this change does not hold what the rule reads: %s.")
    return (text % names if names and speaker.is_rule_seen else gettext("There is no record of what it said."),)


def _untried(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return (verdict.said.detail,)


def _other_signal(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    if speaker.rule is None:
        return (verdict.said.detail,)
    if is_on_time_alone(spec := speaker.rule.spec_with([])):
        return (gettext("It acts by the clock: %s.") % lowered(str(words_of(when_of(spec)))),)
    when = str(words_of(when_of(spec)))
    before = {name for name in speaker.rule.signals if AFTER.get(name) == speaker.signal}
    unknown = gettext("What it said before this change is not on record.") if before else ""
    return gettext("It is for when %s.") % when, unknown


def _off(verdict: Verdict, speaker: Speaker) -> Sequence[str]:
    return (gettext("It is switched off."),)


_SENTENCES: Mapping[str, Callable[[Verdict, Speaker], Sequence[str]]] = {
    "done": _done,
    "nothing_left": _nothing_left,
    "error": _error,
    "retrying": _retrying,
    "given_up": _given_up,
    "refused": _refused,
    "limit": _limit,
    "once": _once,
    "together": _together,
    "rule_gone": _rule_gone,
    "let_go": _let_go,
    "cancelled": _cancelled,
    "pause": _pause,
    "dropping_pause": _dropping_pause,
    "running": _running,
    "queue": _queue,
    "later": _later,
    "after_another": _after_another,
    "for_more": _for_more,
    "to_decide": _to_decide,
    "shadow": _shadow,
    "gate": gate_words,
    "missing": _missing,
    "other_signal": _other_signal,
    "off": _off,
    "own_change": _untried,
    "ended_by": _untried,
    "unknown": _untried,
}
