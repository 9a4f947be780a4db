"""Where packs lie, and how a file that nobody vouches for becomes a Python value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from django.apps import apps
from django.conf import settings

from rules_engine.errors import RulesEngineError, did_you_mean

#: Far more than a site has rules, and small enough to be read within a second.
MAX_PACK_BYTES = 2_000_000
#: Lists and objects: what a file of that size holds that people wrote.
MOST_BRACKETS = 200_000
#: A condition may be 64 levels deep; around it stand the list, the object, its fields and an action's config.
MAX_PACK_DEPTH = 72

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*(?:"|$)|[\[\]{}]', re.DOTALL)
_MARK = b"rules_engine.rule"


class PackError(RulesEngineError):
    """A rule pack cannot be found, read or used."""


def folders() -> Iterator[Path]:
    """Return where ``loaddata`` looks: the ``fixtures`` folder of each installed app, then FIXTURE_DIRS."""
    yield from (Path(config.path) / "fixtures" for config in apps.get_app_configs())
    yield from (Path(folder) for folder in settings.FIXTURE_DIRS)


def find() -> dict[str, list[Path]]:
    """Find the packs of this site: the files by name that hold rules; more than one where two apps chose the same
    name."""
    packs: dict[str, list[Path]] = {}
    for folder in dict.fromkeys(folders()):
        for path in sorted(folder.glob("*.json")):
            if _holds_rules(path):
                packs.setdefault(path.stem, []).append(path)
    return dict(sorted(packs.items()))


def _holds_rules(path: Path) -> bool:
    try:
        if not path.is_file() or path.stat().st_size > MAX_PACK_BYTES:
            return False
        return _MARK in path.read_bytes()
    except OSError:
        return False


def locate(name: str) -> Path:
    """Find the file of a pack, by its name or by its path. Raises ``PackError``."""
    if name.endswith(".json") or "/" in name or "\\" in name:
        path = Path(name)
        if not path.is_file():
            raise PackError(f'There is no file "{name}".{did_you_mean(path.stem, list(find()))}')
        return path
    packs = find()
    paths = packs.get(name, [])
    if len(paths) > 1:
        raise PackError(f'Several packs are called "{name}"; give the path of one: {", ".join(map(str, paths))}.')
    if not paths:
        known = f" The packs here are: {', '.join(packs)}." if packs else " There is no pack here at all."
        raise PackError(f'There is no rule pack "{name}".{did_you_mean(name, list(packs))}{known}')
    return paths[0]


def read(path: Path) -> Any:
    """Read the JSON value in a file. Raises ``PackError``, with line and column where there is a place to name."""
    try:
        if path.stat().st_size > MAX_PACK_BYTES:
            raise PackError(f"The file is larger than {MAX_PACK_BYTES:,} bytes; split the pack.")
        with path.open("rb") as file:
            raw = file.read(MAX_PACK_BYTES + 1)
    except OSError as error:
        raise PackError(f"The file cannot be read: {error.strerror or error}.") from error
    return parse(raw)


def parse(raw: bytes) -> Any:
    """Return the value of a JSON text in UTF-8. Raises ``PackError``."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise PackError(f"The file is not UTF-8 text (at byte {error.start + 1}); save it as UTF-8.") from error
    if text.startswith("\ufeff"):
        raise PackError("The file begins with a byte order mark (line 1, column 1); save it without one.")
    _refuse_brackets(text)
    try:
        return json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_whole_number,
            parse_float=_number,
            parse_constant=_no_number,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise PackError(f"This is not JSON ({place}): {error.msg}.") from error


def _refuse_brackets(text: str) -> None:
    """Refuse too many and too deep, before the parser sees it: that one recurses."""
    depth = count = 0
    for token in _BRACKETS.finditer(text):
        mark = token.group()
        count += mark in ("[", "{")
        if count > MOST_BRACKETS:
            raise PackError(f"The file holds more than {MOST_BRACKETS:,} lists and objects; split the pack.")
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if depth > MAX_PACK_DEPTH:
            line = text.count("\n", 0, token.start()) + 1
            column = token.start() - text.rfind("\n", 0, token.start())
            raise PackError(
                f"The JSON is nested deeper than {MAX_PACK_DEPTH} levels (line {line}, column {column}); split it up."
            )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise PackError(f"The key {twice[:50]!r} stands twice in one object; only one would count. Remove the other.")
    return made


def _whole_number(digits: str) -> int:
    if len(digits) > 20:
        raise PackError(f"The number {digits[:25]}… does not fit 64 bits; write it as text.")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise PackError(f"The number {digits[:25]} is too large to be a number.")
    # PostgreSQL's jsonb gives these back as whole numbers, and an installed pack must stay equal to its file.
    return int(value) if value == 0 or (value.is_integer() and abs(value) >= 1e16) else value


def _no_number(word: str) -> NoReturn:
    raise PackError(f"JSON has no number {word}; write a finite number, or null.")
