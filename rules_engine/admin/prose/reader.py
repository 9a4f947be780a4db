"""Whoever reads a sentence: what is chosen in a setting is told by its title, where they may know it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules_engine.admin.prose.marks import shown
from rules_engine.rules.contract import Action
from rules_engine.types import Unread, ask


class Reader:
    """One for a page, so that each kind of action looks up its choices once, however many rules there are."""

    def __init__(self, user: Any = None) -> None:
        self.user = user
        self._keys: dict[str, Mapping[str, Any]] = {}

    def title(self, known: Action, key: str, chosen: Any) -> str:
        """What the form calls a value that is chosen in that setting; empty where it is not among the choices."""
        if known.kind not in self._keys:
            schema = ask(known.form_schema, self.user)
            self._keys[known.kind] = {} if isinstance(schema, Unread) else schema.get("keys", {})
        for choice in self._keys[known.kind].get(key, {}).get("choices", ()):
            if isinstance(choice, Mapping) and choice.get("value") == chosen:
                # The form tells two of one name apart by what follows in brackets.
                return shown(str(choice.get("title") or chosen).removesuffix(f" ({chosen})"))
        return ""
