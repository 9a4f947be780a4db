"""An action for tests that may act at any time: it notes what it was given, and fails as it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rules_engine.actions import ActionResult, PermanentError, TransientError
from rules_engine.rules import values
from rules_engine.rules.contract import Action
from rules_engine.types import ActionContext, Path, RuleSpec


class Note(Action):
    """Note a text. ``fails`` names the text that it fails at, or is True; ``passing`` makes that a passing failure."""

    kind = "note"
    label = "Note"
    timings = ("after_commit", "in_transaction", "before_save")
    schema = {
        "type": "object",
        "keys": {"text": {"type": "string"}, "fails": {"type": "string"}, "passing": {"type": "boolean"}},
    }
    noted: list[str] = []
    contexts: list[ActionContext] = []

    def validate_config(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Any]:
        return values.problems(config.get("text"), rule, "/text")

    def reads(self, config: Mapping[str, Any], rule: RuleSpec) -> Iterable[Path]:
        return values.reads(config.get("text"))

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        text = values.text(config.get("text"), context.data)
        type(self).contexts.append(context)
        if config.get("fails") in (True, text):
            raise (TransientError if config.get("passing") else PermanentError)(f"{text} failed")
        type(self).noted.append(text)
        return ActionResult(f"Noted {text}")


def note(text: str, fails: Any = None, passing: bool = False, **fields: Any) -> tuple[str, dict[str, Any], Any]:
    """Write out such an action as ``create_rule`` takes it, with the fields of its row."""
    config: dict[str, Any] = {"text": text}
    if fails:
        config["fails"] = fails
    if passing:
        config["passing"] = True
    return Note.kind, config, fields
