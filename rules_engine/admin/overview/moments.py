"""Times and durations as the overview says them."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils.translation import gettext


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in one unit."""
    elapsed = max(0, round((now - moment).total_seconds()))
    if elapsed < 120:
        return gettext("%(number)s s ago") % {"number": elapsed}
    if elapsed < 7200:
        return gettext("%(number)s min ago") % {"number": elapsed // 60}
    if elapsed < 172_800:
        return gettext("%(number)s h ago") % {"number": elapsed // 3600}
    return gettext("%(number)s days ago") % {"number": elapsed // 86_400}


def seconds(took: timedelta) -> str:
    """A duration as a number people compare."""
    value = took.total_seconds()
    return gettext("%s ms") % f"{value * 1000:.0f}" if value < 1 else gettext("%s s") % f"{value:.1f}"
