"""When a rule on time acts, and why not, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.field_titles import Titles
from rules_engine.admin.conditions.reasons import reasons
from rules_engine.admin.limits.spans import span_words
from rules_engine.admin.parts.labels import detail_words
from rules_engine.admin.prose.names import moment, within
from rules_engine.rules.gates import GateSeen
from rules_engine.test.timed.asked import Asked
from rules_engine.test.timed.happening import Counted
from rules_engine.test.timed.not_due import Reason, WhyNot

DAY, HOUR, MINUTE = 86_400, 3_600, 60
_REASONS: Mapping[Reason, str | Promise] = {
    "off": _("It is switched off."),
    "gone": _("There is no such object any more."),
    "not_waiting": _("Nothing is waited for, since the condition does not hold: %(why)s"),
    "unarmed": _("Nothing is waited for yet: that begins as a save, or a worker, finds that the condition holds."),
    "stayed": _("It acted already, on what is so since %(at)s: again only after it was not so in between."),
    "empty": _("Its date is empty."),
    "never": _("Its date is too far away for the calendar."),
    "acted": _("It was due on %(due)s, and that was told on %(at)s. Nothing is told twice."),
    "stopped": _("It was due on %(due)s. That was looked at on %(at)s, and the condition did not hold then."),
    "before": _("It was due on %(due)s, which is before the rule was switched on, or changed, on %(at)s."),
    "late": _("It was due on %(due)s, and could act until %(at)s: no worker looked in time."),
    "coming": _("It is due on %(due)s. As it is now, it acts then."),
    "not_then": _("It is due on %(due)s. As it is now, the condition does not hold then: %(why)s"),
    "not_now": _("It was due on %(due)s and is looked at soon. As it is now, the condition does not hold: %(why)s"),
    "error": _("It is due on %(due)s. The condition could not be evaluated: %(why)s"),
    "over": _("There is no such time any more."),
    "not_counted": _("It does not count, since the condition does not hold: %(why)s"),
    "silent": _(
        "Nothing has come since %(at)s (for %(ago)s). If nothing comes until %(due)s (%(left)s more), it acts."
    ),
    "not_begun": _("Nothing is waited for: that begins when something comes, also after it has acted."),
    "apart": _("What happens tells what it is counted with, and the object alone does not."),
    "now": _("It is due since %(due)s. A worker tells it at its next look."),
}
_ANSWERS = {
    "acts": _("acts, as it is now"),
    "stops": _("does nothing, as it is now: %(why)s"),
    "error": _("fails, as it is now: %(why)s"),
}


def why_not_words(why: WhyNot, titles: Titles, now: datetime | None = None) -> str:
    """Say the reason in a sentence or two; ``now`` is the time that is looked from."""
    now = now or timezone.now()
    if why.counted is not None:
        return _counted(why.counted, why.at)
    said = {
        "ago": about(now - why.at) if why.at else "",
        "left": about(why.due_at - now) if why.due_at else "",
        "due": moment(why.due_at) if why.due_at else "",
        "at": moment(why.at) if why.at else "",
        "why": _why(why.stop, why.detail, titles),
    }
    # A time may end in a dot, as in 8 a.m.
    text = (str(_REASONS[why.reason]) % said).replace("..", ".")
    return f"{text} {why.detail}" if why.reason == "now" and why.detail else text


def _counted(counted: Counted, acted_at: datetime | None) -> str:
    said = counted_words(counted)
    if acted_at is None:
        return said
    used_up = gettext("Those on which it acted on %(at)s are used up.") % {"at": moment(acted_at)}
    return f"{said} {used_up}".replace("..", ".")


def counted_words(counted: Counted) -> str:
    """Say how many of how many have come, and for what they are counted."""
    said = {"count": counted.count, "times": counted.times, "within": within(counted.seconds), "key": counted.key}
    if counted.key:
        return gettext("So far %(count)s of %(times)s %(within)s, counted for “%(key)s”.") % said
    return gettext("So far %(count)s of %(times)s %(within)s.") % said


def about(span: timedelta) -> str:
    """Say a length of time roughly: ``3 hours``, and minutes of what is less than two."""
    seconds = max(0, round(span.total_seconds()))
    unit = next((unit for unit in (DAY, HOUR, MINUTE) if seconds >= 2 * unit), 1)
    return span_words(round(seconds / unit) * unit)


def answer_words(asked: Asked | None, titles: Titles, *, is_fired: bool) -> str:
    """Say what the rule would do with an object that is due."""
    if is_fired:
        return gettext("is done with")
    if asked is None:
        return str(_ANSWERS["acts"])
    return str(_ANSWERS[asked.answer]) % {"why": _why(asked.stop, asked.detail, titles)}


def _why(stop: GateSeen | None, detail: str, titles: Titles) -> str:
    found: Any = reasons(stop.tree, titles) if stop is not None and stop.tree is not None else ()
    return gettext("; and ").join(found) if found else detail_words(detail)
