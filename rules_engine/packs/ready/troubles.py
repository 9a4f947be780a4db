"""The ready template for what goes wrong: a mail about one kind of trouble."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from django import forms
from django.utils.translation import gettext_lazy as _

from rules_engine.context.signals import find_signal
from rules_engine.packs.ready.form import ReadyTemplateForm, mail, to_field
from rules_engine.packs.ready.telling import HOUR, MAIL_PLACES
from rules_engine.types import RuleSpec


class Kind(NamedTuple):
    """One kind of trouble: its signals, which send the same arguments, and the mail about it."""

    title: Any
    signals: tuple[str, ...]
    subject: Any
    body: Any


MORE = _("Further ones since the last mail: {{ held.throttled }}.")
KINDS: Mapping[str, Kind] = {
    "given_up": Kind(
        _("something that a rule does was given up"),
        ("rules_engine.execution_given_up",),
        _("Given up: {{ signal.kind }} of {{ signal.rule }}"),
        _("After {{ signal.attempts }} attempts: {{ signal.error }}\n{{ signal.url }}"),
    ),
    "endpoint": Kind(
        _("an endpoint was paused or disabled, or is back"),
        ("webhooks.endpoint_paused", "webhooks.endpoint_disabled", "webhooks.endpoint_back"),
        _("The endpoint {{ signal.name }}"),
        _("{{ signal.endpoint }} ({{ signal.host }}): {{ signal.reason }}"),
    ),
    "workers": Kind(
        _("no worker was seen, or work is overdue"),
        ("rules_engine.no_worker_seen", "rules_engine.work_overdue"),
        _("Nothing is done"),
        _("Since {{ signal.since }}, which is {{ signal.seconds }} seconds. See whether workers run."),
    ),
    "failing": Kind(
        _("a rule keeps failing"),
        ("rules_engine.rule_keeps_failing",),
        _("The rule {{ signal.name }} keeps failing"),
        _("{{ signal.failed }} of {{ signal.tried }} times. The last error: {{ signal.error }}\n{{ signal.url }}"),
    ),
    "chain": Kind(
        _("a budget stopped rules that set off each other"),
        ("rules_engine.chain_stopped",),
        _("Rules set off each other too often"),
        _("{{ signal.reason }}\nNot carried out: {{ signal.rules }}"),
    ),
}


class TroubleForm(ReadyTemplateForm):
    """A mail about what goes wrong."""

    of_model: ClassVar[bool] = False
    places = {**MAIL_PLACES, "/throttle_seconds": "hours", "/throttle_count": "hours"}
    about = forms.ChoiceField(label=_("When"))
    to = to_field()
    hours = forms.IntegerField(label=_("At most one mail in so many hours"), initial=1, min_value=1, max_value=24)

    def offer(self) -> None:
        known = [(key, kind.title) for key, kind in KINDS.items() if all(map(find_signal, kind.signals))]
        self.choose("about", known)
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        kind = KINDS.get(asked["about"] or "") or KINDS["given_up"]
        hours = asked["hours"] if isinstance(asked["hours"], int) else 1
        body = f"{kind.body}\n\n{MORE}"
        sent = mail(asked["to"] or "", subject=str(kind.subject), body=body)
        # What is back is not to be kept quiet by what was paused.
        by = (
            {"throttle_by": "{{ signal.endpoint }} {{ signal.reason }}"} if "endpoint" in (asked["about"] or "") else {}
        )
        return self.on(kind.signals, sent, throttle_count=1, throttle_seconds=hours * HOUR, **by)
