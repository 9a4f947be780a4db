"""Ready templates that tell people and other systems: by mail, in a chat, by a webhook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine import conf
from rules_engine.context.paths import ModelClass
from rules_engine.packs.ready import offers
from rules_engine.packs.ready.form import (
    ReadyTemplateForm,
    happening,
    happens_field,
    mail,
    to_field,
)
from rules_engine.types import ActionSpec, RuleSpec

DAY = 86_400
HOUR = 3_600
#: A rule's delay is 30 days at most.
MOST_DAYS = 30
MAIL = "/actions/0/config/"
MAIL_PLACES = {MAIL + "to": "to", MAIL + "subject": "subject", MAIL + "body": "body"}
CHANGE = "/changes"


def becomes_field() -> forms.ChoiceField:
    """Return a field for the state that something comes into."""
    return forms.ChoiceField(label=_("When it becomes"))


class OfStates(ReadyTemplateForm):
    """Asks for a state of the model; models without any are not offered."""

    def suits(self, model: ModelClass) -> bool:
        return bool(offers.plain_fields(model, offers.has_states))

    def change(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the change condition: the field comes to have the value."""
        field, value = self.state(asked)
        return {"field": field, "to": value}


class StatusMailForm(OfStates):
    """A mail when something reaches a state."""

    places = {**MAIL_PLACES, CHANGE: "becomes"}
    becomes = becomes_field()
    to = to_field()

    def offer(self) -> None:
        self.offer_states("becomes")
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        return self.on(["post_save"], mail(asked["to"] or ""), changes=(self.change(asked),))


class NotifyForm(ReadyTemplateForm):
    """A mail about each new object."""

    places = MAIL_PLACES
    to = to_field()
    subject = forms.CharField(label=_("Subject"), help_text=_("Such as: A new order, {{ instance.pk }}"))
    body = forms.CharField(
        label=_("Text"),
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_("In double braces stands what the object holds, such as {{ instance.pk }}."),
    )

    def offer(self) -> None:
        self.offer_recipients("to")
        self.fields["subject"].initial = "{{ what_happened }}"
        self.fields["body"].initial = "{{ what_happened }}" + ("\n\n{{ admin_url }}" if conf.site_url() else "")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        sent = mail(asked["to"] or "", subject=asked["subject"] or "", body=asked["body"] or "")
        return self.on(["post_save"], sent, operations=("create",))


class GoneForm(ReadyTemplateForm):
    """A mail about each object that is deleted."""

    places = MAIL_PLACES
    to = to_field()

    def offer(self) -> None:
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        return self.on(["post_delete"], mail(asked["to"] or ""))


class ToSomebodyForm(ReadyTemplateForm):
    """A mail to an address that the object knows; what has none is passed over."""

    address = forms.ChoiceField(label=_("Address"))

    def suits(self, model: ModelClass) -> bool:
        return bool(offers.addresses(model, self.user))

    def offer(self) -> None:
        if self.model is not None:
            self.choose("address", offers.addresses(self.model, self.user))

    def mailed(self, asked: Mapping[str, Any], **texts: str) -> dict[str, Any]:
        """Return the action and the condition of a rule that mails the chosen address."""
        path = asked["address"] or ""
        return {"action": mail(f"{{{{ {path} }}}}", **texts), "condition": {"!!": [{"var": path}]}}


class WelcomeForm(ToSomebodyForm):
    """A welcome to whoever is new."""

    places = {**MAIL_PLACES, MAIL + "to": "address", "/condition": "address"}
    subject = forms.CharField(label=_("Subject"), initial=_("Welcome!"))
    body = forms.CharField(
        label=_("Text"),
        widget=forms.Textarea(attrs={"rows": 6}),
        initial=_("Hello,\n\nwe are glad that you are here."),
        help_text=_("In double braces stands what the object holds, such as {{ instance.pk }}."),
    )

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        mailed = self.mailed(asked, subject=str(asked["subject"] or ""), body=str(asked["body"] or ""))
        action, condition = mailed["action"], mailed["condition"]
        return self.on(["post_save"], action, operations=("create",), condition=condition, once=True)


class OwnerForm(ToSomebodyForm):
    """A mail about a change, to whom the object belongs."""

    places = {**MAIL_PLACES, MAIL + "to": "address", "/condition": "address", CHANGE: "field"}
    field = forms.ChoiceField(label=_("When this changes"), required=False)

    def offer(self) -> None:
        super().offer()
        if self.model is not None:
            self.choose("field", offers.fields(self.model), nothing=gettext("anything of it"))

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        mailed = self.mailed(asked)
        changes = ({"field": asked["field"]},) if asked["field"] else ()
        action, condition = mailed["action"], mailed["condition"]
        return self.on(["post_save"], action, operations=("update",), changes=changes, condition=condition)


class RemindForm(OfStates):
    """A mail some days after something has reached a state."""

    places = {**MAIL_PLACES, CHANGE: "becomes", "/actions/0/delay": "days"}
    becomes = becomes_field()
    days = forms.IntegerField(
        label=_("Days later"),
        initial=3,
        min_value=1,
        max_value=MOST_DAYS,
        help_text=_("At most 30. None goes out if it is something else by then."),
    )
    to = to_field()

    def offer(self) -> None:
        self.offer_states("becomes")
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        days = asked["days"] if isinstance(asked["days"], int) else 0
        written = mail(asked["to"] or "", subject=gettext("Reminder: {{ what_happened }}"))
        delayed = ActionSpec(written.kind, written.config, delay=days * DAY, asks_again=True)
        return self.on(["post_save"], delayed, changes=(self.change(asked),))


class LowForm(ReadyTemplateForm):
    """A mail when a number falls below a limit."""

    places = {**MAIL_PLACES, CHANGE: "field", "/condition": "limit"}
    field = forms.ChoiceField(label=_("Number"))
    limit = forms.DecimalField(
        label=_("Below"), initial=10, help_text=_("One mail as it falls below this, and none while it stays there.")
    )
    to = to_field()

    def suits(self, model: ModelClass) -> bool:
        return bool(offers.fields(model, offers.is_number))

    def offer(self) -> None:
        if self.model is not None:
            self.choose("field", offers.fields(self.model, offers.is_number))
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        field, limit = asked["field"] or "", _plain_number(asked["limit"])
        was_not = {"or": [{"==": [{"var": f"old.{field}"}, None]}, {">=": [{"var": f"old.{field}"}, limit]}]}
        condition = {"and": [{"<": [{"var": f"instance.{field}"}, limit]}, was_not]}
        return self.on(["post_save"], mail(asked["to"] or ""), changes=({"field": field},), condition=condition)


def _plain_number(value: Any) -> int | float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0
    return int(number) if number.is_integer() else number


class LoginsForm(ReadyTemplateForm):
    """A mail about logins that failed."""

    of_model: ClassVar[bool] = False
    places = {**MAIL_PLACES, "/throttle_seconds": "hours", "/throttle_count": "hours"}
    to = to_field()
    hours = forms.IntegerField(
        label=_("At most one mail in so many hours"),
        initial=1,
        min_value=1,
        max_value=24,
        help_text=_("For all names."),
    )

    def offer(self) -> None:
        self.offer_recipients("to")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        hours = asked["hours"] if isinstance(asked["hours"], int) else 1
        subject = gettext("A login failed: {{ signal.credentials.username }}")
        body = gettext(
            "Somebody tried to log in as {{ signal.credentials.username }}, and could not.\n"
            "Further failures since the last mail: {{ held.throttled }}."
        )
        sent = mail(asked["to"] or "", subject=subject, body=body)
        return self.on(["user_login_failed"], sent, throttle_count=1, throttle_seconds=hours * HOUR)


class ToEndpoint(ReadyTemplateForm):
    """Asks for an endpoint: one to choose, or its slug where the user may not see them."""

    chats: ClassVar[bool] = False
    endpoint = forms.CharField(label=_("Endpoint"), help_text=_("The slug of an endpoint, from Webhooks › Endpoints."))

    def offer(self) -> None:
        known = offers.endpoints(self.user, chats=self.chats)
        if known is None:
            return
        help_text = gettext("Where it goes; added under Webhooks › Endpoints.")
        if not known and self.chats:
            help_text = gettext("There is no chat yet: add one under Webhooks › Endpoints, with a chat as its payload.")
        self.fields["endpoint"] = forms.ChoiceField(label=self.fields["endpoint"].label, help_text=help_text)
        self.choose("endpoint", known)

    def call(self, asked: Mapping[str, Any]) -> ActionSpec:
        """Return the action that calls the endpoint, with a message where one was written."""
        config = {"endpoint": (asked["endpoint"] or "").strip()}
        if message := (asked.get("message") or "").strip():
            config["payload"] = message.replace("\r\n", "\n")
        return ActionSpec("webhook", config)


class WebhookForm(ToEndpoint):
    """A call to another system."""

    places = {"/actions/0/config/endpoint": "endpoint", "/operations": "happens", "/signals": "happens"}
    happens = happens_field()

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        heard = happening(asked["happens"] or ())
        return self.on(heard["signals"], self.call(asked), operations=heard["operations"])


def message_field() -> forms.CharField:
    """Return a field for what a chat is told."""
    return forms.CharField(
        label=_("Message"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Empty: what happened, such as “Order 2: status Draft → Paid”."),
    )


class ChatForm(WebhookForm):
    """A message in a chat about what becomes of objects."""

    chats = True
    places = {**WebhookForm.places, "/actions/0/config/payload": "message"}
    message = message_field()
    field_order = ("model", "happens", "endpoint", "message")


class ChatStatusForm(ToEndpoint, OfStates):
    """A message in a chat when something reaches a state."""

    chats = True
    places = {"/actions/0/config/endpoint": "endpoint", "/actions/0/config/payload": "message", CHANGE: "becomes"}
    becomes = becomes_field()
    message = message_field()
    field_order = ("model", "becomes", "endpoint", "message")

    def offer(self) -> None:
        super().offer()
        self.offer_states("becomes")

    def rule(self, asked: Mapping[str, Any]) -> RuleSpec:
        return self.on(["post_save"], self.call(asked), changes=(self.change(asked),))
