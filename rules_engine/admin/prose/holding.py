"""How a rule is held back, as clauses: ``at most once an hour per customer``, ``once for each object``."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.translation import gettext

from rules_engine.admin.prose.marks import GAP
from rules_engine.admin.prose.names import Names, after, moment, so_often, within
from rules_engine.admin.prose.values import key
from rules_engine.types import RuleSpec

NEVER_LEFT_OUT = 100


def held_back(rule: RuleSpec) -> Iterator[str]:
    """What keeps it from acting each time, in the order in which a match meets it; marked."""
    if period := dates(rule):
        yield period
    if rule.raw:
        yield gettext("also when data is loaded")
    if rule.sample_percent != NEVER_LEFT_OUT:
        yield gettext("for %(percent)s%% of the events, chosen by chance") % {"percent": rule.sample_percent}
    if rule.once:
        yield gettext("only the first time for each object")
    yield from filter(None, (waiting(rule), limited(rule)))


def dates(rule: RuleSpec) -> str:
    """From when until when it acts; marked, and empty where that is always."""
    begin, end = rule.active_from, rule.active_until
    if begin and end:
        return gettext("from %(begin)s until %(end)s") % {"begin": moment(begin), "end": moment(end)}
    if begin:
        return gettext("from %(begin)s on") % {"begin": moment(begin)}
    return gettext("until %(end)s") % {"end": moment(end)} if end else ""


def waiting(rule: RuleSpec) -> str:
    """For what it waits; marked, and empty where it acts at once."""
    by = _key(rule.coalesce_by, Names.of(rule.model), gettext("object") if rule.model else "")
    seconds = rule.coalesce_seconds
    if seconds is None:
        return gettext("when nothing more has come for %(time)s") % {"time": GAP} if rule.debounce else ""
    if seconds <= 0:
        said = gettext("once per transaction")
        return gettext("once per transaction and %(key)s") % {"key": by} if by else said
    if rule.debounce:
        said = gettext("%(after)s without another") % {"after": after(seconds)}
    else:
        said = gettext("once for all %(within)s") % {"within": within(seconds)}
    return _per(said, by)


def limited(rule: RuleSpec) -> str:
    """How often it acts at most: ``at most once an hour per customer``; marked, and empty where nothing limits it."""
    count, seconds = rule.throttle_count, rule.throttle_seconds
    if count is None and seconds is None and not rule.throttle_by:
        return ""
    named = {1: gettext("at most once"), 2: gettext("at most twice")}
    often = named.get(count or 0) or gettext("at most %(count)s times") % {"count": GAP if count is None else count}
    if seconds is not None and seconds > 0:
        said = so_often(often, seconds)
    else:
        said = gettext("%(often)s in %(time)s") % {"often": often, "time": GAP}
    return _per(said, _key(rule.throttle_by, Names.of(rule.model), ""))


def _key(written: str, names: Names, else_by: str) -> str:
    return key(written, names) if written.strip() else else_by


def _per(said: str, what: str) -> str:
    return gettext("%(said)s per %(key)s") % {"said": said, "key": what} if what else said
