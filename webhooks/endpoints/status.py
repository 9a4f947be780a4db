"""How an endpoint does, in words: open, failing, paused, probing, disabled, or asked to wait."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Case, IntegerField, Q, Value, When
from django.utils.formats import localize
from django.utils.timezone import localtime
from django.utils.translation import gettext, ngettext

from webhooks.endpoints.breaker import state_of
from webhooks.models import Endpoint, EndpointState

#: How trouble sorts: what needs somebody first.
TROUBLE = Case(
    When(Q(enabled=True) & Q(state__failures__gt=0), then=Value(0)),
    When(Q(enabled=False) & ~Q(disabled_reason=""), then=Value(1)),
    When(enabled=True, then=Value(2)),
    default=Value(3),
    output_field=IntegerField(),
)


@dataclass(frozen=True, slots=True)
class Status:
    """``name`` is one of open, failing, paused, probing, waiting, disabled; ``label`` says it in a word, ``words`` in
    a few, ``reasons`` why."""

    name: str
    label: str
    words: str
    reasons: Sequence[str] = ()


def status_of(endpoint: Endpoint, now: datetime) -> Status:
    """Tell how it does; no query where its state was fetched along."""
    if not endpoint.enabled:
        label = gettext("disabled")
        return Status("disabled", label, label, [endpoint.disabled_reason or gettext("Switched off by hand.")])
    state = state_of(endpoint)
    reasons = _reasons(state)
    if state.paused_until is not None and state.paused_until > now:
        return Status("paused", gettext("paused"), gettext("paused until %s") % when(state.paused_until), reasons)
    if state.asked_until is not None and state.asked_until > now:
        asked = gettext("The receiver asked for it, by Retry-After.")
        words = gettext("asked to wait until %s") % when(state.asked_until)
        return Status("waiting", gettext("asked to wait"), words, [asked, *reasons])
    if state.pauses:
        probe = gettext("After a pause one delivery tries whether it works again; the others wait for its answer.")
        return Status("probing", gettext("probing"), gettext("probing"), [probe, *reasons])
    if state.failures:
        return Status("failing", gettext("failing"), gettext("failing"), reasons)
    return Status("open", gettext("open"), gettext("open"))


def _reasons(state: EndpointState) -> list[str]:
    reasons = []
    if state.failures:
        text = ngettext("%(count)s failure in a row.", "%(count)s failures in a row.", state.failures)
        reasons.append(text % {"count": state.failures})
    if state.failing_since is not None:
        reasons.append(gettext("Failing since %s") % when(state.failing_since))
    if state.last_error:
        reasons.append(gettext("Last error: %s") % state.last_error)
    return reasons


def when(moment: datetime) -> str:
    """Write a moment as the site does."""
    return str(localize(localtime(moment)))
