"""``log_message``: a line in the site's log, with fields."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from rules_engine.context.snapshot import clean_text
from rules_engine.errors import Problem
from rules_engine.logs.one_line import ESCAPED, keep_to_one_line
from rules_engine.rules import running, values
from rules_engine.rules.contract import Action, Clause, FieldValue, Preview
from rules_engine.rules.registry import register_action
from rules_engine.types import ActionContext, ActionResult, Path, RuleSpec

#: Where the lines go; configure it in Django's LOGGING.
logger = keep_to_one_line(logging.getLogger("rules_engine.messages"))

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_TITLES = {"debug": _("debug"), "info": _("info"), "warning": _("warning"), "error": _("error")}
_LEVEL_CHOICES = [{"title": title, "value": level} for level, title in _TITLES.items()]
LONGEST = 4_000


@register_action
class LogMessage(Action):
    """Write a line to the logger ``rules_engine.messages``."""

    kind = "log_message"
    label = _("Write a log message")
    schema = {
        "type": "object",
        "keys": {
            "message": {
                "type": "string",
                "widget": "textarea",
                "title": _("Message"),
                "helpText": _("Such as: Order {{ instance.order_number }} was created."),
                "required": True,
            },
            "level": {"type": "string", "title": _("Level"), "choices": _LEVEL_CHOICES, "default": "info"},
            "fields": {
                "type": "array",
                "title": _("Fields"),
                "items": {
                    "type": "object",
                    "keys": {
                        "name": {"type": "string", "title": _("Name"), "plain": True},
                        "value": {"type": "string", "title": _("Value")},
                    },
                },
            },
        },
    }

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Problem]:
        if not config.get("message"):
            yield Problem("/message", gettext("Write the message to log."))
        if (level := _level(config)) not in LEVELS:
            yield Problem(
                "/level",
                gettext("Expected one of %(levels)s, and got %(level)s.")
                % {"levels": ", ".join(LEVELS), "level": repr(level)},
            )
        for pointer, value in _values(config):
            yield from values.problems(value, rule, pointer)

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return {path for _name, value in _values(config) for path in values.reads(value)}

    def clause(self, config: Mapping[str, Any], rule: RuleSpec) -> Clause:
        return Clause(_("log %(message)s"), {"message": FieldValue("", "", config.get("message"))})

    def preview(self, context: ActionContext, config: Mapping[str, Any]) -> Preview:
        message = values.text(config["message"], context.data)[:LONGEST].translate(ESCAPED)
        level = _level(config)
        details = {gettext("Level"): str(_TITLES.get(level, level)), **_fields(config, context)}
        return Preview(gettext("Logs: %(message)s") % {"message": message}, details)

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        message = values.text(config["message"], context.data)[:LONGEST].translate(ESCAPED)
        level = LEVELS[_level(config)]
        logger.log(level, "%s", message, extra={"rule": context.rule_slug, "fields": _fields(config, context)})
        return ActionResult(f"Logged: {message}")

    def run_many(
        self, contexts: Sequence[ActionContext], configs: Sequence[Mapping[str, Any]]
    ) -> Sequence[ActionResult | Exception]:
        return running.each(self.run, contexts, configs)


def _level(config: Mapping[str, Any]) -> Any:
    """Return the level as written; none, null and an empty one are "info"."""
    return config.get("level") or "info"


def _rows(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in config.get("fields") or () if isinstance(row, Mapping)]


def _values(config: Mapping[str, Any]) -> list[tuple[str, Any]]:
    rows = enumerate(_rows(config))
    return [("/message", config.get("message")), *((f"/fields/{i}/value", row.get("value")) for i, row in rows)]


def _fields(config: Mapping[str, Any], context: ActionContext) -> dict[str, Any]:
    return {
        str(row.get("name")): clean_text(values.text(row.get("value"), context.data), LONGEST).translate(ESCAPED)
        for row in _rows(config)
    }
