"""Rules that have more to mail than may be mailed in an hour, as the overview and a rule's page tell of them."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext, ngettext

from rules_engine import conf
from rules_engine.admin.parts.rendering import time_words
from rules_engine.admin.reading.states import DAY
from rules_engine.models import MailHour
from rules_engine.models.mail_hour import ALL
from rules_engine.work.overview import OverviewTable

MOST_ROWS = 24


def over_of(slug: str) -> str:
    """Say how much of a rule's mail had no room in the last 24 hours, for its page; nothing where all had."""
    hours: Any = MailHour.objects.over().filter(rule_slug=slug, hour__gte=timezone.now() - DAY)
    put_off = discarded = 0
    for hour in hours:
        put_off, discarded = put_off + hour.put_off, discarded + hour.discarded
    said = []
    if put_off:
        text = ngettext("%(count)s mail was put off.", "%(count)s mails were put off.", put_off)
        said.append(text % {"count": put_off})
    if discarded:
        text = ngettext("%(count)s mail was discarded.", "%(count)s mails were discarded.", discarded)
        said.append(text % {"count": discarded})
    return " ".join(said)


def over_caps(names: dict[str, str]) -> OverviewTable | None:
    """The hours of the last 24 in which there was more to mail than may be mailed; None where there were none."""
    hours = MailHour.objects.over().filter(hour__gte=timezone.now() - DAY)[:MOST_ROWS]
    rows = [
        (
            time_words(row.hour),
            gettext("all rules together") if row.rule_slug == ALL else names.get(row.rule_slug) or row.rule_slug,
            row.sent,
            row.put_off,
            row.discarded,
        )
        for row in hours
    ]
    if not rows:
        return None
    headings = (gettext("Hour"), gettext("Rule"), gettext("Mailed"), gettext("Put off"), gettext("Discarded"))
    note = gettext(
        "A rule may mail %(rule)s times in an hour, and all together %(all)s times: "
        'RULES_ENGINE["EMAILS_PER_RULE_PER_HOUR"] and ["EMAILS_PER_HOUR"]. If that is what is wanted, raise them; '
        "else look whether a rule matches too often, and pause it."
    ) % {"rule": _number(conf.emails_per_rule_per_hour()), "all": _number(conf.emails_per_hour())}
    title = gettext("More mail than may be sent, 24 h")
    return OverviewTable(title, headings, rows, "", is_trouble=True, notes=(note,))


def _number(cap: int | None) -> str:
    return "∞" if cap is None else f"{cap:,}"
