"""Rules ready to be tried, made without a database."""

from __future__ import annotations

from typing import Any

from rules_engine.live.compiler import compile_rule
from rules_engine.rules.matching import CompiledRule
from rules_engine.types import ActionSpec, RuleSpec

NOTE = ActionSpec("log_message", {"message": "{{ instance.name }}"})


def compiled(slug: str = "rule", *actions: ActionSpec, **fields: Any) -> CompiledRule:
    """Compile a rule on animals, on ``post_save`` unless ``fields`` say otherwise."""
    written = {"model": "zoo.animal", "signals": ("post_save",), **fields}
    return compile_rule(RuleSpec(slug=slug, actions=actions, **written), 1)
