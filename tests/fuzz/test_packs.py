"""Packs: whatever a file holds is refused in a sentence, or checked without an error."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from rules_engine.packs import checking, files
from rules_engine.packs.fields import ACTION_FIELDS, RULE_FIELDS
from rules_engine.packs.files import PackError
from rules_engine.rules import registry
from tests.fuzz import making
from tests.fuzz.running import fuzz
from tests.fuzz.test_conditions import logic

pytestmark = pytest.mark.django_db

COUNT = 300


def rule(chance: random.Random) -> dict[str, Any]:
    """A rule that could be one, with a few fields that could not."""
    fields: dict[str, Any] = {
        "slug": chance.choice(("a", "b", "c")),
        "name": "A rule",
        "model": chance.choice(("shop.order", "zoo.animal", "auth.permission", "")),
        "signals": making.some(chance, lambda c: c.choice(("post_save", "pre_delete", "m2m_changed", "x", 5))),
        "condition": logic(chance) if chance.random() < 0.7 else making.json_value(chance),
    }
    for _ in range(chance.choice((0, 1, 2, 4))):
        fields[chance.choice([*RULE_FIELDS])] = making.json_value(chance, 2)
    return {"model": "rules_engine.rule", "fields": fields}


def action(chance: random.Random) -> dict[str, Any]:
    """An action of any kind with a config for it, or nearly."""
    kind = chance.choice([*registry.kinds()])
    known = registry.kinds()[kind].schema.get("keys", {})
    config = {name: making.json_value(chance, 2) for name in known if chance.random() < 0.7}
    fields: dict[str, Any] = {"rule": [chance.choice("abc")], "kind": kind, "config": config}
    fields["position"] = chance.randint(0, 3)
    for _ in range(chance.choice((0, 0, 1, 2))):
        fields[chance.choice([*ACTION_FIELDS])] = making.json_value(chance, 2)
    return {"model": "rules_engine.ruleaction", "fields": fields}


def surface(chance: random.Random) -> None:
    makers = (rule, rule, action, action, lambda c: making.json_value(c))
    objects: Any = [chance.choice(makers)(chance) for _ in range(chance.randint(0, 8))]
    if chance.random() < 0.05:
        objects = making.json_value(chance)
    pack = checking.check(objects)
    assert all(str(finding) for finding in (*pack.problems, *pack.notes, *pack.remarks))
    raw = making.json_text(chance, objects).encode("utf-8", "surrogatepass")
    try:
        checking.check(files.parse(raw))
    except PackError as error:
        assert str(error)
    json.dumps([str(finding) for finding in pack.problems])


def test_any_pack_is_refused_or_checked() -> None:
    fuzz(surface, COUNT)
