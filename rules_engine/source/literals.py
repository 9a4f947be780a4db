"""Data as Python literals and comments: whatever a text holds, it stays inside of them."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

WIDTH = 110
INDENT = "    "


def quoted(text: str) -> str:
    """Return a text as a literal in double quotes, where that takes no further escaping."""
    written = repr(text)
    if written.startswith("'") and '"' not in written and "\\'" not in written:
        return f'"{written[1:-1]}"'
    return written


def literal(value: Any) -> str:
    """Write JSON data as Python does. Raises ``TypeError`` for what is no JSON."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(str(key))}: {literal(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    raise TypeError(f"Expected JSON, and got a {type(value).__name__}.")


def _in_a_comment(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character.isspace() else "?"


def comment(text: str, limit: int = 100) -> list[str]:
    """Return a text as comment lines; what cannot be printed becomes a question mark."""
    words = "".join(map(_in_a_comment, text)).split()
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + len(word) < limit:
            lines[-1] += f" {word}"
        else:
            lines.append(f"# {word}")
    return lines


def docstring(text: str) -> str:
    """Return a text as the docstring of a function, on one line."""
    line = " ".join(text.split())[:100]
    if line.isprintable() and not set(line) & {'"', "\\"}:
        return f'"""{line}"""'
    return quoted(line)


def json_of(value: Any) -> str:
    """Write JSON data as a literal of its JSON text."""
    return quoted(json.dumps(value, ensure_ascii=True, default=str))


def identifier(text: str, fallback: str = "rule") -> str:
    """Return a name for a function: ``c06_clear_cache`` for ``c06-clear-cache``."""
    name = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()[:60]
    if not name or name[0].isdigit() or keyword.iskeyword(name):
        return f"{fallback}_{name}".rstrip("_")
    return name


def is_plain_name(name: str) -> bool:
    """Say whether the name can stand before ``=`` in a call."""
    return name.isascii() and name.isidentifier() and not keyword.iskeyword(name)


def keywords(arguments: Mapping[str, str]) -> list[str]:
    """Write arguments of a call, by name; names that Python keeps for itself go through a dict."""
    plain = [f"{name}={code}" for name, code in arguments.items() if is_plain_name(name)]
    odd = [f"{quoted(name)}: {code}" for name, code in arguments.items() if not is_plain_name(name)]
    return [*plain, "**{" + ", ".join(odd) + "}"] if odd else plain


def call(function: str, arguments: Sequence[str], brackets: str = "()") -> str:
    """Return a call on one line, or with one argument a line where that is too long."""
    opening, closing = brackets[0], brackets[1]
    line = f"{function}{opening}{', '.join(arguments)}{closing}"
    if not arguments or (len(line) <= WIDTH - 12 and "\n" not in line):
        return line
    return "\n".join([f"{function}{opening}", *indented([f"{argument}," for argument in arguments]), closing])


def mapping(codes: Mapping[str, str]) -> str:
    """Return a dict of these expressions."""
    return call("", [f"{quoted(name)}: {code}" for name, code in codes.items()], "{}")


def indented(pieces: Iterable[str], levels: int = 1) -> list[str]:
    """Move lines to the right; a piece may have several. No literal of ours goes over a line's end."""
    return [INDENT * levels + line if line else "" for piece in pieces for line in piece.split("\n")]
