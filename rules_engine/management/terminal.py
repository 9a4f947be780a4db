"""What the commands say, and how: safe to show on a terminal, and progress only where somebody looks on."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

#: Characters of one line; a hostile file could make it as long as it is.
LONGEST = 600
_ESCAPED = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    # Line separators, and what turns the direction of text round.
    code: f"\\u{code:04x}"
    for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
}


def shown(value: Any) -> str:
    """Return one line that cannot steer the terminal, whatever stands in ``value``."""
    text = str(value).translate(_ESCAPED).encode("utf-8", "backslashreplace").decode("utf-8")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def progress(command: BaseCommand, text: str) -> None:
    """Overwrite the line of progress on a terminal's stderr; an empty text clears it. Nothing elsewhere."""
    if command.stderr.isatty():
        command.stderr.write(f"\r\x1b[K{shown(text)}", style_func=str, ending="")
        command.stderr.flush()


def counted(number: int, one: str, many: str | None = None) -> str:
    """``3 rules``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
