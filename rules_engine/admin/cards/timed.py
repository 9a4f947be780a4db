"""What the *When* card says of rules on time: their JSON as a field, which scripts draw as plain choices."""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from django.utils.dates import WEEKDAYS
from django.utils.translation import gettext_lazy as _

from rules_engine.admin.conditions.builder import CODE
from rules_engine.admin.parts.json_fields import JSONTextField
from rules_engine.rules.schedules import kinds as schedules

#: Names of zones that stand for a place, and the one that people know beside them.
AREAS = ("Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific")
#: What each plain choice begins with, in the order in which they are offered; and the plain choice of what happens
#: that it begins with, where it counts what happens.
KINDS: dict[str, dict[str, Any]] = {
    "date": {"begin": {"path": "", "count": 1, "unit": "days", "direction": "before"}},
    "every": {"begin": {"each": "day", "at": "08:00"}},
    "stays": {"begin": {"count": 3, "unit": "days"}, "happens": "save"},
    "often": {"begin": {"times": 5, "count": 10, "unit": "minutes"}, "happens": "create"},
    "silent": {"begin": {"count": 1, "unit": "days"}, "happens": "create"},
}
UNITS = {
    "seconds": _("seconds"),
    "minutes": _("minutes"),
    "hours": _("hours"),
    "days": _("days"),
    "business_days": _("business days"),
    "weeks": _("weeks"),
    "months": _("months"),
}
#: Units with which a time of day goes.
OF_DAYS = ("days", "business_days", "weeks", "months")
SHORT = ("seconds", "minutes", "hours", "days", "weeks")
#: Which units each kind is counted in.
UNITS_OF = {"date": tuple(UNITS)[1:], "stays": SHORT, "often": SHORT, "silent": SHORT}
LATE = {
    "all": _("all of it is done then"),
    "last": _("the last of it is done then"),
    "skip": _("it is left out"),
}
_WORDS = {
    "on_time": _("On time"),
    "date": _("a date is near, or has passed"),
    "every": _("it is time: daily, weekly, monthly"),
    "stays": _("it stays so for some time"),
    "often": _("it happens several times within a while"),
    "silent": _("it does not happen for a while"),
    "when": _("When"),
    "number": _("How many"),
    "unit": _("Unit"),
    "direction": _("Before or after"),
    "before": _("before this date"),
    "after": _("after this date"),
    "which_date": _("Which date"),
    "choose_date": _("– which date –"),
    "at": _("At what time"),
    "same_time": _("Empty: at the time of the date itself."),
    "zone": _("Time zone"),
    "site_zone": _("the site’s time (%(zone)s)"),
    "holidays": _("Without the holidays of"),
    "holidays_help": _(
        "A country, or a part of it, such as DE or DE-BY. Empty: Saturdays and Sundays alone are left out."
    ),
    "how_often": _("How often"),
    "each_hour": _("every hour"),
    "each_day": _("every day"),
    "each_weekday": _("every weekday"),
    "each_week": _("every week"),
    "each_month": _("every month"),
    "each_month_end": _("on the last day of the month"),
    "cron": _("as the cron text under Advanced says"),
    "cron_label": _("Cron text"),
    "cron_help": _(
        "Minute, hour, day, month, day of the week, such as 0 8 * * 1-5. It takes the place of the choice above."
    ),
    "day_of_week": _("On which day"),
    "day_of_month": _("On which day of the month"),
    "step": _("Each time, or less often"),
    "step_1": _("each time"),
    "step_2": _("every second time"),
    "step_3": _("every third time"),
    "step_4": _("every fourth time"),
    "step_6": _("every sixth time"),
    "step_n": _("every %(step)s times"),
    "since_day": _("Counted from the day"),
    "of": _("What for"),
    "of_nothing": _("for no object"),
    "of_each": _("for each object that fits “Only if”"),
    "of_rows": _("once, with the list of all that fit “Only if”"),
    "stays_for": _("For how long"),
    "stays_help": _("What has to stay so is said below, under “Only if”."),
    "times": _("How many times"),
    "times_in": _("times in"),
    "silent_for": _("Not for"),
    "by": _("counted for each"),
    "all_together": _("– all together –"),
    "counted": _("What is counted"),
    "missed": _("What does not happen"),
    "since": _("Counted from when"),
    "late": _("What falls due while no worker runs"),
    "lateness": _("It acts at most so long after its time"),
    "lateness_help": _("Empty: seven days."),
}


class ScheduleWidget(forms.Textarea):
    """A textarea of JSON, which is what is posted; the script of the card draws plain choices over it."""

    def build_attrs(self, base_attrs: Any, extra_attrs: Any = None) -> dict[str, Any]:
        attrs = super().build_attrs(base_attrs, extra_attrs)
        return {**attrs, "data-rules-schedule": json.dumps(told())}


class ScheduleField(JSONTextField):
    """The schedule of a rule on time; empty for rules on signals alone."""

    def __init__(self) -> None:
        placeholder = '{"kind": "every", "each": "weekday", "at": "08:00"}'
        super().__init__(
            label=_("Schedule"),
            empty=None,
            widget=ScheduleWidget({**CODE, "rows": 4, "placeholder": placeholder}),
            help_text=_(
                'JSON such as {"kind": "date", "path": "instance.created", "count": 3, "unit": "days", "direction": '
                '"after"}. Empty: it acts on signals.'
            ),
        )


def told() -> dict[str, Any]:
    """Return what the script needs to know: its words, the kinds, their units and choices, and the zones."""
    return {
        "words": {name: str(text) for name, text in _WORDS.items()},
        "kinds": {name: begun for name, begun in KINDS.items() if name in schedules.KINDS},
        "units": {name: str(text) for name, text in UNITS.items()},
        "units_of": UNITS_OF,
        "of_days": OF_DAYS,
        "late": {name: str(text) for name, text in LATE.items()},
        "weekdays": [str(name) for _number, name in sorted(WEEKDAYS.items())],
        "zones": zones(),
        "site_zone": settings.TIME_ZONE,
    }


@cache
def zones() -> list[str]:
    """Return the names of time zones that people choose among, in their order."""
    return ["UTC", *sorted(name for name in available_timezones() if name.partition("/")[0] in AREAS)]
