"""The examples of the how-to on traces and logs, as they stand in the page."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto" / "tracing.md"


def logging_examples() -> dict[str, Any]:
    """The values of ``LOGGING``: of plain text, and of JSON."""
    plain, as_json = re.findall(r"^```python\n(LOGGING = .*?)^```", HOWTO.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {"plain": _value(plain), "json": _value(as_json)}


def _value(code: str) -> Any:
    names: dict[str, Any] = {}
    exec(code, names)
    return names["LOGGING"]
