"""A site whose connections are for one shop each, and an action that notes in which shop it acts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.db import connection

from rules_engine.actions import ActionResult
from rules_engine.rules import registry
from rules_engine.types import ActionContext
from tests.integration.noting import Note
from tests.integration.surroundings import shop_of


class NoteShop(Note):
    """Notes the shop before the text."""

    kind = "note_shop"
    label = "Note the shop"

    def run(self, context: ActionContext, config: Mapping[str, Any]) -> ActionResult:
        result = super().run(context, config)
        Note.noted[-1] = f"{shop_of.present()}: {Note.noted[-1]}"
        return result


@pytest.fixture
def shops(settings: Any) -> Iterator[list[str]]:
    """The setting, and the notes of actions."""
    settings.RULES_ENGINE = {**settings.RULES_ENGINE, "SURROUNDINGS": shop_of.SETTING}
    registry.register_action(NoteShop)
    NoteShop.noted = Note.noted = []
    yield Note.noted
    del registry._actions[NoteShop.kind]
    shop_of.closed.clear()
    shop_of.listed.clear()
    shop_of.fault = shop_of.no_list = ""
    if hasattr(connection, "shop"):
        del connection.shop
