"""How many mails may be sent in an hour, by one rule and by all: counted by the database, for all workers together.

What an hour has no room for is put off to the first that has some; what would wait longer than a day is discarded. A
mail is counted before it is handed over, and given back if it was not: where a process dies between, fewer are sent.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import OperationalError, connections, router, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext

from rules_engine import conf
from rules_engine.databases import database_of
from rules_engine.models.mail_hour import ALL, THIS_HOUR, MailHour, MailHourQuerySet

logger = logging.getLogger("rules_engine")

HOUR = timedelta(hours=1)
#: Hours that a mail may wait for its turn: what tells of yesterday helps nobody, and a rule that mails without end
#: would fill the outbox.
MOST_HOURS = 24
#: Seconds between two tries where other workers count at the same moment.
PAUSES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 1.0, 1.0)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Room:
    """How many mails may be sent now, of those asked for, and what becomes of the others.

    ``reason`` says why not all; ``wait`` is the seconds until the hour that has room for the others, None where none
    within a day has.
    """

    now: int
    scopes: tuple[str, ...] = ()
    hour: Any = None
    wait: float | None = None
    reason: str = ""
    #: When the first of the others was put off.
    since: str = ""


def take(slug: str, number: int, since: str = "") -> Room:
    """Take room for so many mails of a rule, as far as this hour has any.

    ``since`` is when those of before were put off first, as ISO 8601, or empty.
    """
    caps = _caps(slug)
    return _past_rivals(partial(_take, slug, number, since, caps)) if caps and number else Room(number)


def _take(slug: str, number: int, since: str, caps: Mapping[str, int]) -> Room:
    with transaction.atomic(using=router.db_for_write(MailHour)):
        hours, now = _this_hour(tuple(caps))
        hour = next(iter(hours.values())).hour
        left = {scope: max(0, cap - hours[scope].sent) for scope, cap in caps.items()}
        taken = min(number, *left.values())
        rows = _rows().filter(pk__in=[row.pk for row in hours.values()])
        rows.update(sent=F("sent") + taken)
        if taken == number:
            return Room(number, tuple(caps), hour)
        full = [scope for scope in caps if left[scope] == taken]
        late = _first_with_room(caps, hour)
        if since and now - datetime.fromisoformat(since) > MOST_HOURS * HOUR:
            late = None
        untold = [scope for scope in full if not (hours[scope].put_off or hours[scope].discarded)]
        over = rows.filter(rule_slug__in=full)
        if late is None:
            over.update(discarded=F("discarded") + number - taken)
        else:
            over.update(put_off=F("put_off") + number - taken)
            _expect(tuple(caps), late, number - taken)
    _tell(untold, slug, caps)
    wait = None if late is None else max(1.0, math.ceil((late - now).total_seconds()))
    return Room(taken, tuple(caps), hour, wait, _reason(full, caps, late), since or now.isoformat())


def take_now(slug: str) -> Room:
    """Take room for one mail of a rule that is sent at once or not at all; what does not fit is counted nowhere."""
    caps = _caps(slug)
    return _past_rivals(partial(_take_now, caps)) if caps else Room(1)


def _take_now(caps: Mapping[str, int]) -> Room:
    with transaction.atomic(using=router.db_for_write(MailHour)):
        hours, _now = _this_hour(tuple(caps))
        if full := [scope for scope, cap in caps.items() if hours[scope].sent >= cap]:
            return Room(0, reason=_full(full, caps))
        _rows().filter(pk__in=[row.pk for row in hours.values()]).update(sent=F("sent") + 1)
        return Room(1, tuple(caps), next(iter(hours.values())).hour)


def give_back(room: Room, number: int) -> None:
    """Give back the room of so many mails that were not handed over."""
    if room.scopes and number:
        rows = _rows().filter(hour=room.hour, rule_slug__in=room.scopes)
        _past_rivals(partial(rows.update, sent=F("sent") - number))


def _past_rivals(work: Callable[[], T]) -> T:
    """Do it, and again where another worker was in its way: under REPEATABLE READ each that waited for a row fails."""
    using = router.db_for_write(MailHour)
    for pause in PAUSES:
        try:
            return work()
        except OperationalError as error:
            if connections[using].in_atomic_block or not database_of(using).is_rivalry(error):
                raise
        # By chance, so that two rivals do not meet again.
        time.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
    return work()


def _caps(slug: str) -> dict[str, int]:
    """Return how many may be mailed in an hour, by scope; in the order in which their rows are locked."""
    caps = {ALL: conf.emails_per_hour()}
    if slug:
        caps[slug] = conf.emails_per_rule_per_hour()
    return {scope: cap for scope, cap in caps.items() if cap is not None}


def _rows() -> MailHourQuerySet:
    return MailHour.objects.using(router.db_for_write(MailHour))


def _this_hour(scopes: Sequence[str]) -> tuple[dict[str, MailHour], datetime]:
    """Return the hour's rows, locked, and what the database's clock says."""
    while True:
        new = [MailHour(rule_slug=scope, hour=THIS_HOUR) for scope in scopes]
        _rows().bulk_create(new, ignore_conflicts=True)
        locked: Any = _rows().filter(rule_slug__in=scopes, hour=THIS_HOUR).order_by("rule_slug").select_for_update()
        found = {row.rule_slug: row for row in locked.annotate(now=Now())}
        if len(found) == len(scopes):  # else the hour ended between the two
            return found, next(iter(found.values())).now


def _first_with_room(caps: Mapping[str, int], hour: datetime) -> datetime | None:
    """Return the first hour after this one for which fewer mails wait than it has room for."""
    coming = _rows().filter(rule_slug__in=caps, hour__gt=hour, hour__lte=hour + MOST_HOURS * HOUR)
    full = {row.hour for row in coming if row.expected >= caps[row.rule_slug]}
    hours = (hour + number * HOUR for number in range(1, MOST_HOURS + 1))
    return next((later for later in hours if later not in full), None)


def _expect(scopes: Sequence[str], hour: datetime, number: int) -> None:
    _rows().bulk_create([MailHour(rule_slug=scope, hour=hour) for scope in scopes], ignore_conflicts=True)
    _rows().filter(rule_slug__in=scopes, hour=hour).update(expected=F("expected") + number)


def _tell(untold: Sequence[str], slug: str, caps: Mapping[str, int]) -> None:
    """Say it once an hour, and not for each mail."""
    for scope in untold:
        whose = f'The rule "{scope}" has' if scope else "All rules together have"
        setting = "EMAILS_PER_RULE_PER_HOUR" if scope else "EMAILS_PER_HOUR"
        logger.error(
            '%s mailed %d times in this hour, RULES_ENGINE["%s"]; further mails wait, or are discarded after a day. '
            'The rule "%s" has more to mail.', whose, caps[scope], setting, slug,
        )  # fmt: skip


def _full(full: Sequence[str], caps: Mapping[str, int]) -> str:
    scope = full[0]
    said = (
        gettext('This hour\'s mails of its rule are sent: RULES_ENGINE["EMAILS_PER_RULE_PER_HOUR"] is %(cap)s.')
        if scope
        else gettext('This hour\'s mails of all rules are sent: RULES_ENGINE["EMAILS_PER_HOUR"] is %(cap)s.')
    )
    return said % {"cap": f"{caps[scope]:,}"}


def _reason(full: Sequence[str], caps: Mapping[str, int], late: datetime | None) -> str:
    said = _full(full, caps)
    if late is None:
        return f"{said} {gettext('No hour of the next 24 has room, so that it is not sent.')}"
    return f"{said} {gettext('It waits for its turn at %(time)s UTC.') % {'time': f'{late:%Y-%m-%d %H:%M}'}}"
