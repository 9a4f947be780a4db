"""What events tell of a field, for the tests of this folder."""

from __future__ import annotations

from typing import Any

from django.db import models

from rules_engine.models import Event
from rules_engine.testing import create_rule


def listen(model: type[models.Model], *fields: str, **more: Any) -> None:
    """Make a rule that reads these fields, now and before, at every save of the model."""
    text = " ".join(f"{{{{ instance.{field} }}}} {{{{ old.{field} }}}}" for field in fields)
    create_rule(model=model, actions=[("log_message", {"message": text})], **more)


def told(field: str) -> list[tuple[Any, Any]]:
    """What each event told of the field, before and after, where it tells of a change."""
    changes = [(event.context or {}).get("changes") or {} for event in Event.objects.order_by("id")]
    return [(change[field]["old"], change[field]["new"]) for change in changes if field in change]
