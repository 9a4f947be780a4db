"""Which deliveries are sent again: an endpoint, a window, how they ended and why, as people write it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext

from rules_engine.sending import Selection, replay
from webhooks import conf
from webhooks.errors import ConnectFailed, DeadlinePassed, NameNotResolved, ProtocolFailed, TlsFailed
from webhooks.models import Endpoint, lanes

#: How deliveries ended, by the word for it.
STATUSES: Mapping[str, tuple[str, ...]] = {
    "failed": ("discarded", "cancelled", "refused"),
    "failing": (),
    "discarded": ("discarded",),
    "cancelled": ("cancelled",),
    "refused": ("refused",),
    "succeeded": ("succeeded",),
    "all": ("succeeded", "discarded", "cancelled", "refused"),
}
#: The words that also stand for what failed and is being retried.
FAILING = ("failed", "failing")
#: What went wrong where there was no answer, by the words of the attempts' records.
ERROR_KINDS = tuple(error.kind for error in (NameNotResolved, ConnectFailed, TlsFailed, DeadlinePassed, ProtocolFailed))
UNITS = {"m": "minutes", "h": "hours", "d": "days"}

_AGO = re.compile(r"(\d{1,6})\s*([mhd])")
_STATUS = re.compile(r"([1-5])(\d\d|xx)")


def moment(text: str) -> datetime:
    """Read a point in time: ``2h`` for two hours ago, or a date, with a time or without. Raises ``ValueError``."""
    text = text.strip()
    try:
        read = _moment(text)
    except (ValueError, OverflowError):  # the 30th of February, or a time that no database takes
        read = None
    if read is None:
        example = timezone.localtime(timezone.now(), UTC).strftime("%Y-%m-%dT%H:%M")
        raise ValueError(
            gettext("Expected an age such as 30m, 2h or 3d, or a time such as %(example)s, and got “%(text)s”.")
            % {"example": example, "text": text}
        )
    return read


def _moment(text: str) -> datetime | None:
    if ago := _AGO.fullmatch(text.lower()):
        return timezone.now() - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    written = parse_datetime(text) or _midnight(text)
    if written is None:
        return None
    if timezone.is_naive(written):
        written = timezone.make_aware(written)
    return written.astimezone(UTC)


def _midnight(text: str) -> datetime | None:
    day = parse_date(text)
    if day is None:
        return None
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - whoever asks makes it aware


def error_detail(text: str) -> dict[str, Any]:
    """Tell what the last attempt recorded, by a word such as ``timeout``, or a status such as ``503`` or ``5xx``.

    Raises ``ValueError``.
    """
    text = text.strip().lower()
    if not text:
        return {}
    if text in ERROR_KINDS:
        return {"error_kind": text}
    if status := _STATUS.fullmatch(text):
        first = int(status[1]) * 100
        return {"status": [first, first + 99] if status[2] == "xx" else int(text)}
    raise ValueError(
        gettext("Expected a status such as 503 or 5xx, or one of %(kinds)s, and got “%(text)s”.")
        % {"kinds": ", ".join(ERROR_KINDS), "text": text}
    )


def selection(
    endpoint: Endpoint, *, since: datetime | None, until: datetime | None, status: str = "failed", error_kind: str = ""
) -> Selection:
    """Select an endpoint's deliveries that were recorded in a window and did in that way. Raises ``ValueError``."""
    if since is not None and until is not None and since >= until:
        raise ValueError(gettext("The window ends before it begins."))
    among, detail = lanes.counted(endpoint.slug), error_detail(error_kind)
    return Selection(conf.QUEUE, among, since, until, STATUSES[status], detail, status in FAILING)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a replay would do: how many deliveries it sends ``again``, how many that are being retried it has tried
    ``at_once``, and how many are ``lost``, since what they were about is not recorded any more."""

    again: int
    at_once: int
    lost: int


def count(selected: Selection) -> Counted:
    """Count what a replay of these would do."""
    again, lost = selected.count()
    return Counted(again, selected.retried().count(), lost)


def ask(endpoint: Endpoint, selected: Selection, by: Mapping[str, Any]) -> None:
    """Have workers send these again, behind what is fresh, and try those at once that are being retried.

    Raises ``ValueError`` for an endpoint that is disabled.
    """
    if not endpoint.enabled:
        raise ValueError(gettext("The endpoint is disabled, so all would be discarded. Enable it first."))
    replay(selected, by=by, into=lanes.replayed(endpoint.slug))
