"""The action ``webhook``: a signed POST to an endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.db import DatabaseError, router, transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.actions import (
    Action,
    ActionContext,
    ActionResult,
    Clause,
    Preview,
    Problem,
    Route,
    RuleSpec,
    Setting,
    TransientError,
    did_you_mean,
    problems,
    reads,
    register_action,
)
from webhooks import conf
from webhooks.deliveries import payload
from webhooks.errors import MissingExtra
from webhooks.models import lanes
from webhooks.models.choices import CHATS

#: All that a context can hold, for the default payload; what is not named here is in every context.
WHOLE_CONTEXT = (("instance", "*"), ("old", "*"), ("changes", "*"), ("changed",), ("actor",), ("request",))
OF_A_MODEL = ("instance", "old", "changes", "changed")


@register_action
class Webhook(Action):
    """POSTs the event to an endpoint, signed by Standard Webhooks 1.0.

    At least once: the receiver tells repetitions by ``webhook-id``, the execution's id. URL, headers and secret are
    those of the endpoint at each attempt, so that mending an endpoint mends what is waiting for it; what is waiting
    for an endpoint that was disabled is discarded.
    """

    kind: ClassVar[str] = "webhook"
    label = _("Call a webhook")
    replayable: ClassVar[bool] = True
    schema: ClassVar[Mapping[str, Any]] = {
        "type": "object",
        "keys": {
            "endpoint": {
                "type": "string",
                "title": _("Endpoint"),
                "plain": True,
                "required": True,
                "helpText": _("The slug of an endpoint, from Webhooks › Endpoints."),
            },
            "payload": {
                "type": "string",
                "title": _("Payload"),
                "widget": "textarea",
                "helpText": _('Empty: the whole event. Or JSON, such as {"id": "{{ instance.id }}"}.'),
            },
        },
    }

    def form_schema(self, user: Any) -> Mapping[str, Any]:
        """Add the endpoints to choose from, for whoever may view them; of those that are chats, a message is asked."""
        from webhooks.models import Endpoint

        if user is None or not user.has_perm("webhooks.view_endpoint"):
            return self.schema
        endpoints = list(Endpoint.objects.order_by("name").values_list("slug", "name", "payload_form"))
        choices = [{"title": f"{name} ({slug})", "value": slug} for slug, name, _form in endpoints]
        if not choices:
            return self.schema
        keys = self.schema["keys"]
        help_text = gettext("Where it goes; added under Webhooks › Endpoints.")
        endpoint = {**keys["endpoint"], "choices": choices, "open": True, "helpText": help_text}
        message = {
            "of": "endpoint",
            "values": [slug for slug, _name, form in endpoints if form in CHATS],
            "title": gettext("Message"),
            "helpText": gettext("What the chat shows. Empty: what happened, such as “Order 2: status Draft → Paid”."),
        }
        return {
            **self.schema,
            "keys": {**keys, "endpoint": endpoint, "payload": {**keys["payload"], "variant": message}},
        }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        known = ", ".join(self.schema["keys"])
        for key in config:
            if key not in self.schema["keys"]:
                hint = did_you_mean(key, list(self.schema["keys"]))
                yield Problem(
                    f"/{key}",
                    gettext('A webhook has no setting "%(key)s".%(hint)s The settings are: %(known)s.')
                    % {"key": key, "hint": hint, "known": known},
                )
        yield from _endpoint_problems(config.get("endpoint"))
        template = config.get("payload")
        if not isinstance(template, str | Mapping | list | None):
            yield Problem(
                "/payload",
                gettext("The payload should be a text or JSON, and is %(template)s.") % {"template": repr(template)},
            )
            return
        for text in payload.texts(template):
            yield from problems(text, rule, "/payload")

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[tuple[str, ...]]:
        if template := config.get("payload"):
            return {path for text in payload.texts(template) for path in reads(text)}
        return [path for path in WHOLE_CONTEXT if rule.model or path[0] not in OF_A_MODEL]

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        return ("webhooks.view_endpoint",)

    def route(self, config: Mapping[str, Any]) -> Route:
        slug = str(config.get("endpoint", ""))
        return Route(conf.QUEUE, lane=lanes.test(slug) if config.get("test") is True else slug)

    def retry_schedule(self, config: Mapping[str, Any]) -> Sequence[float] | None:
        """Give the endpoint's own, or the site's; a test delivery is sent once."""
        if config.get("test") is True:
            return ()
        from webhooks.models import Endpoint

        endpoint = Endpoint.objects.filter(slug=str(config.get("endpoint", ""))).first()
        return conf.retry_schedule() if endpoint is None else endpoint.retry_schedule()

    def rests_for(self, config: Mapping[str, Any]) -> float:
        """Tell how long the endpoint has asked to be left alone (``Retry-After``); a test delivery does not wait."""
        if config.get("test") is True:
            return 0.0
        from webhooks.endpoints import breaker

        return breaker.asked_for(str(config.get("endpoint", "")))

    def python(self, config: Mapping[str, Any], rule: RuleSpec) -> Sequence[str]:
        """Write a call to be filled in: address, headers and secret are the endpoint's."""
        return [
            "def call_endpoint(slug, payload):",
            '    """Sign and POST it, with retries: this is yours to write."""',
            "    raise NotImplementedError(slug)",
            "",
            f"# The endpoint is found under Webhooks > Endpoints; the payload is {_payload_words(config)}.",
            f"call_endpoint({str(config.get('endpoint', ''))!r}, {config.get('payload') or None!r})",
        ]

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return Clause(_("call %(endpoint)s"), {"endpoint": Setting("endpoint")})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        from webhooks.deliveries.previews import request_preview

        return request_preview(context, config)

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        """Make one delivery by itself, for ``run_due`` in tests; workers send by ``sender``, many at once.

        Raises ``TransientError`` without aiohttp, and the error that the delivery ended with.
        """
        try:
            from webhooks.sending import posting
        except MissingExtra as error:
            # What the operator has to do, and no traceback at each attempt.
            raise TransientError(str(error)) from None
        outcome = posting.send_one(context, config)
        if isinstance(outcome, ActionResult):
            return outcome
        raise outcome


def _payload_words(config: Mapping[str, Any]) -> str:
    return "a template over the event" if config.get("payload") else "the whole event"


def _endpoint_problems(slug: Any) -> Iterable[Problem]:
    from webhooks.models import Endpoint

    if not isinstance(slug, str) or not slug:
        yield Problem("/endpoint", gettext("A webhook needs the slug of an endpoint, and none is given."))
        return
    try:
        # A savepoint: on PostgreSQL a failed query would otherwise spoil the caller's transaction.
        with transaction.atomic(using=router.db_for_read(Endpoint)):
            slugs = list(Endpoint.objects.values_list("slug", flat=True))
    except DatabaseError:
        yield Problem("/endpoint", gettext("Endpoints cannot be read: run `manage.py migrate webhooks` first."))
        return
    if slug not in slugs:
        yield Problem(
            "/endpoint",
            gettext('There is no endpoint "%(slug)s".%(hint)s') % {"slug": slug, "hint": did_you_mean(slug, slugs)},
        )
