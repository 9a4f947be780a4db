"""An exception as data: what it is, what it says without secrets, and where it came from. Never a traceback."""

from __future__ import annotations

import sysconfig
from functools import cache
from types import TracebackType
from typing import Any

from rules_engine.context.snapshot import clean_text, safe
from rules_engine.hidden.texts import masked
from rules_engine.types import ask

TEXT_CHARACTERS = 500
#: Where code lies that is not the site's.
FOREIGN = ("/site-packages/", "/dist-packages/", "<")


def described(error: BaseException) -> dict[str, str]:
    """``{"type", "text", "where"}``: ``where`` is the module and line of the innermost frame of the site's own code,
    or of the innermost one where there is none."""
    marked = safe(error)
    text = masked(str(marked["text"]))
    return {"type": type(error).__qualname__, "text": clean_text(text, TEXT_CHARACTERS), "where": _where(error)}


def text_of(error: BaseException) -> str:
    """Return what an error says, and its type where it says nothing or cannot be printed."""
    text = ask(str, error)
    return text if text and isinstance(text, str) else type(error).__name__


def _where(error: BaseException) -> str:
    innermost, own = "", ""
    at: TracebackType | None = error.__traceback__
    while at is not None:
        innermost = f"{at.tb_frame.f_globals.get('__name__', '?')}:{at.tb_lineno}"
        own = own if _is_foreign(at.tb_frame.f_code.co_filename) else innermost
        at = at.tb_next
    return clean_text(own or innermost, 200)


def _is_foreign(path: str) -> bool:
    path = path.replace("\\", "/")
    return path.startswith(_standard_library()) or any(part in path for part in FOREIGN)


@cache
def _standard_library() -> tuple[str, ...]:
    return tuple(f"{sysconfig.get_path(name)}/".replace("\\", "/") for name in ("stdlib", "platstdlib"))


def current(error: Any) -> dict[str, str] | None:
    """``described``, or None where there is no exception."""
    return described(error) if isinstance(error, BaseException) else None
