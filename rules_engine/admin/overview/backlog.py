"""What waits in the queues, as a table of the overview."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext

from rules_engine.admin.overview.moments import ago
from rules_engine.admin.parts.rendering import list_url
from rules_engine.monitoring import backlog as reading
from rules_engine.monitoring.backlog import CAPTURED, Waiting
from rules_engine.work.overview import Cell, OverviewTable


def backlog(queues: Sequence[Waiting], *, linked: bool) -> OverviewTable:
    """The table of it. Held matches are a row of their own."""
    now = timezone.now()
    rows = [
        (
            _queue_cell(one.queue, linked),
            *map(_number, (one.due, one.later, one.running)),
            ago(one.oldest, now) if one.oldest else "–",
        )
        for one in queues
    ]
    late = [_name(one.queue) for one in queues if one.is_late]
    notes = [
        gettext("Something in %s has been due for more than five minutes: are there enough workers?") % ", ".join(late)
    ]
    headings = (gettext("Queue"), gettext("Due"), gettext("Later"), gettext("Running"), gettext("Oldest due since"))
    title, nothing = gettext("What waits"), gettext("Nothing waits.")
    return OverviewTable(title, headings, rows, nothing, bool(late), notes if late else (), anchor="waiting")


def _number(count: int) -> str:
    text = number_format(min(count, reading.MOST_COUNTED), force_grouping=True)
    return gettext("over %s") % text if count > reading.MOST_COUNTED else text


def _name(queue: str) -> str:
    return {"": gettext("held matches"), CAPTURED: gettext("captured changes")}.get(queue, queue)


def _queue_cell(name: str, linked: bool) -> Cell:
    if name == CAPTURED:
        return Cell(_name(name))
    if not name:
        return Cell(_name(name), list_url("heldmatch", state__exact="waiting") if linked else "")
    return Cell(name, list_url("execution", queue__exact=name) if linked else "")
