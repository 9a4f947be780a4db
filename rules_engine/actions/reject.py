"""``reject``: does not allow a save or a delete, and says why to whoever wanted it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.paths import field_of, find_model
from rules_engine.errors import ConditionError, PermanentError, Problem, Rejected, TemplateError, UnknownPath
from rules_engine.rules import values
from rules_engine.rules.contract import Action, Clause, FieldValue, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

SIGNALS = ("pre_save", "pre_delete")
LONGEST_MESSAGE = 1_000


@register_action
class Reject(Action):
    """Stop the save or the delete that the rule matched, with a message."""

    kind = "reject"
    label = _("Reject the change")
    timings = ("before_save",)
    vetoes = True
    schema = {
        "type": "object",
        "keys": {
            "message": {
                "type": "string",
                "widget": "textarea",
                "title": _("Message"),
                "required": True,
                "helpText": _("For whoever wants to save or delete it, such as: A paid order cannot go back to draft."),
            },
            "field": {
                "type": "string",
                "title": _("At the field"),
                "plain": True,
                "helpText": _("Where a form shows it; empty: above the whole form."),
            },
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        if not rule.signals or not set(rule.signals) <= set(SIGNALS):
            listed = gettext(" and ").join(SIGNALS)
            yield Problem(
                "",
                gettext("Only what has not happened yet can be rejected: let the rule listen to %(listed)s alone.")
                % {"listed": listed},
            )
        if not config.get("message"):
            yield Problem("/message", gettext("Say why, to whoever wants to save or delete it."))
        yield from values.problems(config.get("message"), rule, "/message")
        model = find_model(rule.model) if rule.model else None
        if config.get("field") and model is not None:
            try:
                field_of(model, str(config["field"]))
            except UnknownPath as error:
                yield Problem("/field", str(error))

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return values.reads(config.get("message"))

    def permissions(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[str]:
        """Ask for what the change takes: who may not change or delete an object must not decide that nobody may."""
        app, _dot, name = rule.model.partition(".")
        rights = {"pre_save": "change", "pre_delete": "delete"}
        return {f"{app}.{rights[signal]}_{name}" for signal in rule.signals if signal in rights}

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return Clause(
            _("reject the change and say %(message)s"), {"message": FieldValue("", "", config.get("message"))}
        )

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        details = {
            gettext("Message"): _message(context, config),
            gettext("At the field"): str(config.get("field") or ""),
        }
        return Preview(gettext("Rejects the change"), {name: value for name, value in details.items() if value})

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        """Raises ``Rejected``; ``PermanentError`` where the message cannot be written."""
        raise Rejected(_message(context, config), field=str(config.get("field") or ""))


def _message(context: ActionContext, config: Mapping[str, Any]) -> str:
    try:
        message = values.text(config.get("message"), context.data).strip()[:LONGEST_MESSAGE]
    except (TemplateError, ConditionError) as error:
        raise PermanentError(str(error)) from error
    return message or gettext("This is not allowed.")
