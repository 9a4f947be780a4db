"""The kind ``date``: so long before or after a date of an object."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import models
from django.utils.translation import gettext

from rules_engine.context.paths import ModelClass, find_model, resolve
from rules_engine.errors import Problem, UnknownPath
from rules_engine.rules.schedules import kind
from rules_engine.rules.schedules.kind import Kind, Schedule
from rules_engine.types import Path, RuleSpec

#: Each unit with how many of it are taken at most: ten years; of business days, which are counted one by one, four.
UNITS = {
    "minutes": 5_256_000,
    "hours": 87_600,
    "days": 3_650,
    "business_days": 1_000,
    "weeks": 520,
    "months": 120,
}
DIRECTIONS = ("before", "after")
#: Units with which a time of day may be said: of an hour more or less it would say nothing.
OF_DAYS = ("days", "business_days", "weeks", "months")


class Date(Kind):
    """So many days before the date that ``path`` names, or after it."""

    name = "date"
    keys = ("path", "count", "unit", "direction", "at", "zone", "holidays", "late", "lateness")

    def problems(self, schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
        """Yield what is wrong with it. See ``Kind``."""
        yield from kind.unknown_keys(schedule, self.keys)
        yield from _path_problems(schedule, rule)
        yield from kind.choice_problems(schedule, "unit", list(UNITS))
        yield from kind.count_problems(schedule, "count", 0, UNITS.get(str(schedule.get("unit")), UNITS["minutes"]))
        yield from kind.choice_problems(schedule, "direction", DIRECTIONS)
        yield from kind.at_problems(schedule)
        unit = str(schedule.get("unit"))
        if schedule.get("at") is not None and unit in UNITS and unit not in OF_DAYS:
            yield Problem("/at", gettext("A time of day goes with days, weeks and months; leave it out."))
        yield from kind.zone_problems(schedule)
        yield from kind.holiday_problems(schedule)
        if schedule.get("holidays") is not None and unit in UNITS and unit != "business_days":
            yield Problem("/holidays", gettext("Holidays count with business days alone; leave them out."))
        # Each object has a date of its own, so there is no last one of several.
        yield from kind.late_problems(schedule, ("all", "skip"))

    def reads(self, schedule: Schedule) -> set[Path]:
        """Return the path of the date. See ``Kind``."""
        path = schedule.get("path")
        return {tuple(path.split("."))} if isinstance(path, str) else set()


def _path_problems(schedule: Schedule, rule: RuleSpec) -> Iterator[Problem]:
    path, model = schedule.get("path"), find_model(rule.model) if rule.model else None
    if not rule.model:
        yield Problem("/path", gettext("Name the model whose objects have the date."))
    if path == "":  # as in a form in which none has been chosen yet
        yield Problem("/path", gettext("Say which date is meant."))
    elif not isinstance(path, str) or not path.startswith("instance."):
        message = gettext('Expected the path of a date, such as "instance.created", and got %(got)s.')
        yield Problem("/path", message % {"got": repr(path)})
    elif model is not None and (trouble := _no_date(model, tuple(path.split("."))[1:])):
        yield Problem("/path", trouble)


def _no_date(model: ModelClass, path: Path) -> str:
    """Say why a path below ``instance`` leads to no date that can be looked for; empty where it does."""
    for end in range(1, len(path) + 1):
        try:
            step = resolve(model, path[:end])
        except UnknownPath as error:
            return str(error)
        if end < len(path) and step.kind != "to_one":
            return gettext(
                '"%(name)s" is no relation to one object; a date is one of the object itself, or of one that it '
                "belongs to."
            ) % {"name": path[end - 1]}
    if not isinstance(step.field, models.DateField) or step.kind != "value":
        return gettext('"%(path)s" is no date, and no date and time.') % {"path": ".".join(("instance", *path))}
    return ""
