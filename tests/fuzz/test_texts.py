"""Texts: whatever is written is compiled and rendered, or is a ``TemplateError``; a secret outside is never printed."""

from __future__ import annotations

import random
from typing import Any

from rules_engine import texts
from rules_engine.errors import TemplateError
from rules_engine.texts.limits import OUTPUT
from rules_engine.texts.tags import register
from tests.fuzz import making
from tests.fuzz.running import fuzz

COUNT = 1_500
FILTERS, TAGS = sorted(register.filters), sorted(register.tags)
CANARY = "canary-7f3a"


class Holder:
    """An object that no text may look into."""

    secret = CANARY

    def __str__(self) -> str:
        return "a holder"


def expression(chance: random.Random) -> str:
    path = ".".join(chance.choice((*making.NAMES, "secret", "holder")) for _ in range(chance.randint(1, 3)))
    pieces = [chance.choice((path, f'"{chance.choice(making.TEXTS)}"', str(chance.choice(making.NUMBERS))))]
    for _ in range(chance.choice((0, 0, 1, 2, 5))):
        argument = chance.choice(
            ("", f':"{chance.choice(making.TEXTS)}"', f":{chance.choice(making.NUMBERS)}", ":" + path)
        )
        pieces.append(f"{chance.choice(FILTERS)}{argument}")
    return "|".join(pieces)


def piece(chance: random.Random, depth: int = 3) -> str:
    kind = chance.random()
    if kind < 0.3 or depth == 0:
        return chance.choice(making.TEXTS)
    if kind < 0.6:
        return "{{ " + expression(chance) + " }}"
    inner = "".join(piece(chance, depth - 1) for _ in range(chance.randint(0, 3)))
    if kind < 0.75:
        return "{% for x in " + expression(chance) + " %}" + inner + "{% endfor %}"
    if kind < 0.9:
        return "{% if " + expression(chance) + " %}" + inner + "{% else %}" + inner + "{% endif %}"
    tag = chance.choice((*TAGS, "include", "load", "debug", "url", "verbatim"))
    return "{% " + tag + " " + expression(chance) + " %}" + inner + "{% end" + tag + " %}"


def surface(chance: random.Random) -> None:
    source = "".join(piece(chance) for _ in range(chance.randint(1, 6)))
    if chance.random() < 0.3:
        source = making.spoiled(chance, source)
    data: dict[str, Any] = {name: making.json_value(chance, 3) for name in making.NAMES if chance.random() < 0.4}
    data["holder"] = Holder()
    try:
        text = texts.render(source, data, autoescape=chance.random() < 0.3)
    except TemplateError as error:
        assert CANARY not in str(error)
        return
    assert len(text) <= OUTPUT
    assert CANARY not in text
    assert "\n" not in texts.single_line(text)


def test_any_text_is_rendered_or_refused() -> None:
    fuzz(surface, COUNT)
