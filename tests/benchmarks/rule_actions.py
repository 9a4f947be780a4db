"""An action that notes when it starts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

from rules_engine.actions import Action, ActionContext, ActionResult, register_action

BOOK = "started"


def book() -> Path:
    """Return the file that starts are noted in, which workers and the measure share."""
    return Path(settings.VAR) / BOOK


@register_action
class NoteStart(Action):
    """Write a line: the object, and the time."""

    kind = "note_start"
    label = "Note when it starts"
    schema: Mapping[str, Any] = {"type": "object", "keys": {}}

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        now = time.time()
        with book().open("a", encoding="utf-8") as file:
            file.write(f"{context.event.context['instance']['number']} {now}\n")
        return ActionResult("noted")

    def reads(self, config: Mapping[str, Any], rule: Any) -> Any:
        return [("instance", "number")]
